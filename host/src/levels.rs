//! The lowest level of each target, which may change while the process runs.

use std::cmp::Reverse;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, callsite};
use tracing_subscriber::layer::{Context, Filter};

use crate::bindings::exports::floe::telemetry::configuration::Logging;
use crate::warning::UNDELIVERED;

/// What the export itself logs; exported, it would feed itself. Whatever a manifest says, none of it passes.
const EXPORT: [&str; 10] = [
    "opentelemetry",
    "opentelemetry_sdk",
    "floe_telemetry_otlp",
    "hyper",
    "hyper_util",
    "hyper_rustls",
    "h2",
    "tonic",
    "reqwest",
    "rustls",
];

/// The levels of a process. Copies change with it.
#[derive(Debug, Clone)]
pub(crate) struct Levels(Arc<RwLock<Table>>);

#[derive(Debug)]
struct Table {
    default: LevelFilter,
    /// Those with the most parts first.
    named: Vec<(Vec<String>, LevelFilter)>,
}

impl Levels {
    /// As a plan says; without one as a plan without settings would.
    pub(crate) fn new(logging: Option<&Logging>) -> Self {
        Self(Arc::new(RwLock::new(Table::new(logging))))
    }

    /// Changes them, also for what was logged before.
    pub(crate) fn set(&self, logging: &Logging) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Table::new(Some(logging));
        callsite::rebuild_interest_cache();
    }

    fn pass(&self, metadata: &Metadata<'_>) -> bool {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        *metadata.level() <= table.level(metadata.target())
    }
}

impl Table {
    fn new(logging: Option<&Logging>) -> Self {
        let named = logging.into_iter().flat_map(|logging| &logging.levels);
        let mut named: Vec<_> = named
            .map(|named| {
                (
                    parts(&named.name).map(str::to_owned).collect(),
                    filter(&named.level),
                )
            })
            .collect::<Vec<(Vec<String>, LevelFilter)>>();
        named.sort_by_key(|(name, _)| Reverse(name.len()));
        Self {
            default: logging.map_or(LevelFilter::INFO, |logging| filter(&logging.level)),
            named,
        }
    }

    fn level(&self, target: &str) -> LevelFilter {
        if parts(target).next().is_some_and(|first| EXPORT.contains(&first)) {
            return LevelFilter::OFF;
        }
        let is_in = |name: &[String]| {
            let mut parts = parts(target);
            name.iter().all(|part| parts.next() == Some(part))
        };
        let found = self.named.iter().find(|(name, _)| is_in(name));
        found.map_or(self.default, |(_, level)| *level)
    }
}

/// Targets are parted by `::`, and by `.` as loggers are in Python: `dagster.daemon` and `dagster::daemon` are one.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(['.', ':']).filter(|part| !part.is_empty())
}

fn filter(level: &str) -> LevelFilter {
    match level {
        "DEBUG" => LevelFilter::DEBUG,
        "WARNING" => LevelFilter::WARN,
        "ERROR" | "CRITICAL" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

impl<S> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.pass(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        interest(self.pass(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let named = table.named.iter().map(|(_, level)| *level);
        named.chain([table.default]).max()
    }
}

/// What passes on its way to the Collector: not that nothing reaches it.
#[derive(Debug, Clone)]
pub(crate) struct Exported(pub(crate) Levels);

impl Exported {
    fn pass(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() != UNDELIVERED && self.0.pass(metadata)
    }
}

impl<S> Filter<S> for Exported {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.pass(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        interest(self.pass(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0)
    }
}

fn interest(pass: bool) -> Interest {
    if pass {
        Interest::always()
    } else {
        Interest::never()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::exports::floe::telemetry::configuration::LoggerLevel;

    #[test]
    fn the_longest_name_of_whole_parts_wins() {
        let named = |name: &str, level: &str| LoggerLevel {
            name: name.to_owned(),
            level: level.to_owned(),
        };
        let table = Table::new(Some(&Logging {
            level: "WARNING".to_owned(),
            levels: vec![
                named("sales", "ERROR"),
                named("sales.load", "DEBUG"),
                named("hyper::client", "INFO"),
            ],
            json: false,
        }));
        for (target, expected) in [
            ("other", LevelFilter::WARN),
            ("sales", LevelFilter::ERROR),
            ("sales::report", LevelFilter::ERROR),
            ("sales::load", LevelFilter::DEBUG),
            ("sales.load.orders", LevelFilter::DEBUG),
            ("sales::loader", LevelFilter::ERROR),
            ("salesforce", LevelFilter::WARN),
            ("hyper::server", LevelFilter::OFF),
            ("hyper::client::pool", LevelFilter::OFF),
            ("", LevelFilter::WARN),
        ] {
            assert_eq!(table.level(target), expected, "{target}");
        }
    }
}
