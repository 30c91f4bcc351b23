//! The numbers of an ordinary `traceparent`, which the contract lets a host read and write by itself: version 00, and nothing wrong with it
//! (W3C Trace Context section 3.2). The policy reads any other.

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
        let flags = rest.strip_prefix('-')?;
        let parent = Self {
            trace: hex(trace)?,
            span: hex(span)? as u64,
            flags: hex(flags)? as u8 & 0b11,
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
    push_hex(&mut text, &trace.to_bytes());
    text.push('-');
    push_hex(&mut text, &span.to_bytes());
    text.push('-');
    push_hex(&mut text, &[flags.to_u8()]);
    text
}

/// At most 32 lower-case digits.
fn hex(digits: &str) -> Option<u128> {
    digits.bytes().try_fold(0_u128, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// Two lower-case digits a byte, several times as fast as `format!`.
fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |nibble: u8| {
        char::from(if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' - 10 + nibble
        })
    };
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
}
