//! Redaction is idempotent, leaves no escape and no secret that is named, and takes texts one by one.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::bindings::exports::floe::telemetry::errors::Guest as _;
use floe_policy::component::Component;
use floe_policy::redaction::redact;

const SECRET: &str = "Zq7vXw9Kp2Lr";

libfuzzer_sys::fuzz_target!(|text: &str| {
    let once = redact(text);
    assert_eq!(redact(&once), once, "not idempotent");
    assert!(!once.contains('\u{1b}'));
    assert!(once.len() <= 4 * text.len() + 16);
    // Whatever stands before it, on a line of its own a named secret goes.
    for planted in [
        format!("{text}\npassword={SECRET}\n"),
        format!("{text}\nhttps://user:{SECRET}@host/path\n"),
        format!("{text}\nAuthorization: Bearer {SECRET}\n"),
        format!("{text}\n--token {SECRET} x\n"),
    ] {
        if !once.contains(SECRET) {
            let redacted = redact(&planted);
            assert!(!redacted.contains(SECRET), "{redacted:?}");
        }
    }
    let texts = vec![text.to_owned(), String::new(), once.clone()];
    assert_eq!(Component::redact(texts), [once.clone(), String::new(), once]);
});
