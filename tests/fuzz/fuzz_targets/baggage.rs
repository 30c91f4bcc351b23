//! Baggage becomes canonical and keeps its meaning, and floe's own members go out whatever came in.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use std::cell::LazyCell;

use floe_policy::Policy;
use floe_telemetry_fuzz::{MANIFEST, baggage, is_canonical_baggage, warnings};

thread_local! {
    static CONFIGURED: LazyCell<Policy> = LazyCell::new(|| Policy::configure(MANIFEST, &[], &[]).expect("a manifest").0);
}
const OURS: [&str; 4] = [
    "floe.namespace",
    "floe.product.name",
    "floe.product.version",
    "floe.mode",
];

libfuzzer_sys::fuzz_target!(|text: &str| {
    let policy = Policy::default();
    let found = policy.extract("", "", text);
    is_canonical_baggage(&found.baggage);
    assert_eq!(policy.child_baggage(text), found.baggage);
    assert_eq!(policy.child_baggage(&found.baggage), found.baggage);
    let again = policy.extract("", "", &found.baggage);
    assert_eq!((&again.baggage, again.problems.len()), (&found.baggage, 0));

    let problems = warnings(&found.problems);
    assert!(
        problems
            .iter()
            .all(|code| ["FLOE-P003", "FLOE-P004"].contains(code))
            && problems.len() <= 2
    );
    // What stays means what it meant, in its order; without the problem of a limit all that is a member stays.
    let (before, after) = (baggage(text), baggage(&found.baggage));
    if problems.contains(&"FLOE-P004") {
        let mut rest = before.iter();
        assert!(after.iter().all(|member| rest.any(|other| other == member)));
        assert!(after.len() < before.len());
    } else {
        assert_eq!(after, before);
    }
    let named = text
        .split(',')
        .filter(|text| !text.trim_matches([' ', '\t']).is_empty())
        .count();
    assert_eq!(problems.contains(&"FLOE-P003"), before.len() < named);

    CONFIGURED.with(|policy| {
        let child = policy.child_baggage(text);
        is_canonical_baggage(&child);
        assert_eq!(policy.child_baggage(&child), child);
        let keys: Vec<String> = baggage(&child).into_iter().map(|member| member.key).collect();
        for key in OURS {
            assert!(keys.iter().any(|found| found == key), "{key} does not go out");
        }
    });
});
