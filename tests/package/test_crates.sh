#!/usr/bin/env bash
# Makes the crates and builds a program against their packages, outside this tree: with the component inside, and nothing else of ours at hand.
set -euo pipefail
component=$1
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

tests/package/crates.sh "$component"
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
CARGO_TARGET_DIR=$place/made cargo package --locked --workspace --allow-dirty --no-verify
for crate in "$place"/made/package/floe-telemetry*.crate; do tar -xzf "$crate" -C "$place"; done
# A package of the registry is of no workspace, and has no sources of another beside it.
rm -rf -- "$place"/made "$place"/floe-telemetry-{policy,backends,vectors,benchmarks,conformance}-*

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
mkdir -p "$place/user/src"
cp Cargo.lock "$place/user/"
cat >"$place/user/Cargo.toml" <<EOF
[package]
name = "user"
edition = "2024"

[dependencies]
floe-telemetry = { version = "$version", features = ["backends"] }

[patch.crates-io]
$(for crate in telemetry telemetry-otlp telemetry-receiver; do echo "floe-$crate = { path = \"../floe-$crate-$version\" }"; done)
EOF
cat >"$place/user/src/main.rs" <<'EOF'
use floe_telemetry::{Backends, Component, Manifest, OperationKind, TelemetryProvider};

fn main() {
    let manifest = Manifest::new(
        "manifest.yaml",
        "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\nobservability: {telemetry: {enabled: false}}",
    );
    let telemetry = TelemetryProvider::from_manifest(&manifest).expect("a valid manifest");
    telemetry.operation(OperationKind::Custom, "work").begin().end("success");
    Backends::load(None).expect("the backends in the crate");
    println!("{}", Component::built_in().expect("the component in the crate").digest());
}
EOF
found=$(cd "$place/user" && env -u FLOE_POLICY_COMPONENT cargo run --quiet)
expected=$(sha256sum "$component" | cut -d' ' -f1)
[[ $found == "$expected" ]] || { echo "the crate holds the component $found, not $expected" >&2; exit 1; }
echo "a program outside this tree runs the component $found"
