#!/usr/bin/env bash
# run.sh CACHE SECONDS [TARGET...]: builds the fuzz targets and runs each for that long, as many at once as there are processors.
#
# The stable toolchain will do: with no sanitizer, all that libFuzzer needs is coverage, which every rustc can count. What is found stays in CACHE,
# never in the tree: `corpus` holds new inputs, `artifacts` those that break a law.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

readonly CARGO_FUZZ_VERSION=0.13.2
cache=$1/fuzz seconds=$2
shift 2
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: SECONDS is a whole number, not \`$seconds\`" >&2; exit 1; }

# libFuzzer is C++.
if ! command -v "${CXX:-c++}" >/dev/null; then
    echo "fuzz: installing a C++ compiler, of which libFuzzer is built" >&2
    as_root=()
    [[ $(id -u) == 0 ]] || as_root=(sudo)
    "${as_root[@]}" apt-get install -qq --yes g++ >&2 || { echo "fuzz: install a C++ compiler as c++, or name it in CXX" >&2; exit 1; }
fi
tool=$cache/cargo-fuzz-$CARGO_FUZZ_VERSION
if [[ ! -x $tool/bin/cargo-fuzz ]]; then
    echo "fuzz: installing cargo-fuzz $CARGO_FUZZ_VERSION into $tool" >&2
    cargo install --quiet --locked --version "=$CARGO_FUZZ_VERSION" --root "$tool" --target-dir "$cache/cargo-fuzz-build" cargo-fuzz >&2
    rm -rf -- "$cache/cargo-fuzz-build"
fi
export PATH=$tool/bin:$PATH

# cargo-fuzz has no --locked, and must not change what is committed.
cargo metadata --quiet --locked --format-version 1 >/dev/null
echo "fuzz: building; the first time takes minutes" >&2
host=$(rustc -vV | sed -n 's/^host: //p')
cargo fuzz build --fuzz-dir . --sanitizer none --target "$host" --target-dir "$cache/target" >&2
binaries=$cache/target/$host/release

targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(cargo fuzz list --fuzz-dir .)

# Answers with one line; what libFuzzer said is in a log.
one() {
    local target=$1 corpus=$cache/corpus/$1 artifacts=$cache/artifacts/$1/ log=$cache/$1.log
    mkdir -p -- "$corpus" "$artifacts"
    # New inputs go to the first directory; the second is only read.
    if "$binaries/$target" "$corpus" "corpus/$target" -dict="dictionaries/$target.dict" -artifact_prefix="$artifacts" \
        -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
        printf '%-14s %10s runs\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        printf '%-14s FAILED\n' "$target"
        grep -E -A4 'panicked at|ERROR: libFuzzer|SUMMARY' "$log" | cut -c1-400
        printf 'again: %s %s\n' "$binaries/$target" "$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)"
        return 1
    fi
}
export -f one
export cache seconds binaries
printf '%s\0' "${targets[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c 'one "$1"' one {}
