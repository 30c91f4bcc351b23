//! Typed reading of a mapping: every access either yields a value or leaves a diagnostic, and reading goes on.

use std::ops::RangeInclusive;

use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::diagnostic::{self, Place, shown};
use crate::layers::Layer;
use crate::yaml::{Key, Node, Value};

/// What was found so far.
pub type Findings = Vec<Diagnostic>;

/// Numbers of events a second that a limit may have.
pub const RATES: RangeInclusive<f64> = 0.001..=1_000_000.0;

/// Most characters of a key that a path shows.
const LONGEST_KEY: usize = 128;

/// A value that is there, with its path.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    path: String,
    node: &'a Node,
    shown: bool,
}

/// A mapping whose keys are read by name.
#[derive(Debug)]
pub struct Section<'a> {
    path: String,
    entries: &'a [(Key, Node)],
    shown: bool,
}

impl<'a> Field<'a> {
    /// The whole document.
    pub fn document(node: &'a Node) -> Self {
        Self {
            path: String::new(),
            node,
            shown: true,
        }
    }

    /// What stands at a path.
    pub fn at(path: &str, node: &'a Node) -> Self {
        Self {
            path: path.to_owned(),
            ..Self::document(node)
        }
    }

    /// What stands there.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// The same; no message shows its value or one below it.
    #[must_use]
    pub fn unshown(self) -> Self {
        Self { shown: false, ..self }
    }

    /// A text of its value, as a message may show it.
    pub fn quoted(&self, text: &str) -> String {
        match self.shown {
            true => shown(text),
            false => "this".to_owned(),
        }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place {
            path: self.node.layer.path(&self.path),
            line: self.node.line,
            column: self.node.column,
        }
    }

    /// Its path in the configuration, whichever layer it is of.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The layer that it is of.
    pub fn layer(&self) -> Layer {
        self.node.layer
    }

    /// The same field in the layers beneath.
    pub fn under(&self) -> Option<Self> {
        let node = self.node.under.as_deref()?;
        Some(Self { node, ..self.clone() })
    }

