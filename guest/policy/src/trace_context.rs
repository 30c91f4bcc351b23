//! W3C Trace Context, Level 2, section 3.2: `traceparent`.

use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::diagnostic::{self, Place, shown};
use crate::probability::hex;
use crate::tracestate::trim;

/// Sampled (bit 0) and random (bit 1) are known; the others are zero on output (section 3.2.2.5).
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;
/// Characters of a header of version 00.
const LENGTH: usize = 55;

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
    /// Whether the trace is kept.
    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

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
        let rest = header.get(LENGTH..)?;
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
        fn any_text_is_answered(text in "[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{16}-[0-9a-f]{2}\\PC{0,9}") {
            if let Ok(parent) = TraceParent::parse(&text) {
                proptest::prop_assert_eq!(TraceParent::parse(&parent.format()), Ok(parent));
            }
        }
    }
}
