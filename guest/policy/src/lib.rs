//! floe's telemetry policy: every decision about telemetry, compiled once and loaded by every host.
//!
//! Plain Rust, one module a concern, tested natively; on a wasm target [`component`] exports it as the world `policy`
//! of `wit/`. It has no clock, no files, no environment and no network, so the same input always gets the same answer.

#[expect(missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "policy",
        path: "wit",
        pub_export_macro: true,
        additional_derives: [PartialEq, serde::Deserialize, serde::Serialize],
    });
}

pub mod attribute;
pub mod baggage;
pub mod component;
pub mod configuration;
pub mod deployment;
pub mod diagnostic;
pub mod error;
pub mod fields;
pub mod instrument;
pub mod kinds;
pub mod layers;
pub mod manifest;
pub mod operation;
pub mod otel_trace_state;
pub mod pattern;
pub mod policy;
pub mod probability;
pub mod reader;
pub mod redaction;
pub mod reference;
pub mod sampling;
pub mod schema;
pub mod settings;
pub mod sources;
pub mod trace_context;
pub mod tracestate;
pub mod variables;
pub mod yaml;

pub use policy::Policy;
