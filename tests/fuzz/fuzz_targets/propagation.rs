//! What came in and goes out again is a fixpoint. Lines: traceparent, tracestate, and the rest is baggage.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use std::cell::LazyCell;

use floe_policy::Policy;
use floe_policy::bindings::exports::floe::telemetry::propagation::{Extraction, Headers};
use floe_policy::trace_context::TraceParent;
use floe_telemetry_fuzz::{MANIFEST, is_canonical_baggage, line, warnings};

thread_local! {
    static POLICIES: LazyCell<[Policy; 2]> = LazyCell::new(|| [Policy::default(), Policy::configure(MANIFEST, &[], &[]).expect("a manifest").0]);
}

fn inject(policy: &Policy, found: &Extraction) -> Headers {
    let trace = u128::from(found.high) << 64 | u128::from(found.low);
    policy.inject(
        TraceParent {
            trace,
            span: found.span,
            flags: found.flags,
        },
        &found.tracestate,
        &found.baggage,
    )
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (traceparent, rest) = line(text);
    let (tracestate, baggage) = line(rest);
    POLICIES.with(|policies| {
        for policy in policies.iter() {
            let first = policy.extract(traceparent, tracestate, baggage);
            warnings(&first.problems);
            assert_eq!(first.span == 0, first.high == 0 && first.low == 0);
            assert!(
                first.flags < 4 && (first.span != 0 || (first.flags == 0 && first.tracestate.is_empty()))
            );
            let sent = inject(policy, &first);
            assert_eq!(sent.traceparent.is_empty(), first.span == 0);
            assert_eq!(sent.tracestate, first.tracestate);
            is_canonical_baggage(&sent.baggage);
            // No header can be split in two.
            let safe = |text: &String| text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
            assert!(
                [&sent.traceparent, &sent.tracestate, &sent.baggage]
                    .into_iter()
                    .all(safe)
            );

            let second = policy.extract(&sent.traceparent, &sent.tracestate, &sent.baggage);
            assert!(second.problems.is_empty(), "{:?}", second.problems);
            assert_eq!(
                (second.high, second.low, second.span, second.flags),
                (first.high, first.low, first.span, first.flags)
            );
            assert_eq!(second.tracestate, first.tracestate);
            assert_eq!(inject(policy, &second), sent);
        }
    });
});
