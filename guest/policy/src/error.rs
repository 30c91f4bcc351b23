//! Exceptions on their way into telemetry: a low-cardinality type, redacted and bounded text.

use std::sync::LazyLock;

use regex::Regex;

use crate::bindings::exports::floe::telemetry::types::Exception;
use crate::redaction::redact;

/// OpenTelemetry's `error.type` where there is no better.
pub const OTHER: &str = "_OTHER";
const MOST_TYPE: usize = 256;
const MOST_MESSAGE: usize = 4 * 1024;
const MOST_STACKTRACE: usize = 32 * 1024;

/// Tools that report an error as text start a line with its name, the cause below what it caused: dbt's "Runtime Error in
/// model x" above the database's "Catalog Error".
static NAMED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("(?m)^[ \t]*([A-Z][a-z]+) Error[ :]").ok());

/// Names and cleans an exception.
pub fn classify(error: &Exception) -> Exception {
    Exception {
        type_: error_type(error),
        message: bounded(&redact(head(&error.message, 4 * MOST_MESSAGE)), MOST_MESSAGE),
        stacktrace: bounded(
            &redact(head(&error.stacktrace, 4 * MOST_STACKTRACE)),
            MOST_STACKTRACE,
        ),
    }
}

fn error_type(error: &Exception) -> String {
    let named = |character: char| character.is_ascii_alphanumeric() || "_.:<>$-".contains(character);
    let given = error.type_.trim();
    if !given.is_empty() && given.len() <= MOST_TYPE && given.chars().all(named) {
        return given.to_owned();
    }
    NAMED
        .as_ref()
        .and_then(|pattern| pattern.captures_iter(head(&error.message, MOST_MESSAGE)).last())
        .and_then(|captures| captures.get(1))
        .map_or_else(|| OTHER.to_owned(), |name| format!("{}Error", name.as_str()))
}

/// The first bytes, cut between characters. What is cut here is never shown, so that a secret cannot hide behind the cut.
fn head(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// The text, or its head redacted again: a cut may leave a half of what redaction wrote.
fn bounded(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut room = most - '…'.len_utf8();
    loop {
        let cut = redact(&format!("{}…", head(text, room)));
        if cut.len() <= most {
            return cut;
        }
        room = room.saturating_sub(cut.len() - most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_of_low_cardinality() {
        let of = |type_: &str, message: &str| {
            classify(&Exception {
                type_: type_.into(),
                message: message.into(),
                stacktrace: String::new(),
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
        assert_eq!(of("something went wrong at 12:30", "x"), OTHER);
    }

    #[test]
    fn a_cut_through_a_mask_is_as_good_as_one_beside_it() {
        for text in ["password=hunter2 ", "password=hunter2&"] {
            let once = classify(&Exception {
                type_: String::new(),
                message: text.repeat(1_000),
                stacktrace: String::new(),
            });
            assert!(once.message.len() <= MOST_MESSAGE);
            assert_eq!(classify(&once), once);
        }
    }

    proptest::proptest! {
        #[test]
        fn bounded_and_idempotent(message in "\\PC{0,2000}", times in 1_usize..20) {
            let once = classify(&Exception { type_: String::new(), message: message.repeat(times), stacktrace: String::new() });
            proptest::prop_assert!(once.message.len() <= MOST_MESSAGE);
            proptest::prop_assert_eq!(&classify(&once), &once);
        }
    }
}
