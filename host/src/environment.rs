//! Context in the process environment: `TRACEPARENT`, `TRACESTATE` and `BAGGAGE` (OpenTelemetry specification, "Environment
//! Variables as Context Propagation Carriers").

use std::collections::BTreeMap;
use std::ffi::OsStr;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use crate::propagator::FloePropagator;

/// Variables as a carrier. Names are normalized: upper case, and `_` for what is not a letter or a digit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 carry no context.
    pub fn current() -> Self {
        Self(
            ["TRACEPARENT", "TRACESTATE", "BAGGAGE"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
                .collect(),
        )
    }

    /// What a child process gets to continue `context`.
    pub fn of(context: &Context, propagator: &FloePropagator) -> Self {
        let mut environment = Self::default();
        propagator.inject_context(context, &mut environment);
        environment
    }

    /// The context of the environment.
    pub fn context(&self, propagator: &FloePropagator) -> Context {
        propagator.extract_with_context(&Context::new(), self)
    }

    /// The variables.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(name, value)| (OsStr::new(name), OsStr::new(value)))
    }
}

fn normalized(name: &str) -> String {
    let upper: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    if upper.is_empty() || upper.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{upper}")
    } else {
        upper
    }
}

impl Extractor for Environment {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(&normalized(key)).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Injector for Environment {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(normalized(key), value);
    }
}
