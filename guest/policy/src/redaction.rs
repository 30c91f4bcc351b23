//! Credentials out of text, in time linear in the text.

use std::sync::LazyLock;

use regex::Regex;

/// What stands where a secret was.
const MASK: &str = "***";

/// What names a secret, up to its value.
macro_rules! named {
    () => {
        "((?i-u:password|passwd|passphrase|pwd|secret|token|credentials?|(?:api|app|access|account|private|license|ingestion|shared|sas)[_-]?key)[A-Za-z0-9_.-]*\\\\?[\"']?[ \t]*(?:=>|[:=])[ \t]*)"
    };
}

struct Rule {
    pattern: Regex,
    replacement: String,
}

/// Each pattern keeps what names the secret and masks the secret.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    [
        // Terminal colours, which mean nothing in telemetry and would split what the rules below look for.
        ("\u{1b}+(?:\\[[0-9;]*[A-Za-z]?)?", ""),
        // Private keys, also where the end is cut off.
        ("-----BEGIN ([A-Z ]*PRIVATE KEY)-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\\z)", "-----$1-----***"),
        // User and password of a URL, up to the last `@` before the path.
        ("(://)[^/ \t\r\n\"'<>]*@", "${1}***@"),
        // Authorization headers to the end of the line or of the text they stand in, with or without a scheme that is known.
        (
            "((?i-u:authorization)\\\\?[\"']?[ \t]*[:=][ \t]*\\\\?[\"']?(?:(?i-u:bearer|basic|digest|token|apikey|api-token)[ \t]+)?)[^\r\n\"'\\\\]+",
            "$1",
        ),
        ("((?i-u:bearer)[ \t]+)[A-Za-z0-9._~+/=-]{8,}", "$1"),
        // Named secrets as key=value, YAML or JSON: in double quotes, in single quotes, bare.
        (concat!(named!(), "\"(?:[^\"\\\\\r\n]|\\\\.)*"), "$1\"***"),
        (concat!(named!(), "'[^'\r\n]*"), "$1'***"),
        (concat!(named!(), "\\\\\"[^\"\\\\\r\n]*"), "$1\\\"***"),
        (concat!(named!(), "[^ \t\r\n,;&\"'})\\\\]+"), "$1"),
        // Secrets as options of a command.
        ("(--?(?i-u:password|passwd|pwd|secret|token|api-?key)[ ])[^ \t\r\n\"']+", "$1"),
        // Tokens that name themselves: AWS, Google, GitHub, Slack, JSON Web Tokens.
        ("((?:AKIA|ASIA)[A-Z0-9]{4})[A-Z0-9]{12}", "$1"),
        ("(AIza)[A-Za-z0-9_-]{35}", "$1"),
        ("(gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}", "$1"),
        ("(xox[abeoprs]-)[A-Za-z0-9-]{10,}", "$1"),
        ("(eyJ)[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]+\\.?[A-Za-z0-9_-]*", "$1"),
    ]
    .into_iter()
    .filter_map(|(pattern, kept)| {
        let kept = kept.replace("$1", "${1}");
        let replacement = if kept.is_empty() || kept.contains(MASK) { kept } else { format!("{kept}{MASK}") };
        Regex::new(pattern).ok().map(|pattern| Rule { pattern, replacement })
    })
    .collect()
});

/// Redacts one text. Idempotent.
pub fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    for rule in RULES.iter() {
        if let std::borrow::Cow::Owned(redacted) = rule.pattern.replace_all(&text, rule.replacement.as_str())
        {
            text = redacted;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(RULES.len(), 15);
    }

    #[test]
    fn secrets_go_and_their_names_stay() {
        for (text, redacted) in [
            ("postgres://u:p@ss@db:5432/x", "postgres://***@db:5432/x"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
            (
                "{\"password\": \"hunter 2\", \"user\": \"ann\"}",
                "{\"password\": \"***\", \"user\": \"ann\"}",
            ),
            (
                "\u{1b}[31mFAIL pass\u{1b}[1mword=hunter2\u{1b}[0m",
                "FAIL password=***",
            ),
            ("Authorization: Splunk TOKEN", "Authorization: ***"),
            (
                "{\\\"password\\\":\\\"hunter2\\\"}",
                "{\\\"password\\\":\\\"***\\\"}",
            ),
            ("dbt --password hunter2 build", "dbt --password *** build"),
            (
                "-----BEGIN PRIVATE KEY-----\nProc-Type: 4\nMIIE",
                "-----PRIVATE KEY-----***",
            ),
            ("client_secret=abc&grant_type=x", "client_secret=***&grant_type=x"),
            ("DD-API-KEY: 0123456789", "DD-API-KEY: ***"),
            ("key AKIAIOSFODNN7EXAMPLE used", "key AKIAIOSF*** used"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJ***"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
                "-----RSA PRIVATE KEY-----***",
            ),
            (
                "Got 1 result, configured to fail if != 0",
                "Got 1 result, configured to fail if != 0",
            ),
        ] {
            assert_eq!(redact(text), redacted);
        }
    }

    proptest::proptest! {
        #[test]
        fn twice_is_once(text in "(\\PC|password=|://|@|Bearer |-----BEGIN PRIVATE KEY-----|--token |\u{1b}|\\[0m|\"|'| ){0,40}") {
            let once = redact(&text);
            proptest::prop_assert_eq!(redact(&once), once);
        }
    }
}
