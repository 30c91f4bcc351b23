//! The contract of `wit/`, as Rust sees it.
#![expect(missing_docs, reason = "generated; wit/ documents every item")]

wasmtime::component::bindgen!({
    world: "policy",
    path: "wit",
    additional_derives: [PartialEq],
});

/// The world `telemetry-backends`, with the same types where it shares them.
#[cfg(feature = "backends")]
pub mod telemetry_backends {
    wasmtime::component::bindgen!({
        world: "telemetry-backends",
        path: "wit",
        additional_derives: [PartialEq],
        with: { "floe:telemetry/types@0.1.0": crate::bindings::exports::floe::telemetry::types },
    });
}
