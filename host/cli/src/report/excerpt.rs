//! The line that a diagnostic is about, with no value in it that its message does not show: another value on the line may be a secret.

use std::ops::Range;

use floe_telemetry::Diagnostic;

/// The code of text that is not YAML.
const SYNTAX: &str = "FLOE-M001";

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
        let source = lines(text).nth(number)?;
        if is_in_block(text, number) {
            return None;
        }
        let at = source
            .char_indices()
            .nth(column)
            .map_or(source.len(), |(at, _)| at);
        let mut line = String::new();
        let mut span = None;
        let mut from = 0;
        for token in tokens(source) {
            let (text, hidden) = match token {
                Token::Sign(text) => (text, false),
                // What cannot be read as YAML may be anything.
                Token::Key(text) => (text, found.code == SYNTAX),
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

/// The lines of a text as YAML counts them (1.2, section 5.4): a carriage return alone ends one, and a byte order mark is of none.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text.strip_prefix('\u{feff}').unwrap_or(text));
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, after) = text.split_at(text.find(['\n', '\r']).unwrap_or(text.len()));
        rest = after
            .strip_prefix("\r\n")
            .or_else(|| after.strip_prefix(['\n', '\r']));
        Some(line)
    })
}

/// Whether a line is of a block scalar: the nearest line above that is less indented ends in its sign.
fn is_in_block(text: &str, number: usize) -> bool {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = lines(text).take(number + 1).collect();
    let own = lines.last().map_or(0, |line| indentation(line));
    let above = lines
        .iter()
        .rev()
        .skip(1)
        .find(|line| !line.trim().is_empty() && indentation(line) < own);
    above.is_some_and(|line| {
        let sign = line.trim_end().rsplit([' ', '\t']).next().unwrap_or_default();
        sign.starts_with(['|', '>'])
    })
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

/// A line's tokens, which put together are the line. A key stands at the start of an entry only: what follows its colon is a value, whatever is in it, and so
/// is a comment.
fn tokens(line: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = line;
    let mut starts = true;
    while let Some(first) = rest.chars().next() {
        let is_dash = starts && (rest == "-" || rest.starts_with("- "));
        let is_sign = first.is_whitespace() || "{}[],:".contains(first) || is_dash;
        let length = match is_sign {
            true => first.len_utf8(),
            false if first == '#' => rest.len(),
            false => scalar(rest),
        };
        let (text, after) = rest.split_at(length);
        let ends_key = after
            .strip_prefix(':')
            .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', ',', '}']));
        tokens.push(match is_sign {
            true => Token::Sign(text),
            // A colon within it says that a space is missing, and that there is a value in it.
            false if starts && ends_key && !text.contains([':', '=', '#']) => Token::Key(text),
            false => Token::Value(text),
        });
        starts = match first {
            '{' | '[' | ',' => true,
            _ if first.is_whitespace() || is_dash => starts,
            _ => false,
        };
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

    fn diagnostic(message: &str) -> Diagnostic {
        Diagnostic {
            code: String::new(),
            severity: Severity::Error,
            path: String::new(),
            line: 1,
            column: 1,
            message: message.to_owned(),
            help: String::new(),
        }
    }

    fn excerpt(text: &str, line: u32, column: u32, message: &str) -> (String, String) {
        let found = Diagnostic {
            line,
            column,
            ..diagnostic(message)
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
        for line in ["hunter2 hunter2", "hunter2: x", "- hunter2"] {
            let found = Diagnostic {
                line: 2,
                column: 3,
                ..diagnostic("this is no key")
            };
            assert_eq!(Excerpt::of(&format!("key: |\n  {line}\n"), &found), None);
        }
    }

    #[test]
    fn what_follows_a_colon_is_no_key() {
        for line in [
            "token: hunter2 # todo: move",
            "token: hunter2:",
            "a: {token: hunter2: x}",
            "a: {token:hunter2}",
            "hunter2 # token: x",
        ] {
            let (shown, _) = excerpt(line, 1, 1, "a message");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn lines_and_columns_are_those_of_yaml() {
        let text = "\u{feff}a: 1\r\rb: 2\r\n\r\nc: 3\n\nd: 4";
        assert_eq!(
            lines(text).collect::<Vec<_>>(),
            ["a: 1", "", "b: 2", "", "c: 3", "", "d: 4"]
        );
        for (number, column, expected) in [
            (1, 1, ("a: ·", "a")),
            (3, 4, ("b: ·", "·")),
            (7, 1, ("d: ·", "d")),
        ] {
            let (line, about) = excerpt(text, number, column, "a message");
            assert_eq!((line.as_str(), about.as_str()), expected);
        }
        // A block's lines are found by their ends too.
        let found = Diagnostic {
            line: 2,
            column: 3,
            ..diagnostic("a message")
        };
        assert_eq!(Excerpt::of("key: |\r  hunter2: x\r", &found), None);
    }

    #[test]
    fn places_beyond_the_text_are_at_its_end() {
        let (line, about) = excerpt("ключ: [значение", 1, 60, "not closed");
        assert_eq!((line.as_str(), about.as_str()), ("ключ: [········", ""));
    }
}
