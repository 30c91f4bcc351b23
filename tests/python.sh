#!/usr/bin/env bash
# python.sh VENV SITE COMPONENT: the locked packages in VENV, made once, and this clone's own package as its wheel installs it in SITE.
# COMPONENT is the policy's; the backends' is beside it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
venv=$1 site=$2 component=$3

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

if [[ ! -f $venv/complete ]]; then
    echo "installing the Python packages of tests/requirements.txt into $venv" >&2
    python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        { echo "Python 3.11 or later with venv is needed as python3" >&2; exit 1; }
    python3 -m venv --clear "$venv"
    pip install --require-hashes --requirement tests/requirements.txt
    touch "$venv/complete"
fi

for built in "$component" "$(dirname -- "$component")/floe_backends.wasm"; do
    carried=adapters/python/src/floe_telemetry/$(basename -- "$built")
    cmp --quiet "$built" "$carried" || cp "$built" "$carried"
done

# Installed anew where a file of the package is newer than the last install.
if [[ ! -f $site/complete || -n $(find adapters/python -newer "$site/complete" -type f -not -path '*/__pycache__/*' -not -path '*/.*' -print -quit) ]]; then
    rm -rf "$site"
    pip install --no-deps --no-build-isolation --no-index --target "$site" ./adapters/python
    touch "$site/complete"
fi
