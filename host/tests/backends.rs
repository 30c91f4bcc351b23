//! Which components' backends can be used, and which cannot.

#![cfg(feature = "backends")]
#![expect(clippy::expect_used, reason = "a test that cannot be set up fails")]

use std::fs;
use std::path::Path;

use floe_telemetry::{Backends, KeyValue, Signal};

const BUILT_IN: &str = env!("FLOE_BACKENDS_COMPONENT_FILE");
const POLICY: &str = env!("FLOE_POLICY_COMPONENT_FILE");

fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).expect("written");
    }
    directory
}

fn refused(name: &str, bytes: &[u8]) -> String {
    let directory = directory(&[(name, bytes)]);
    Backends::load(Some(directory.path()))
        .expect_err("refused")
        .to_string()
}

#[test]
fn the_built_in_ones_are_all_there_and_import_nothing() {
    let backends = Backends::load(None).expect("loaded");
    assert_eq!(backends.list().count(), 18);
    let (jaeger, component) = backends.find("jaeger").expect("jaeger");
    assert_eq!(jaeger.signals, [Signal::Traces]);
    assert_eq!(component.info.name, "floe-backends");
    assert_eq!(component.digest.len(), 64);
    assert!(backends.find("zipkin").is_none());

    let engine = wasmtime::Engine::default();
    let bytes = fs::read(BUILT_IN).expect("the component");
    let component = wasmtime::component::Component::new(&engine, bytes).expect("compiled");
    assert_eq!(component.component_type().imports(&engine).count(), 0);
}

#[test]
fn render_answers_a_fragment_or_what_is_wrong() {
    let backends = Backends::load(None).expect("loaded");
    let (_, component) = backends.find("jaeger").expect("jaeger");
    let fragment = component
        .render("jaeger", &[], "0.161.0")
        .expect("no fault")
        .expect("a fragment");
    assert_eq!(fragment.exporters[0].id, "otlp_grpc/jaeger");
    let wrong = KeyValue {
        key: "endpont".to_owned(),
        value: "\"x\"".to_owned(),
    };
    let found = component
        .render("jaeger", &[wrong], "0.161.0")
        .expect("no fault")
        .expect_err("refused");
    assert_eq!(
        (found[0].code.as_str(), found[0].path.as_str()),
        ("FLOE-B002", "endpont")
    );
}

#[test]
fn a_directory_holds_components_and_whatever_else() {
    let directory = directory(&[("README.md", b"not a component"), ("notes.wasm.txt", b"")]);
    let backends = Backends::load(Some(directory.path())).expect("loaded");
    assert_eq!(backends.components().len(), 1);
    let missing = Backends::load(Some(Path::new("/nowhere/backends"))).expect_err("refused");
    assert_eq!(missing.code, "FLOE-C009");
    assert!(missing.message.contains("/nowhere/backends"));
}

#[test]
fn what_is_no_component_of_backends() {
    assert!(refused("a.wasm", b"hello").contains("FLOE-C002"));
    assert!(refused("a.wasm", b"hello").contains("a.wasm"));
    assert!(refused("a.wasm", b"\0asm\x01\0\0\0").contains("FLOE-C003"));
    assert!(refused("a.wasm", b"\0asm\x0d\0\x01\0").contains("FLOE-C004"));
    let policy = fs::read(POLICY).expect("the policy");
    assert!(refused("policy.wasm", &policy).contains("telemetry-backends"));
    let greedy =
        wat::parse_str(r#"(component (import "acme:secrets/vault@1.0.0" (instance)))"#).expect("wat");
    let message = refused("greedy.wasm", &greedy);
    assert!(
        message.contains("FLOE-C004") && message.contains("acme:secrets/vault"),
        "{message}"
    );
}

#[test]
fn a_name_is_offered_once() {
    let bytes = fs::read(BUILT_IN).expect("the component");
    let message = refused("mine.wasm", &bytes);
    assert!(
        message.contains("FLOE-C008")
            && message.contains("mine.wasm")
            && message.contains("the built-in component"),
        "{message}"
    );
}
