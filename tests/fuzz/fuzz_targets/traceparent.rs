//! A `traceparent` is read as the grammar says, and what is read is written and read again.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::Policy;
use floe_policy::trace_context::TraceParent;
use floe_telemetry_fuzz::{traceparent, warnings};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let policy = Policy::default();
    let found = policy.extract(text, "", "");
    let id = u128::from(found.high) << 64 | u128::from(found.low);
    let problems = warnings(&found.problems);
    match traceparent(text) {
        Some(expected) => {
            assert_eq!((id, found.span, found.flags), expected);
            assert!(problems.is_empty(), "{problems:?}");
        }
        None => {
            assert_eq!((id, found.span, found.flags), (0, 0, 0));
            assert_eq!(
                problems,
                if text.is_empty() {
                    vec![]
                } else {
                    vec!["FLOE-P001"]
                }
            );
        }
    }
    let parent = TraceParent {
        trace: id,
        span: found.span,
        flags: found.flags,
    };
    let written = policy.inject(parent, "", "").traceparent;
    assert_eq!(written.len(), if found.span == 0 { 0 } else { 55 });
    let again = policy.extract(&written, "", "");
    assert_eq!(
        (again.high, again.low, again.span, again.flags),
        (found.high, found.low, found.span, found.flags)
    );
    assert!(again.problems.is_empty());
});
