//! Exceptions on their way into telemetry: a low-cardinality type, redacted and bounded text.

use crate::bindings::exports::floe::telemetry::types::Exception;
use crate::redaction::Redactor;

/// OpenTelemetry's `error.type` where there is no better.
pub const OTHER: &str = "_OTHER";
const MOST_CAUSES: usize = 8;
const MOST_TYPE: usize = 256;
const MOST_MESSAGE: usize = 4 * 1024;
const MOST_STACKTRACE: usize = 32 * 1024;

/// Names and cleans an exception.
pub fn classify(error: &Exception, redactor: &Redactor) -> Exception {
    let clean = |text: &str, most| clean(text, most, redactor);
    let mut types: Vec<String> = std::iter::once(error_type(&error.type_, &error.message))
        .chain(error.causes.iter().map(|cause| error_type(cause, "")))
        .collect();
    // What a tool wraps a failure in says nothing of it.
    while types.len() > 1 && types.first().is_some_and(|found| is_wrapper(found)) {
        types.remove(0);
    }
    let mut types = types.into_iter();
    Exception {
        type_: types.next().unwrap_or_else(|| OTHER.to_owned()),
        causes: types.rev().take(MOST_CAUSES).rev().collect(),
        message: clean(&error.message, MOST_MESSAGE),
        stacktrace: clean(&error.stacktrace, MOST_STACKTRACE),
    }
}

/// Whether an exception is a tool's way to hand on another one (dagster/_core/errors.py).
fn is_wrapper(found: &str) -> bool {
    const WRAPPERS: [&str; 9] = [
        "DagsterExecutionStepExecutionError",
        "DagsterExecutionLoadInputError",
        "DagsterExecutionHandleOutputError",
        "DagsterResourceFunctionError",
        "DagsterTypeCheckError",
        "DagsterUserCodeProcessError",
        "RetryRequestedFromPolicy",
        "ScheduleExecutionError",
        "SensorExecutionError",
    ];
    found
        .rsplit('.')
        .next()
        .is_some_and(|name| WRAPPERS.contains(&name))
}

fn error_type(given: &str, message: &str) -> String {
    let named = |character: char| character.is_ascii_alphanumeric() || "_.:<>$-".contains(character);
    let given = given.trim();
    if !given.is_empty() && given.len() <= MOST_TYPE && given.chars().all(named) {
        return given.to_owned();
    }
    // Tools that report an error as text start a line with its name, the cause below what it caused: dbt's "Runtime Error in model x" above the
    // database's "Catalog Error".
    head(message, MOST_MESSAGE)
        .lines()
        .rev()
        .find_map(named_error)
        .map_or_else(
            || OTHER.to_owned(),
            |name| format!("{}Error", name.replace(' ', "")),
        )
}

/// The name of a line that starts with `Name Error:` or `Name Error in`; DuckDB's may be of several words.
fn named_error(line: &str) -> Option<&str> {
    let (name, rest) = line.trim_start_matches([' ', '\t']).split_once(" Error")?;
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.len() > 1
            && word.chars().skip(1).all(|letter| letter.is_ascii_lowercase())
    };
    let is_name = name.split(' ').count() <= 3 && name.split(' ').all(is_word);
    (is_name && rest.starts_with([' ', ':'])).then_some(name)
}

/// The first bytes, cut between characters. What is cut here is never shown, so that a secret cannot hide behind the cut.
fn head(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// A text redacted, and cut to so many bytes.
pub fn clean(text: &str, most: usize, redactor: &Redactor) -> String {
    bounded(&redactor.redact(head(text, 4 * most)), most, redactor)
}

/// The text, or its head redacted again: a cut may leave a half of what redaction wrote.
fn bounded(text: &str, most: usize, redactor: &Redactor) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut room = most - '…'.len_utf8();
    loop {
        let cut = redactor.redact(&format!("{}…", head(text, room)));
        if cut.len() <= most {
            return cut;
        }
        room = room.saturating_sub(cut.len() - most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(error: &Exception) -> Exception {
        super::classify(error, &Redactor::default())
    }

    #[test]
    fn types_are_of_low_cardinality() {
        let of = |type_: &str, message: &str| {
            classify(&Exception {
                type_: type_.into(),
                message: message.into(),
                stacktrace: String::new(),
                causes: Vec::new(),
            })
            .type_
        };
        assert_eq!(of("builtins.ValueError", ""), "builtins.ValueError");
        assert_eq!(
            of("", "Database Error in model orders (models/orders.sql)"),
            "DatabaseError"
        );
        assert_eq!(
            of("", "Runtime Error in model orders\n  Catalog Error: no table"),
            "CatalogError"
        );
        assert_eq!(
            of(
                "",
                "Runtime Error in model orders\n  Invalid Input Error: no access"
            ),
            "InvalidInputError"
        );
        assert_eq!(of("something went wrong at 12:30", "x"), OTHER);
    }

    #[test]
    fn a_cut_through_a_mask_is_as_good_as_one_beside_it() {
        for text in ["password=hunter2 ", "password=hunter2&"] {
            let once = classify(&Exception {
                type_: String::new(),
                message: text.repeat(1_000),
                stacktrace: String::new(),
                causes: Vec::new(),
            });
            assert!(once.message.len() <= MOST_MESSAGE);
            assert_eq!(classify(&once), once);
        }
    }

    proptest::proptest! {
        #[test]
        fn bounded_and_idempotent(message in "\\PC{0,2000}", times in 1_usize..20) {
            let once = classify(&Exception { type_: String::new(), message: message.repeat(times), stacktrace: String::new(), causes: Vec::new() });
            proptest::prop_assert!(once.message.len() <= MOST_MESSAGE);
            proptest::prop_assert_eq!(&classify(&once), &once);
        }
    }
}
