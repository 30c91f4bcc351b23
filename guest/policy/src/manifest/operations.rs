//! `operations` and `exceptions`: how long operations may take, which become spans, and how failures are told.

use crate::bindings::exports::floe::telemetry::configuration::{ExceptionSignals, LongOperations};
use crate::kinds::{Boolean, Choice, Integer};
use crate::settings::{Settings, Visitor};

/// Longest time, in seconds: 30 days.
const LONGEST: u32 = 2_592_000;

/// `operations`.
#[derive(Debug, Clone)]
pub struct OperationSettings {
    heartbeat: u32,
    abandoned: u32,
    skipped_ticks: bool,
}

impl Default for OperationSettings {
    fn default() -> Self {
        Self {
            heartbeat: 60,
            abandoned: 86_400,
            skipped_ticks: false,
        }
    }
}

impl Settings for OperationSettings {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "heartbeat_interval",
            "Interval, in seconds, of the log records that say that an operation still goes on; one that takes less has none.",
            Integer(1..=LONGEST),
            &mut self.heartbeat,
        );
        visitor.setting(
            "abandoned_after",
            "After how many seconds an operation that nobody ended is ended, with error.type `abandoned`; 0 for never.",
            Integer(0..=LONGEST),
            &mut self.abandoned,
        );
        visitor.setting(
            "skipped_ticks",
            "Whether a sensor's or a schedule's tick that started nothing becomes a span. It is measured in any case.",
            Boolean,
            &mut self.skipped_ticks,
        );
    }
}

impl OperationSettings {
    /// As the contract has it.
    pub fn limits(&self) -> LongOperations {
        LongOperations {
            heartbeat: self.heartbeat,
            abandoned: self.abandoned,
            skipped_ticks: self.skipped_ticks,
        }
    }
}

/// What `exceptions.signal` says, in its words and in those of OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN.
const SIGNALS: &[(&str, ExceptionSignals)] = &[
    (
        "events",
        ExceptionSignals {
            event: true,
            log: false,
        },
    ),
    (
        "logs",
        ExceptionSignals {
            event: false,
            log: true,
        },
    ),
    (
        "logs/dup",
        ExceptionSignals {
            event: true,
            log: true,
        },
    ),
];

/// `exceptions`.
#[derive(Debug, Clone)]
pub struct ExceptionSettings {
    signals: ExceptionSignals,
}

impl Default for ExceptionSettings {
    fn default() -> Self {
        Self {
            signals: ExceptionSignals {
                event: true,
                log: false,
            },
        }
    }
}

impl Settings for ExceptionSettings {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "signal",
            "Where an exception is told: `events` of its span, `logs` in its context, or `logs/dup` for both. Semantic conventions for exceptions move from the first to the second.",
            Choice(SIGNALS),
            &mut self.signals,
        );
    }
}

impl ExceptionSettings {
    /// As the contract has it.
    pub fn signals(&self) -> ExceptionSignals {
        self.signals
    }
}
