//! OpenTelemetry's own member of a `tracestate`, `ot`: what a consistent probability sampler said of a trace.
//!
//! OpenTelemetry specification, "TraceState Handling" and "TraceState: Probability Sampling".

use crate::probability::{RANDOMNESS, from_rv, from_th, to_th};

/// Key of the member.
pub const KEY: &str = "ot";
/// Longest value.
const LONGEST: usize = 256;
const TH: &str = "th";
const RV: &str = "rv";

/// The member's value, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtelTraceState<'a> {
    /// T, if the probability with which the trace is kept is known.
    pub threshold: Option<u64>,
    /// R, where it is not in the trace id.
    randomness: Option<u64>,
    /// All but `th`, in order: `rv`, and what others put there.
    others: Vec<(&'a str, &'a str)>,
}

impl<'a> OtelTraceState<'a> {
    /// Reads a value; `None` if it is none.
    pub fn parse(value: &'a str) -> Option<Self> {
        if value.len() > LONGEST {
            return None;
        }
        let mut state = Self::default();
        for field in value.split(';') {
            let (key, value) = field.split_once(':')?;
            if !is_key(key) || !value.bytes().all(is_value) {
                return None;
            }
            let known = |other: &&str| *other == key;
            if state.others.iter().map(|(key, _)| key).any(known) || (key == TH && state.threshold.is_some())
            {
                return None;
            }
            match key {
                TH => state.threshold = Some(from_th(value)?),
                RV => {
                    state.randomness = Some(from_rv(value)?);
                    state.others.push((key, value));
                }
                _ => state.others.push((key, value)),
            }
        }
        Some(state)
    }

    /// R of the trace whose id has these low bits.
    pub fn randomness(&self, low: u64) -> u64 {
        self.randomness.unwrap_or(low & RANDOMNESS)
    }

    /// Writes the value; empty if nothing is in it. What is too much for [`LONGEST`] is left out from the end, but never `rv`.
    pub fn format(mut self) -> String {
        loop {
            let th = self
                .threshold
                .map(|threshold| format!("{TH}:{}", to_th(threshold)));
            let others = self.others.iter().map(|(key, value)| format!("{key}:{value}"));
            let text = th.into_iter().chain(others).collect::<Vec<_>>().join(";");
            let last = self.others.iter().rposition(|(key, _)| *key != RV);
            match last {
                Some(last) if text.len() > LONGEST => {
                    self.others.remove(last);
                }
                _ => return text,
            }
        }
    }
}

fn is_key(key: &str) -> bool {
    key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(threshold in proptest::option::of(0..crate::probability::NONE), rv in proptest::option::of("[0-9a-f]{14}"), other in proptest::option::of("[a-q][a-z0-9]{0,5}:[A-Za-z0-9._-]{0,9}")) {
            let text = [threshold.map(|t| format!("th:{}", to_th(t))), rv.map(|rv| format!("rv:{rv}")), other].into_iter().flatten().collect::<Vec<_>>().join(";");
            if let Some(state) = OtelTraceState::parse(&text) {
                proptest::prop_assert_eq!(state.format(), text);
            } else {
                proptest::prop_assert!(text.is_empty());
            }
        }
    }
}
