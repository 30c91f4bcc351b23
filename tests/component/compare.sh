#!/usr/bin/env bash
# compare.sh PYTHON COMPONENT: builds the policy with cargo-component and compares its exports with COMPONENT's, which plain cargo built.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
python=$1 plain=$2

version=0.21.1
cache=${FLOE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/floe-telemetry}
tool=$cache/cargo-component-$version/bin/cargo-component
if [[ ! -x $tool ]]; then
    echo "installing cargo-component $version into $cache" >&2
    cargo install --locked --quiet --root "$cache/cargo-component-$version" --version "$version" cargo-component
fi

# cargo-component wants this target to be there, whatever it builds for.
rustup target add wasm32-wasip1 >&2
target=${CARGO_TARGET_DIR:-$PWD/target}/cargo-component
CARGO_TARGET_DIR=$target "$tool" build --package floe-telemetry-policy --profile component --target wasm32-unknown-unknown
built=$target/wasm32-unknown-unknown/component/floe_policy.wasm

diff <("$python" tests/component/exports.py "$plain") <("$python" tests/component/exports.py "$built")
echo "cargo-component $version and plain cargo build the same exports:"
"$python" tests/component/exports.py "$built"
