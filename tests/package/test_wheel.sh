#!/usr/bin/env bash
# Installs the command's wheel with nothing but pip into a fresh environment, beside no package of ours, and runs it elsewhere.
set -euo pipefail
cache=$1 component=$2
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
wheel=$(tests/package/wheel.sh "$cache" dev "$place/dist")
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip --disable-pip-version-check --quiet install --no-index "$wheel"
printf '%s\n' \
    'metadata: {name: sales, version: 1.2.0, namespace: acme.sales}' \
    'observability: {telemetry: {otlp_endpoint: "http://127.0.0.1:9"}}' >"$place/manifest.yaml"

cd "$place"
run() { env -i HOME="$HOME" PATH=/usr/bin:/bin FLOE_CACHE="$cache" "$place/venv/bin/floe-telemetry" "$@"; }
check() { [[ $1 == *"$2"* ]] || { echo "expected \"$2\" in: $1" >&2; exit 1; }; }
check "$(run --version)" "sha256 $(sha256sum "$component" | cut -d' ' -f1)"
check "$(run validate manifest.yaml)" 'is valid'
check "$(run doctor --timeout 2 manifest.yaml || true)" 'error[FLOE-D002]'
check "$(run exec manifest.yaml -- sh -c 'echo $TRACEPARENT' 2>/dev/null)" '00-'
echo "the command runs from $(basename "$wheel")"
