//! Which files may decide, and which may not.

#![expect(clippy::expect_used, reason = "a test that cannot be set up fails")]

use floe_telemetry::{Component, Policy};
use wasmtime::Engine;

const COMPONENT: &str = env!("FLOE_POLICY_COMPONENT_FILE");

fn refused(bytes: &[u8]) -> String {
    Component::from_bytes(bytes).expect_err("refused").to_string()
}

#[test]
fn ours_is_admitted_small_and_imports_nothing() {
    let bytes = std::fs::read(COMPONENT).unwrap();
    assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
    let component = Component::from_bytes(&bytes).unwrap();
    assert_eq!(component.info().name, "floe-policy");
    assert_eq!(component.digest().len(), 64);

    let engine = Engine::default();
    let component = wasmtime::component::Component::new(&engine, &bytes).unwrap();
    assert_eq!(component.component_type().imports(&engine).count(), 0);
    let exports: Vec<String> = component
        .component_type()
        .exports(&engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    for interface in [
        "describe",
        "configuration",
        "propagation",
        "sampling",
        "operations",
        "errors",
    ] {
        assert!(
            exports.contains(&format!("floe:telemetry/{interface}@0.1.0")),
            "{exports:?}"
        );
    }
    // What `describe` says is what `wit/` says.
    assert!(include_str!("../../wit/world.wit").contains(&format!(
        "package floe:telemetry@{};",
        Component::built_in().unwrap().info().contract
    )));
}

#[test]
fn a_missing_file() {
    let error = Component::from_file("/nowhere/policy.wasm".as_ref()).unwrap_err();
    assert_eq!(error.code, "FLOE-C001");
    assert!(error.message.contains("/nowhere/policy.wasm"));
}

#[test]
fn a_directory() {
    assert_eq!(
        Component::from_file(std::env::temp_dir().as_ref())
            .unwrap_err()
            .code,
        "FLOE-C001"
    );
}

#[test]
fn what_is_no_component() {
    assert!(refused(b"").contains("FLOE-C002"));
    assert!(refused(b"hello, I am no WebAssembly").contains("FLOE-C002"));
    assert!(refused(b"\0asm\x01\0\0\0").contains("FLOE-C003"));
    let bytes = std::fs::read(COMPONENT).unwrap();
    for length in [8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(refused(&bytes[..length]).contains("FLOE-C00"), "{length}");
    }
}

#[test]
fn components_of_other_worlds() {
    // An empty component exports nothing.
    assert!(refused(b"\0asm\x0d\0\x01\0").contains("FLOE-C004"));
    let importing = wat::parse_str(r#"(component (import "wasi:clocks/now@0.2.0" (func)))"#).unwrap();
    let message = refused(&importing);
    assert!(
        message.contains("FLOE-C004") && message.contains("wasi:clocks/now"),
        "{message}"
    );
}

#[test]
fn threads_share_a_policy() {
    let policy = Policy::unconfigured(Component::built_in().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let found = policy
                        .extract("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "", "")
                        .unwrap();
                    assert_eq!((found.span, found.flags), (0x00f0_67aa_0ba9_02b7, 1));
                }
            });
        }
    });
}
