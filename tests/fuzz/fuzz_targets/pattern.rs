//! A pattern matches what a plain matcher says. Lines: the pattern, the text.
#![no_main]
#![allow(missing_docs, reason = "the macro's own items")]

use floe_policy::pattern::Pattern;
use floe_telemetry_fuzz::line;

/// Which prefixes of the text match the pattern so far, letter after letter of the pattern.
fn matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reached: Vec<bool> = (0..=text.len()).map(|at| at == 0).collect();
    for letter in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match letter {
                '*' => reached[at] || (at > 0 && next[at - 1]),
                _ => at > 0 && reached[at - 1] && text[at - 1] == letter,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (pattern, text) = line(text);
    assert_eq!(Pattern::new(pattern).matches(text), matches(pattern, text));
    assert!(Pattern::new("*").matches(text));
    assert!(Pattern::new(&text.replace('*', "**")).matches(text));
});
