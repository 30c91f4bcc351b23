//! `floe-telemetry schema`

use std::process::ExitCode;

/// The JSON Schema, as published.
const SCHEMA: &str = include_str!("../schema/manifest.schema.json");

pub(crate) fn run() -> ExitCode {
    crate::say(SCHEMA.trim_end());
    ExitCode::SUCCESS
}
