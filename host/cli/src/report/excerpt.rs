//! The line that a diagnostic is about, with no value in it that its message does not show: another value on the line may be a secret.

use std::ops::Range;

use floe_telemetry::Diagnostic;

/// What stands for each character of a value that is not shown, so that columns stay right.
const HIDDEN: &str = "·";

/// A line as it may be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line, its other values hidden.
    pub(super) line: String,
    /// Bytes of `line` that the diagnostic is about.
    pub(super) span: Range<usize>,
}

/// A part of a line of YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// White space and the signs of collections.
    Sign(&'a str),
    /// A key, without its colon.
    Key(&'a str),
    /// Anything else.
    Value(&'a str),
}

impl Excerpt {
    /// The line of a diagnostic, if it has one.
    pub(super) fn of(text: &str, found: &Diagnostic) -> Option<Self> {
        let number = usize::try_from(found.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(found.column).ok()?.checked_sub(1)?;
        let source = text.lines().nth(number)?;
        let at = source
            .char_indices()
            .nth(column)
            .map_or(source.len(), |(at, _)| at);
        let mut line = String::new();
        let mut span = None;
        let mut from = 0;
        for token in tokens(source) {
            let (text, hidden) = match token {
                Token::Sign(text) | Token::Key(text) => (text, false),
                Token::Value(text) => (text, !is_said(text, found)),
            };
            let start = line.len();
            match hidden {
                true => line.extend(text.chars().map(|_| HIDDEN)),
                false => line.push_str(text),
            }
            if (from..from + text.len()).contains(&at) {
                span = Some(match token {
                    // A sign is one character of several.
                    Token::Sign(_) => start + (at - from)..start + (at - from) + 1,
                    _ => start..line.len(),
                });
            }
            from += text.len();
        }
        let end = line.len();
        Some(Self {
            span: span.unwrap_or(end..end),
            line,
        })
    }
}

/// Whether the message shows the value: text in quotes, anything else as a word.
fn is_said(value: &str, found: &Diagnostic) -> bool {
    let inner = value.trim().trim_matches(['"', '\'']);
    let is_text = inner.parse::<f64>().is_err() && !matches!(inner, "true" | "false");
    !inner.is_empty()
        && if is_text {
            found.message.contains(&format!("\"{inner}\""))
        } else {
            found.message.split([' ', '"', ',']).any(|word| word == inner)
        }
}

/// A line's tokens, which put together are the line.
fn tokens(line: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_dash = rest == "-" || rest.starts_with("- ");
        let length = if first.is_whitespace() || "{}[],:".contains(first) || is_dash {
            first.len_utf8()
        } else {
            scalar(rest)
        };
        let (text, after) = rest.split_at(length);
        let after_colon = after.strip_prefix(':');
        tokens.push(
            if length == first.len_utf8() && (first.is_whitespace() || "{}[],:".contains(first) || is_dash) {
                Token::Sign(text)
            } else if after_colon
                .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', ',', '}']))
            {
                Token::Key(text)
            } else {
                Token::Value(text)
            },
        );
        rest = after;
    }
    tokens
}

/// Length of the scalar that a text starts with.
fn scalar(text: &str) -> usize {
    let quote = text.chars().next().filter(|first| ['"', '\''].contains(first));
    if let Some(quote) = quote {
        let mut escaped = false;
        for (at, letter) in text.char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if letter == '\\' && quote == '"' {
                escaped = true;
            } else if letter == quote {
                return at + 1;
            }
        }
        return text.len();
    }
    let bytes = text.as_bytes();
    let ends = |at: usize| match bytes.get(at) {
        Some(b',' | b'{' | b'}' | b'[' | b']') => true,
        Some(b':') => matches!(bytes.get(at + 1), None | Some(b' ' | b'\t' | b',' | b'}')),
        _ => false,
    };
    (1..text.len()).find(|at| ends(*at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use floe_telemetry::Severity;

    use super::*;

    fn excerpt(text: &str, line: u32, column: u32, message: &str) -> (String, String) {
        let found = Diagnostic {
            code: String::new(),
            severity: Severity::Error,
            path: String::new(),
            line,
            column,
            message: message.to_owned(),
            help: String::new(),
        };
        let Excerpt { line, span } = Excerpt::of(text, &found).expect("a line");
        let about = line.get(span).expect("on boundaries").to_owned();
        (line, about)
    }

    #[test]
    fn a_value_that_the_message_shows_is_shown() {
        let text = "a:\n  enabled: maybe # why\n";
        let (line, about) = excerpt(text, 2, 12, "expected true or false, found the text \"maybe\"");
        // What follows in the line is part of the plain text here, and is hidden unless it is said.
        assert_eq!(
            (line.as_str(), about.as_str()),
            ("  enabled: ···········", "···········")
        );
        let (line, about) = excerpt("enabled: 'maybe'", 1, 10, "found the text \"maybe\"");
        assert_eq!((line.as_str(), about.as_str()), ("enabled: 'maybe'", "'maybe'"));
    }

    #[test]
    fn other_values_of_the_line_are_not() {
        let text = "auth: {auth_type: oauth2, bearer_token: hunter2, list: [hunter2, \"hunter2, x\"]}";
        let (line, about) = excerpt(text, 1, 19, "\"oauth2\" is not allowed here");
        assert_eq!(about, "oauth2");
        assert_eq!(
            line,
            "auth: {auth_type: oauth2, bearer_token: ·······, list: [·······, ············]}"
        );
    }

    #[test]
    fn a_key_is_shown_and_a_line_of_a_block_is_not() {
        let (line, about) = excerpt(
            "  otlp_endpont: http://u:hunter2@c",
            1,
            3,
            "unknown key \"otlp_endpont\"",
        );
        assert_eq!(
            (line.as_str(), about.as_str()),
            ("  otlp_endpont: ··················", "otlp_endpont")
        );
        let (line, _) = excerpt("key: |\n  hunter2 hunter2\n", 2, 3, "this is no key");
        assert_eq!(line, "  ···············");
    }

    #[test]
    fn places_beyond_the_text_are_at_its_end() {
        let (line, about) = excerpt("ключ: [значение", 1, 60, "not closed");
        assert_eq!((line.as_str(), about.as_str()), ("ключ: [········", ""));
    }
}
