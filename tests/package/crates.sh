#!/usr/bin/env bash
# Puts the components, the policy as given and the backends beside it, where the crate `floe-telemetry` is packaged with them.
set -euo pipefail
component=$1
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

mkdir -p host/component
cp -- "$component" "$(dirname -- "$component")/floe_backends.wasm" host/component/
