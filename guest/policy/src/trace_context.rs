//! W3C Trace Context, Level 2: `traceparent` and `tracestate`.

use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::diagnostic::{self, Place, shown};

/// Sampled (bit 0) and random (bit 1) are known; the others are zero on output (section 3.2.2.5).
const KNOWN_FLAGS: u8 = 0b11;
/// Most members of a `tracestate` (section 3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// Where a trace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// Trace id, not zero.
    pub trace: u128,
    /// Parent span id, not zero.
    pub span: u64,
    /// Known flags.
    pub flags: u8,
}

impl TraceParent {
    /// Reads a header (section 3.2). Several headers joined are not one.
    pub fn parse(header: &str) -> Result<Self, Diagnostic> {
        let header = trim(header);
        Self::fields(header).ok_or_else(|| {
            Place::named("traceparent").warning(
                diagnostic::TRACEPARENT,
                format!("{} is not a traceparent; a new trace starts", shown(header)),
                "send one header: version-traceid-parentid-flags, as W3C Trace Context section 3.2 says",
            )
        })
    }

    fn fields(header: &str) -> Option<Self> {
        let version = hex(header.get(0..2)?)?;
        let rest = header.get(55..)?;
        let later = match version {
            0 => rest.is_empty(),
            0xff => false,
            // A later version may append fields after a dash; a comma means that headers were joined.
            _ => rest.is_empty() || (rest.starts_with('-') && !rest.contains(',')),
        };
        let dashes = [2, 35, 52]
            .iter()
            .all(|at| header.as_bytes().get(*at) == Some(&b'-'));
        let trace = u128::from(hex(header.get(3..19)?)?) << 64 | u128::from(hex(header.get(19..35)?)?);
        let span = hex(header.get(36..52)?)?;
        let flags = hex(header.get(53..55)?)? as u8 & KNOWN_FLAGS;
        (later && dashes && trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }

    /// Writes a header of version 00.
    pub fn format(&self) -> String {
        format!(
            "00-{:032x}-{:016x}-{:02x}",
            self.trace,
            self.span,
            self.flags & KNOWN_FLAGS
        )
    }
}

/// Up to 16 lower-case hexadecimal digits, and nothing else.
fn hex(digits: &str) -> Option<u64> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.bytes().all(lower) {
        u64::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

/// Reads and writes a `tracestate` (section 3.3): no white space, no empty members, the first of duplicate keys. One
/// broken member drops the whole list, never the trace.
pub fn tracestate(header: &str) -> Result<String, Diagnostic> {
    let refused = |found: &str, reason: &str| {
        Place::named("tracestate").warning(
            diagnostic::TRACESTATE,
            format!("{}: {reason}; the tracestate is left out", shown(found)),
            "send key=value members as W3C Trace Context section 3.3 says",
        )
    };
    let mut members: Vec<(&str, &str)> = Vec::new();
    for member in header.split(',').map(trim).filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=').unwrap_or((member, ""));
        if !is_key(key) || !is_value(value) {
            return Err(refused(member, "not a member"));
        }
        if members.len() == MOST_MEMBERS {
            return Err(refused(member, "more than 32 members"));
        }
        if members.iter().all(|(known, _)| *known != key) {
            members.push((key, value));
        }
    }
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Ok(members.join(","))
}

/// Optional white space of HTTP is a space or a tab.
fn trim(text: &str) -> &str {
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
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., flags in 0_u8..4) {
            let parent = TraceParent { trace, span, flags };
            proptest::prop_assert_eq!(TraceParent::parse(&parent.format()), Ok(parent));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC*") {
            let _ = TraceParent::parse(&text);
            if let Ok(state) = tracestate(&text) {
                proptest::prop_assert_eq!(tracestate(&state), Ok(state.clone()));
            }
        }
    }
}
