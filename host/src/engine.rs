//! The one engine of the process: what wasmtime may do, and the clock that interrupts.

use std::sync::OnceLock;
use std::time::Duration;

use wasmtime::{Config, Engine, Memory, MemoryType, Store};

use crate::error::Problem;
use crate::platform;

/// Length of an epoch.
const TICK: Duration = Duration::from_millis(10);
/// By how much a memory grows at once where address space is short, and its guard, in bytes.
const GROWTH: u64 = 1024 * 1024;
const GUARD: u64 = 64 * 1024;

/// How much address space memories take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reservation {
    /// Gigabytes, of which almost all stay unused: no access needs a check.
    Whole,
    /// What they use, at the cost of checks. A process whose address space is limited has not got the gigabytes.
    Used,
}

/// The engine; it is made once.
pub(crate) fn engine() -> Result<&'static Engine, Problem> {
    static ENGINE: OnceLock<Result<Engine, Problem>> = OnceLock::new();
    ENGINE.get_or_init(start).as_ref().map_err(Clone::clone)
}

/// Why WebAssembly cannot run.
pub(crate) fn unable(reason: &str) -> Problem {
    let (limit, help) = match platform::address_space() {
        Some(bytes) => (
            format!(
                "; the address space of this process is limited to {} KiB",
                bytes / 1024
            ),
            "raise the limit, or take it away: `ulimit -v unlimited`",
        ),
        None => (String::new(), "use a platform that wasmtime supports"),
    };
    Problem::new(
        "FLOE-C007",
        format!("WebAssembly cannot run here: {reason}{limit}"),
        help,
    )
}

fn start() -> Result<Engine, Problem> {
    let new = |reservation| Engine::new(&config(reservation)).map_err(|error| unable(&error.to_string()));
    let engine = match platform::address_space() {
        None => new(Reservation::Whole).and_then(|engine| {
            if has_room(&engine) {
                Ok(engine)
            } else {
                new(Reservation::Used)
            }
        })?,
        Some(_) => new(Reservation::Used)?,
    };
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
        .map_err(|error| unable(&format!("a thread cannot be started: {error}")))?;
    Ok(engine)
}

fn config(reservation: Reservation) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Calls are synchronous; support for concurrent ones would cost each of them.
    config.concurrency_support(false);
    if reservation == Reservation::Used {
        config
            .memory_reservation(0)
            .memory_reservation_for_growth(GROWTH)
            .memory_guard_size(GUARD)
            .memory_may_move(true);
    }
    config
}

/// Whether a memory can be had. Other things than a limit may be in the way.
fn has_room(engine: &Engine) -> bool {
    Memory::new(Store::new(engine, ()), MemoryType::new(1, None)).is_ok()
}
