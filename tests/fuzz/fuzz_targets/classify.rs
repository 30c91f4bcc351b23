//! A classified exception is bounded, of a type of low cardinality, and classified it stays as it is. First line: its type.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::bindings::exports::floe::telemetry::types::Exception;
use floe_policy::error::classify;
use floe_policy::redaction::{Redactor, redact};
use floe_telemetry_fuzz::line;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (type_, rest) = line(text);
    let (repeat, message) = line(rest);
    // Texts beyond the bounds come of few bytes.
    let repeat = repeat
        .parse::<u16>()
        .map_or(1, |times| usize::from(times) % 2_000 + 1);
    let repeat = repeat.min(400_000 / message.len().max(1)).max(1);
    let error = Exception {
        type_: type_.to_owned(),
        message: message.repeat(repeat),
        stacktrace: message.repeat(repeat * 4),
        causes: message.lines().map(str::to_owned).collect(),
    };
    let redactor = Redactor::default();
    let once = classify(&error, &redactor);
    assert!(!once.type_.is_empty() && once.type_.len() <= 256);
    assert!(
        once.type_
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_.:<>$-".contains(letter)),
        "{:?}",
        once.type_
    );
    assert!(once.message.len() <= 4 * 1024 && once.stacktrace.len() <= 32 * 1024);
    assert!(!once.message.contains('\u{1b}') && !once.stacktrace.contains('\u{1b}'));
    if repeat == 1 && message.len() < 1_000 {
        assert_eq!(once.message, redact(message));
    }
    assert_eq!(classify(&once, &redactor), once, "not idempotent");
});
