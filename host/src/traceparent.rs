//! The numbers of an ordinary `traceparent`, which the contract lets a host read and write by itself: version 00, and nothing wrong with it
//! (W3C Trace Context section 3.2). The policy reads any other.

use data_encoding::HEXLOWER;
use opentelemetry::trace::{SpanId, TraceFlags, TraceId};

/// Characters of version 00.
const LENGTH: usize = 55;

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    /// Known flags.
    pub(crate) flags: u8,
}

impl TraceParent {
    /// Reads an ordinary header; `None` of any other.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let rest = header.strip_prefix("00-").filter(|_| header.len() == LENGTH)?;
        let (trace, rest) = rest.split_at_checked(32)?;
        let (span, rest) = rest.strip_prefix('-')?.split_at_checked(16)?;
        let [flags] = bytes(rest.strip_prefix('-')?)?;
        let parent = Self {
            trace: u128::from_be_bytes(bytes(trace)?),
            span: u64::from_be_bytes(bytes(span)?),
            flags: flags & 0b11,
        };
        (parent.trace != 0 && parent.span != 0).then_some(parent)
    }

    /// The low 56 bits of the trace id.
    pub(crate) fn randomness(&self) -> u64 {
        self.trace as u64 & ((1 << 56) - 1)
    }
}

/// Writes a header.
pub(crate) fn format(trace: TraceId, span: SpanId, flags: TraceFlags) -> String {
    let mut text = String::with_capacity(LENGTH);
    text.push_str("00-");
    HEXLOWER.encode_append(&trace.to_bytes(), &mut text);
    text.push('-');
    HEXLOWER.encode_append(&span.to_bytes(), &mut text);
    text.push('-');
    HEXLOWER.encode_append(&[flags.to_u8()], &mut text);
    text
}

/// The bytes of exactly as many pairs of lower-case digits.
fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    HEXLOWER.decode_mut(digits.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}
