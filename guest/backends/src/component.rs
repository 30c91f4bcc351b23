//! The world `telemetry-backends`: each export hands on to the module that decides.

use crate::backend;
use crate::bindings::exports::floe::telemetry::backends::{self, Backend, Fragment};
use crate::bindings::exports::floe::telemetry::describe::{self, Info};
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, KeyValue};
use crate::catalogue::BACKENDS;

/// Version of `wit/` that this component is built against; a test compares the two.
pub const CONTRACT: &str = "0.1.0";

/// The component.
#[derive(Debug)]
pub struct Component;

impl describe::Guest for Component {
    fn describe() -> Info {
        Info {
            name: "floe-backends".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            contract: CONTRACT.to_owned(),
        }
    }
}

impl backends::Guest for Component {
    fn list() -> Vec<Backend> {
        BACKENDS.iter().map(|backend| backend.described()).collect()
    }

    fn render(name: String, settings: Vec<KeyValue>, collector: String) -> Result<Fragment, Vec<Diagnostic>> {
        backend::render(&name, &settings, &collector)
    }
}

#[cfg(target_family = "wasm")]
#[expect(unreachable_pub, unsafe_code, reason = "generated")]
mod exported {
    crate::bindings::export!(Component with_types_in crate::bindings);
    use super::Component;
}

#[cfg(test)]
mod tests {
    use super::*;
    use describe::Guest as _;

    #[test]
    fn the_contract_is_the_one_of_wit() {
        let world = include_str!("../wit/world.wit");
        assert!(world.contains(&format!(
            "package floe:telemetry@{};",
            Component::describe().contract
        )));
    }
}
