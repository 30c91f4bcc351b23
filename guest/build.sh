#!/usr/bin/env bash
# Builds the two components by plain `cargo build` and prints the policy's path, and nothing else, on stdout. The backends are
# beside it: floe_backends.wasm.
#
# The target's standard library comes from rustup. Where rustup cannot fetch it and Debian's packages can be had, they build it
# from source.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

target=wasm32-unknown-unknown
directory=${CARGO_TARGET_DIR:-$PWD/target}/component
build=(build --locked --package floe-telemetry-policy --package floe-telemetry-backends --profile component --target "$target" --target-dir "$directory")

have_target() { [[ -d $(rustc --print target-libdir --target "$target" 2>/dev/null) ]]; }

if have_target || { rustup target add "$target" >&2 && have_target; }; then
    cargo "${build[@]}" >&2
elif apt-cache show rustc-web >/dev/null 2>&1; then
    echo "rustup has no standard library for $target: building it with Debian's rustc-web, cargo-web and rust-web-src" >&2
    if ! dpkg --status rustc-web cargo-web rust-web-src >/dev/null 2>&1; then
        as_root=()
        [[ $(id -u) == 0 ]] || as_root=(sudo)
        "${as_root[@]}" apt-get install -qq --yes rustc-web cargo-web rust-web-src >&2
    fi
    # rustup's toolchain has the linker that makes components; Debian's has the sources.
    linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
    PATH=/usr/bin:$linker:$linker/gcc-ld:$PATH RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        /usr/bin/cargo "${build[@]}" -Zbuild-std=std,panic_abort >&2
else
    echo "the Rust target $target is missing: run \`rustup target add $target\`" >&2
    exit 1
fi
printf '%s\n' "$directory/$target/component/floe_policy.wasm"
