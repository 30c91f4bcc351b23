//! A decision is consistent, says its threshold and leaves alone what is not OpenTelemetry's. Lines: low bits, threshold, tracestate.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::Policy;
use floe_policy::sampling::{decide, pace};
use floe_policy::trace_context::TraceParent;
use floe_telemetry_fuzz::{NONE, line, number, otel, tracestate};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (first, rest) = line(text);
    let (second, text) = line(rest);
    let (low, given) = (number(first), number(second));
    let threshold = given.min(NONE);
    let found = decide(low, text, threshold);

    let before = tracestate(text).unwrap_or_default();
    let value = before
        .iter()
        .find(|(key, _)| key == "ot")
        .and_then(|(_, value)| otel(value));
    let ot = value.clone().unwrap_or_default();
    let randomness = ot.randomness.unwrap_or(low % NONE);
    assert_eq!(found.keep, randomness >= threshold);

    let after = tracestate(&found.tracestate).expect("a list");
    let left = after
        .iter()
        .find(|(key, _)| key == "ot")
        .map(|(_, value)| otel(value).expect("an ot"));
    let left = left.unwrap_or_default();
    assert_eq!(left.threshold, found.keep.then_some(threshold));
    assert_eq!(left.randomness, ot.randomness);
    // Fields may go from the end where there is no room, but not `rv`; those that stay keep their order.
    let mut others = ot.others.iter();
    assert!(left.others.iter().all(|field| others.any(|other| other == field)));
    if !found.keep {
        assert_eq!(left.others, ot.others);
    }
    // The others keep their order; one may go where there is no room.
    let foreign = |members: &[(String, String)]| -> Vec<_> {
        members.iter().filter(|(key, _)| key != "ot").cloned().collect()
    };
    let (before_foreign, after_foreign) = (foreign(&before), foreign(&after));
    let mut rest = before_foreign.iter();
    assert!(
        after_foreign
            .iter()
            .all(|member| rest.any(|other| other == member))
    );
    let room = if after.len() > after_foreign.len() { 31 } else { 32 };
    assert_eq!(after_foreign.len(), before_foreign.len().min(room));
    // What did not change did not move, and what changed is at the left.
    if left == ot && value.is_some() && found.keep == ot.threshold.is_some() {
        assert_eq!(
            after.iter().position(|(key, _)| key == "ot"),
            before.iter().position(|(key, _)| key == "ot")
        );
    } else if let Some(at) = after.iter().position(|(key, _)| key == "ot") {
        assert_eq!(at, 0);
    }

    assert_eq!(decide(low, &found.tracestate, threshold), found);
    // A greater threshold keeps no more.
    assert!(found.keep || !decide(low, text, NONE).keep);
    assert!(!found.keep || decide(low, text, threshold / 2).keep);
    // Whoever receives it finds nothing wrong.
    let parent = TraceParent {
        trace: 1 << 64 | u128::from(low),
        span: 1,
        flags: u8::from(found.keep),
    };
    let received = Policy::default().extract(&parent.format(), &found.tracestate, "");
    assert_eq!(
        (&received.tracestate, received.problems.len()),
        (&found.tracestate, 0)
    );

    // The pace, of whatever numbers: bits of one are the bits of a float.
    let (limit, rate) = (f64::from_bits(low), f64::from_bits(given.rotate_left(8)));
    let paced = pace(limit, rate, low, f64::from_bits(given));
    assert!(
        paced.threshold <= NONE && paced.budget >= 1 && paced.seconds >= 1.0,
        "{paced:?}"
    );
});
