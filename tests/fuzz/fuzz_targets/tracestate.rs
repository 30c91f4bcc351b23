//! A `tracestate` that came is what the rules make of it. First line: the low 64 bits of the trace id, whose first bit is the sampled flag here.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::Policy;
use floe_policy::trace_context::TraceParent;
use floe_telemetry_fuzz::{NONE, line, number, otel, tracestate, warnings, written};

/// The list, and the problems.
fn expected(text: &str, low: u64, sampled: bool) -> (String, Vec<&'static str>) {
    let Some(mut members) = tracestate(text) else {
        return (String::new(), vec!["FLOE-P002"]);
    };
    let Some(at) = members.iter().position(|(key, _)| key == "ot") else {
        return (written(&members), vec![]);
    };
    let Some(ot) = otel(&members[at].1) else {
        members.remove(at);
        return (written(&members), vec!["FLOE-P005"]);
    };
    let contradicts = |threshold| (ot.randomness.unwrap_or(low % NONE) >= threshold) != sampled;
    if ot.threshold.is_some_and(contradicts) {
        members.remove(at);
        if !ot.others.is_empty() {
            members.insert(0, ("ot".to_owned(), ot.others.join(";")));
        }
    }
    (written(&members), vec![])
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (first, text) = line(text);
    let low = number(first);
    let sampled = low >> 63 == 1;
    let policy = Policy::default();
    let parent = TraceParent {
        trace: 1 << 64 | u128::from(low),
        span: 1,
        flags: u8::from(sampled),
    };
    let header = parent.format();
    let found = policy.extract(&header, text, "");
    assert_eq!(
        (found.tracestate.clone(), warnings(&found.problems)),
        expected(text, low, sampled)
    );

    let again = policy.extract(&header, &found.tracestate, "");
    assert_eq!((&again.tracestate, again.problems.len()), (&found.tracestate, 0));
    assert_eq!(
        policy.inject(parent, &found.tracestate, "").tracestate,
        found.tracestate
    );
    // Whatever a program hands over to be sent, what goes out is a list.
    let sent = policy.inject(parent, text, "").tracestate;
    assert!(tracestate(&sent).is_some() && !sent.contains(['\r', '\n']));
    assert_eq!(policy.inject(parent, &sent, "").tracestate, sent);
});
