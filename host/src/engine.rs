//! The one engine of the process: what wasmtime may do, and the clock that interrupts.

use std::sync::OnceLock;
use std::time::Duration;

use wasmtime::{Config, Engine};

use crate::error::Problem;

/// Length of an epoch.
const TICK: Duration = Duration::from_millis(10);
/// The engine; it is made once.
pub(crate) fn engine() -> Result<&'static Engine, Problem> {
    static ENGINE: OnceLock<Result<Engine, Problem>> = OnceLock::new();
    ENGINE.get_or_init(start).as_ref().map_err(Clone::clone)
}

fn start() -> Result<Engine, Problem> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Calls are synchronous; support for concurrent ones would cost each of them.
    config.concurrency_support(false);
    let problem = |error: String| {
        Problem::new(
            "FLOE-C007",
            format!("WebAssembly cannot run here: {error}"),
            "use a platform that wasmtime supports",
        )
    };
    let engine = Engine::new(&config).map_err(|error| problem(error.to_string()))?;
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("floe-telemetry-epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|error| problem(error.to_string()))?;
    Ok(engine)
}