    /// What it holds.
    pub fn value(&self) -> &'a Value {
        &self.node.value
    }

    /// Leaves the diagnostic that something else was expected.
    pub fn wrong_type(&self, wanted: &str, findings: &mut Findings) {
        let found = match &self.node.value {
            value if !self.shown => value.kind().to_owned(),
            Value::Text(text) => format!("the text {}", shown(text)),
            Value::Integer(number) => format!("the number {number}"),
            Value::Float(number) => format!("the number {}", decimal(*number)),
            Value::Boolean(truth) => format!("the boolean {truth}"),
            other => other.kind().to_owned(),
        };
        findings.push(self.place().error(
            diagnostic::WRONG_TYPE,
            format!(
                "expected {}, found {found}",
                wanted.split(" with ").next().unwrap_or(wanted)
            ),
            match &self.node.value {
                Value::Integer(_) | Value::Float(_) | Value::Boolean(_) if wanted.starts_with("text") => {
                    "put the value in quotes".to_owned()
                }
                Value::Text(text)
                    if is_other_scalar(text)
                        && !wanted.starts_with("a mapping")
                        && !wanted.starts_with("a list") =>
                {
                    format!("write {wanted}, without quotes")
                }
                _ => format!("write {wanted}"),
            },
        ));
    }

    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// A mapping of any keys, if it is one. Nothing at all counts as an empty one.
    pub fn entries(&self) -> Option<Section<'a>> {
        let entries: &[(Key, Node)] = match &self.node.value {
            Value::Mapping(entries) => entries,
            Value::Null => &[],
            _ => return None,
        };
        Some(Section {
            path: self.path.clone(),
            entries,
            shown: self.shown,
        })
    }

    /// A mapping of any keys. Nothing at all counts as an empty one.
    pub fn mapping(&self, findings: &mut Findings) -> Option<Section<'a>> {
        let section = self.entries();
        if section.is_none() {
            self.wrong_type("a mapping", findings);
        }
        section
    }

    /// A mapping of these keys only.
    pub fn section(&self, known: &[&str], findings: &mut Findings) -> Option<Section<'a>> {
        if !matches!(self.node.value, Value::Mapping(_) | Value::Null) {
            self.wrong_type(&format!("a mapping with keys of {}", known.join(", ")), findings);
            return None;
        }
        let section = self.mapping(findings)?;
        for (key, field) in section.fields() {
            if !known.contains(&key.name.as_str()) {
                findings.push(section.unknown(key, &field, known, ""));
            }
        }
        Some(section)
    }

    /// The elements of a list of at most so many.
    pub fn list(&self, most: usize, findings: &mut Findings) -> Vec<Field<'a>> {
        let Value::List(nodes) = &self.node.value else {
            self.wrong_type("a list", findings);
            return Vec::new();
        };
        if nodes.len() > most {
            findings.push(self.place().error(
                diagnostic::WRONG_VALUE,
                format!("{} elements are too many", nodes.len()),
                format!("write at most {most}"),
            ));
        }
        let element = |(at, node)| Field {
            path: format!("{}[{at}]", self.path),
            node,
            shown: self.shown,
        };
        nodes.iter().take(most).enumerate().map(element).collect()
    }

    /// Text that is not blank, without the white space around it.
    pub fn text(&self, findings: &mut Findings) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if text.trim().is_empty() => {
                findings.push(self.place().error(
                    diagnostic::WRONG_VALUE,
                    "the text is empty",
                    "write a value or leave the key out",
                ));
                None
            }
            Value::Text(text) => Some(text.trim()),
            _ => {
                self.wrong_type("text", findings);
                None
            }
        }
    }

    /// Text of at most 128 characters and no control character: an identity.
    pub fn name(&self, findings: &mut Findings) -> Option<&'a str> {
        let text = self.text(findings)?;
        if text.chars().count() > 128 || text.chars().any(char::is_control) {
            findings.push(self.place().error(
                diagnostic::WRONG_VALUE,
                if text.chars().count() > 128 {
                    format!("this has {} characters", text.chars().count())
                } else {
                    format!("{} is no name", self.quoted(text))
                },
                "write at most 128 characters with no control character",
            ));
            return None;
        }
        Some(text)
    }

    /// One of these words, in any case.
    pub fn word(&self, words: &[&'static str], findings: &mut Findings) -> Option<&'static str> {
        let text = self.text(findings)?;
        let found = words.iter().copied().find(|word| word.eq_ignore_ascii_case(text));
        if found.is_none() {
            findings.push(self.place().error(
                diagnostic::WRONG_VALUE,
                format!("{} is not allowed here", self.quoted(text)),
                suggestion(text, words).unwrap_or_else(|| format!("write one of: {}", words.join(", "))),
            ));
        }
        found
    }

    /// `true` or `false`.
    pub fn boolean(&self, findings: &mut Findings) -> Option<bool> {
        match self.node.value {
            Value::Boolean(truth) => Some(truth),
            _ => {
                self.wrong_type("true or false", findings);
                None
            }
        }
    }

    /// A whole number in a range.
    pub fn integer(&self, range: RangeInclusive<u32>, findings: &mut Findings) -> Option<u32> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let found = match self.node.value {
            Value::Integer(number) => number as f64,
            // As JSON Schema has it, 5.0 is a whole number.
            Value::Float(number) if number.fract() == 0.0 || !number.is_finite() => number,
            _ => {
                self.wrong_type(&wanted, findings);
                return None;
            }
        };
        if (f64::from(*range.start())..=f64::from(*range.end())).contains(&found) {
            return Some(found as u32);
        }
        let number = match self.node.value {
            Value::Integer(number) => number.to_string(),
            _ => decimal(found),
        };
        findings.push(self.place().error(
            diagnostic::WRONG_VALUE,
            format!("{number} is out of range"),
            format!("write {wanted}"),
        ));
        None
    }

    /// A number, which the words describe.
    fn number(&self, wanted: &str, findings: &mut Findings) -> Option<f64> {
        match self.node.value {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => {
                self.wrong_type(wanted, findings);
                None
            }
        }
    }

    /// A number of events a second.
    pub fn rate(&self, findings: &mut Findings) -> Option<f64> {
        let number = self.number("a number of traces a second", findings)?;
        if RATES.contains(&number) {
            return Some(number);
        }
        findings.push(self.place().error(
            diagnostic::WRONG_VALUE,
            format!("{} is out of range", decimal(number)),
            format!("write a number from {} to {}", RATES.start(), RATES.end()),
        ));
        None
    }

    /// A probability.
    pub fn ratio(&self, findings: &mut Findings) -> Option<f64> {
        let number = self.number("a number from 0 to 1", findings)?;
        if (0.0..=1.0).contains(&number) {
            return Some(number);
        }
        findings.push(self.place().error(
            diagnostic::WRONG_VALUE,
            format!("{} is not a probability", decimal(number)),
            "write a number from 0 (keep none) to 1 (keep all)",
        ));
        None
    }
}

