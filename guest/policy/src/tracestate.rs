//! W3C Trace Context, Level 2, section 3.3: the list of a `tracestate`.

use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::diagnostic::{self, Place, shown};
use crate::otel_trace_state::{self, OtelTraceState};

/// Most members (section 3.3.1.1).
const MOST_MEMBERS: usize = 32;
/// Members longer than this go first where a list has to be cut (section 3.3.1.5).
const LONG_MEMBER: usize = 128;

/// A valid list: at most [`MOST_MEMBERS`] members, keys unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceState<'a> {
    members: Vec<Member<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> TraceState<'a> {
    /// Reads a header: no white space, no empty members, the first of duplicate keys. One broken member drops the whole list.
    pub fn parse(header: &'a str) -> Result<Self, Diagnostic> {
        let refused = |found: &str, reason: &str| {
            Place::named("tracestate").warning(
                diagnostic::TRACESTATE,
                format!("{}: {reason}; the tracestate is left out", shown(found)),
                "send key=value members as W3C Trace Context section 3.3 says",
            )
        };
        let mut members: Vec<Member<'_>> = Vec::new();
        for text in header.split(',').map(trim).filter(|text| !text.is_empty()) {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            if !is_key(key) || !is_value(value) {
                return Err(refused(text, "not a member"));
            }
            if members.iter().any(|known| known.key == key) {
                continue;
            }
            if members.len() == MOST_MEMBERS {
                return Err(refused(text, "more than 32 members"));
            }
            members.push(Member { key, value });
        }
        Ok(Self { members })
    }

    /// OpenTelemetry's member: nothing if there is none, an error with its text if it is none.
    pub fn otel(&self) -> Result<Option<OtelTraceState<'a>>, &'a str> {
        match self
            .members
            .iter()
            .find(|member| member.key == otel_trace_state::KEY)
        {
            Some(member) => OtelTraceState::parse(member.value).map(Some).ok_or(member.value),
            None => Ok(None),
        }
    }

    /// The list with another value for OpenTelemetry's member, at the left as a changed member has to be (section 3.5); without the
    /// member if the value is empty.
    pub fn format_with_otel(&self, value: &str) -> String {
        let others = self
            .members
            .iter()
            .filter(|member| member.key != otel_trace_state::KEY);
        let mut members: Vec<Member<'_>> = others.copied().collect();
        if !value.is_empty() {
            while members.len() >= MOST_MEMBERS {
                let long = members.iter().rposition(|member| member.len() > LONG_MEMBER);
                members.remove(long.unwrap_or(members.len() - 1));
            }
            members.insert(
                0,
                Member {
                    key: otel_trace_state::KEY,
                    value,
                },
            );
        }
        joined(&members)
    }

    /// Writes the header.
    pub fn format(&self) -> String {
        joined(&self.members)
    }
}

impl Member<'_> {
    fn len(&self) -> usize {
        self.key.len() + 1 + self.value.len()
    }
}

fn joined(members: &[Member<'_>]) -> String {
    let mut text = String::with_capacity(members.iter().map(|member| member.len() + 1).sum());
    for member in members {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(member.key);
        text.push('=');
        text.push_str(member.value);
    }
    text
}

/// Optional white space of HTTP is a space or a tab.
pub fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_key(key: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= 256
        && key.bytes().next().is_some_and(first)
        && key.bytes().all(|byte| first(byte) || b"_-*/@".contains(&byte))
}

fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=')
        && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_list_that_was_written_is_read(text in "[a-z0-9=, \t@:;]{0,80}") {
            if let Ok(state) = TraceState::parse(&text) {
                let written = state.format();
                proptest::prop_assert_eq!(TraceState::parse(&written), Ok(state));
            }
        }

        #[test]
        fn a_changed_member_moves_to_the_left_and_the_list_stays_within_bounds(count in 0_usize..33, long in 0_usize..33) {
            let members: Vec<_> = (0..count).map(|n| format!("k{n}={}", "v".repeat(if n == long { 200 } else { 1 }))).collect();
            let text = members.join(",");
            if let Ok(state) = TraceState::parse(&text) {
                let changed = state.format_with_otel("th:8");
                let (left, rest) = changed.split_once(',').unwrap_or((&changed, ""));
                proptest::prop_assert_eq!(left, "ot=th:8");
                proptest::prop_assert_eq!(rest.split(',').filter(|member| !member.is_empty()).count(), count.min(31));
                proptest::prop_assert!(count < 32 || long >= count || !rest.contains("vv"));
            }
        }
    }
}
