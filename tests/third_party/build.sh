#!/usr/bin/env bash
# build.sh [PYTHON]: builds the third parties' backends of the tests, once for each state of their sources, and prints their directory. In it,
# a directory a component: `openobserve`, which is Python's, and those of evil.py. PYTHON has the packages of tests/requirements.txt.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
top=$(cd -- "$here/../.." && pwd)
cache=${FLOE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/floe-telemetry}
python=${1:-$cache/venv-$(sha256sum "$top/tests/requirements.txt" | cut -c -16)/bin/python}
[[ -x $python ]] || { echo "$python is not there: run \`just test-python\` once, or name a Python with the packages" >&2; exit 1; }

compiler=$(dirname -- "$python")/componentize-py
key=$(cat "$here"/openobserve/backend.py "$here"/evil.py "$top"/wit/*.wit <("$compiler" --version) | sha256sum | cut -c -16)
directory=$cache/third-party-$key

if [[ ! -d $directory ]]; then
    mkdir -p -- "$cache"
    made=$(mktemp -d -- "$cache/third-party.XXXXXX")
    trap 'rm -rf -- "$made"' EXIT
    echo "building the backends of third parties into $directory" >&2
    mkdir -- "$made/openobserve"
    "$compiler" -d "$top/wit" -w telemetry-backends componentize -p "$here/openobserve" backend \
        -o "$made/openobserve/openobserve.wasm" >&2
    "$python" "$here/evil.py" "$made"
    # Where another build was faster, its result is as good.
    mv --no-target-directory -- "$made" "$directory" 2>/dev/null || [[ -d $directory ]]
fi
echo "$directory"