impl<'a> Section<'a> {
    /// The value of a key, unless it is absent or nothing.
    pub fn get(&self, name: &str) -> Option<Field<'a>> {
        self.fields()
            .find(|(key, _)| key.name == name)
            .map(|(_, field)| field)
            .filter(|field| !matches!(field.value(), Value::Null))
    }

    /// All keys with their values.
    pub fn fields(&self) -> impl Iterator<Item = (&'a Key, Field<'a>)> {
        self.entries.iter().map(|(key, node)| {
            (
                key,
                Field {
                    path: self.path_of(&key.name),
                    node,
                    shown: self.shown,
                },
            )
        })
    }

    /// The diagnostic for a key that nobody knows. `otherwise` is what to do where no known key is close.
    pub fn unknown(&self, key: &Key, field: &Field<'_>, known: &[&str], otherwise: &str) -> Diagnostic {
        let place = Place {
            line: key.line,
            column: key.column,
            ..field.place()
        };
        place.error(
            diagnostic::UNKNOWN_KEY,
            format!("unknown key {}", shown(&safe_key(&key.name))),
            suggestion(&key.name, known).unwrap_or_else(|| match otherwise {
                "" => format!("known keys: {}", known.join(", ")),
                otherwise => otherwise.to_owned(),
            }),
        )
    }

    fn path_of(&self, key: &str) -> String {
        // A key may be anything, and a path stands on one line.
        let mut shown: String = key
            .chars()
            .take(LONGEST_KEY)
            .flat_map(char::escape_debug)
            .collect();
        if key.chars().nth(LONGEST_KEY).is_some() {
            shown.push('…');
        }
        if self.path.is_empty() {
            shown
        } else {
            format!("{}.{shown}", self.path)
        }
    }
}

/// A number as a message shows it: a long one by its power of ten.
fn decimal(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() > 24 {
        format!("{number:e}")
    } else {
        plain
    }
}

/// Whether a text would be a number or a boolean without its quotes.
fn is_other_scalar(text: &str) -> bool {
    text.parse::<f64>().is_ok() || matches!(text, "true" | "false")
}

/// A key as it may be shown. What follows a colon or an equals sign is a value that a space is missing before, and may be a secret.
pub fn safe_key(key: &str) -> String {
    match key.split_once([':', '=']) {
        Some((name, _)) => format!("{name}…"),
        None => key.to_owned(),
    }
}

/// "did you mean", where something is close.
pub fn suggestion(found: &str, known: &[&str]) -> Option<String> {
    let found: String = found.chars().take(64).flat_map(char::to_lowercase).collect();
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&found, &word.to_lowercase()), word))
        .min()
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .map(|(_, word)| format!("did you mean `{word}`?"))
}
