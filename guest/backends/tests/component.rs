//! The component as it is built: small, of the world `telemetry-backends`, and asking for nothing.

use std::path::Path;
use std::process::Command;

use wasmparser::{Parser, Payload};

#[test]
fn it_is_small_exports_the_world_and_imports_nothing() {
    // Its target directory is not that of the cargo that runs this, so neither waits for the other.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build.sh");
    let built = Command::new(script).output().unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let policy = String::from_utf8(built.stdout).unwrap();
    let bytes = std::fs::read(Path::new(policy.trim()).with_file_name("floe_backends.wasm")).unwrap();
    assert!(bytes.len() < 400_000, "{} bytes", bytes.len());
    assert!(Parser::is_component(&bytes));

    // What modules and components inside import is given to them inside.
    let mut depth = 0;
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 0 => assert_eq!(imports.count(), 0),
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(
                    section
                        .into_iter()
                        .map(|export| export.unwrap().name.name.to_owned()),
                );
            }
            _ => {}
        }
    }
    exports.sort_unstable();
    assert_eq!(
        exports,
        [
            "floe:telemetry/backends@0.1.0",
            "floe:telemetry/describe@0.1.0",
            "floe:telemetry/types@0.1.0"
        ]
    );
}
