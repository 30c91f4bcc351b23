//! `floe-telemetry --version`

use std::process::ExitCode;

use floe_telemetry::Component;

/// The command's version stands alone on its line, for scripts.
pub(crate) fn run() -> ExitCode {
    crate::say(concat!("floe-telemetry ", env!("CARGO_PKG_VERSION")));
    match Component::load() {
        Ok(component) => {
            let info = component.info();
            crate::say(format_args!(
                "policy {} {}, sha256 {}",
                info.name,
                info.version,
                component.digest()
            ));
            crate::say(format_args!("contract floe:telemetry@{}", info.contract));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            crate::remark(problem);
            ExitCode::FAILURE
        }
    }
}
