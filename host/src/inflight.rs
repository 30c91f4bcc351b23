//! Operations that are open: those that take long say so, those that nobody ends are ended, and those that a process did not live to end are reported by
//! the next one.
//!
//! A short operation costs an entry in a map. Everything else is done once a second on a thread of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use opentelemetry_sdk::logs::SdkLogger;

use crate::bindings::exports::floe::telemetry::configuration::LongOperations;
use crate::bindings::exports::floe::telemetry::types::Exception;
use crate::error::Problem;
use crate::manifest::Manifest;
use crate::operation::Open;
use crate::policy::Policy;
use crate::provider::Sdk;
use crate::record::{self, Note, Record, nanoseconds};

/// How often is looked, and how old an operation is when it is recorded on disk.
const TICK: Duration = Duration::from_secs(1);
/// The word for what nobody ended, and its `error.type`.
pub(crate) const ABANDONED: &str = "abandoned";

/// The open operations of a process.
#[derive(Debug)]
pub(crate) struct InFlight {
    heartbeat: Duration,
    /// After which an operation is ended.
    abandoned: Option<Duration>,
    logger: SdkLogger,
    open: Mutex<HashMap<SpanId, Watched>>,
    /// Held while a line is written, and never together with `open`.
    record: Mutex<Record>,
}

#[derive(Debug)]
struct Watched {
    operation: Arc<Open>,
    /// Intervals that are over and that a log record told of.
    beats: u64,
    recorded: bool,
}

impl InFlight {
    pub(crate) fn new(limits: LongOperations, logger: SdkLogger) -> Self {
        let seconds = |number: u32| Duration::from_secs(u64::from(number));
        Self {
            heartbeat: seconds(limits.heartbeat.max(1)),
            abandoned: (limits.abandoned > 0).then(|| seconds(limits.abandoned)),
            logger,
            open: Mutex::default(),
            record: Mutex::default(),
        }
    }

    /// An operation began.
    pub(crate) fn began(&self, operation: &Arc<Open>) {
        let watched = Watched {
            operation: Arc::clone(operation),
            beats: 0,
            recorded: false,
        };
        self.open()
            .insert(operation.context().span().span_context().span_id(), watched);
    }

    /// An operation ended.
    pub(crate) fn ended(&self, span: SpanId) {
        let watched = self.open().remove(&span);
        if watched.is_some_and(|watched| watched.recorded) {
            self.record().end(span);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SpanId, Watched>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is open.
    fn look(&self, policy: &Policy, sdk: &Sdk) {
        let (mut new, mut beating, mut late) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut open = self.open();
            for watched in open.values_mut() {
                let age = watched.operation.elapsed();
                if age >= TICK && !watched.recorded && watched.operation.is_recording() {
                    watched.recorded = true;
                    new.push(Arc::clone(&watched.operation));
                }
                let beats = age.as_secs() / self.heartbeat.as_secs();
                if beats > watched.beats {
                    beating.push((Arc::clone(&watched.operation), watched.beats == 0));
                    watched.beats = beats;
                }
                if self.abandoned.is_some_and(|longest| age >= longest) {
                    late.push(Arc::clone(&watched.operation));
                }
            }
        }
        for operation in new {
            // Redacted before anything is locked.
            let note = Note::of(&operation, policy);
            let process = sdk.identity(policy);
            self.record().begin(note, process);
            let span = operation.context().span().span_context().span_id();
            if !self.open().contains_key(&span) {
                // It ended meanwhile, and found nothing to end.
                self.record().end(span);
            }
        }
        if !beating.is_empty() {
            self.record().alive();
        }
        for (operation, first) in beating {
            self.beat(&operation, first);
        }
        for operation in late {
            let seconds = operation.elapsed().as_secs();
            operation.end(
                policy,
                Some(sdk),
                ABANDONED,
                Some(&abandoned(format!("nobody ended it in {seconds} s"))),
            );
        }
    }

    /// Says that an operation goes on.
    fn beat(&self, operation: &Open, first: bool) {
        let context = operation.context().clone();
        // For the baggage of its records.
        let attached = context.clone().attach();
        let span = context.span();
        let span = span.span_context();
        let elapsed = operation.elapsed().as_secs_f64();
        let mut record = self.logger.create_log_record();
        record.set_event_name(if first {
            "floe.operation.started"
        } else {
            "floe.operation.heartbeat"
        });
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(Severity::Info);
        record.set_severity_text("INFO");
        record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        record.set_body(format!("{} runs for {elapsed:.0} s", operation.span_name()).into());
        record.add_attribute("floe.operation.kind", record::word(operation.kind()));
        record.add_attribute("floe.operation.name", operation.span_name().to_owned());
        record.add_attribute("floe.operation.elapsed", elapsed);
        if first {
            record.add_attribute(
                "floe.operation.start_time",
                AnyValue::Int(nanoseconds(operation.since())),
            );
        }
        self.logger.emit(record);
        drop(attached);
    }
}

/// What an operation failed with that nobody ended.
pub(crate) fn abandoned(message: String) -> Exception {
    Exception {
        type_: ABANDONED.to_owned(),
        message,
        stacktrace: String::new(),
        causes: Vec::new(),
    }
}

/// Reports what earlier processes left, and looks at what is open as long as there is telemetry.
pub(crate) fn start(sdk: &Arc<Sdk>, policy: &Policy, manifest: &Manifest) -> Result<(), Problem> {
    let (watched, reporting) = (Arc::downgrade(sdk), Arc::clone(sdk));
    let (watching, reporter, manifest) = (policy.clone(), policy.clone(), manifest.clone());
    let started = thread::Builder::new()
        .name("floe-telemetry-leftovers".to_owned())
        .spawn(move || {
            record::report(&reporting, &reporter, &manifest);
            reporting.reported();
        });
    if started.is_err() {
        sdk.reported();
    }
    thread::Builder::new()
        .name("floe-telemetry-operations".to_owned())
        .spawn(move || watch(&watched, &watching))
        .map(drop)
        .map_err(|error| {
            Problem::new(
                "FLOE-X002",
                format!("the thread that watches operations cannot be started: {error}"),
                "check how many threads this process may have",
            )
        })
}

fn watch(sdk: &Weak<Sdk>, policy: &Policy) {
    loop {
        thread::sleep(TICK);
        let Some(sdk) = sdk.upgrade().filter(|sdk| !sdk.is_ended()) else {
            return;
        };
        sdk.in_flight().look(policy, &sdk);
    }
}
