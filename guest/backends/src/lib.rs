//! floe's built-in telemetry backends: settings in, a fragment of OpenTelemetry Collector configuration out.
//!
//! Plain Rust, one module a concern, tested natively; on a wasm target [`component`] exports it as the world `telemetry-backends` of `wit/`. A backend that
//! takes OTLP is a row of [`catalogue`]; the others have a module each under [`backends`].

#[expect(missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        world: "telemetry-backends",
        path: "wit",
        pub_export_macro: true,
        additional_derives: [PartialEq, serde::Deserialize, serde::Serialize],
    });
}

pub mod backend;
pub mod backends;
pub mod catalogue;
pub mod collector;
pub mod component;
pub mod component_type;
pub mod diagnostic;
pub mod draft;
pub mod otlp;
pub mod rule;
pub mod setting;
pub mod settings;
pub mod text;
pub mod url;
