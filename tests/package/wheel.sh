#!/usr/bin/env bash
# Builds the wheel of the command with maturin and prints its path, and nothing else, on stdout. Arguments: the cache, cargo's profile, the directory for the wheel.
set -euo pipefail
cache=$1 profile=$2 directory=$3
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

version=1.16.0
tool=$cache/maturin-$version
if [[ ! -f $tool/complete ]]; then
    python3 -m venv --clear "$tool"
    "$tool/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps "maturin==$version" >&2
    touch "$tool/complete"
fi
mkdir -p "$directory"
rm -f -- "$directory"/floe_telemetry_cli-*.whl
"$tool/bin/maturin" build --manifest-path host/cli/Cargo.toml --profile "$profile" --locked --out "$directory" >&2
ls "$directory"/floe_telemetry_cli-*.whl
