//! The types that settings have.

use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use crate::attribute::attribute;
use crate::bindings::exports::floe::telemetry::types::KeyValue;
use crate::diagnostic::{self, Place, shown};
use crate::fields::{Field, Findings, RATES};
use crate::layers::Layer;
use crate::redaction;
use crate::settings::Kind;
use crate::yaml::Value;

/// `true` or `false`.
#[derive(Debug)]
pub struct Boolean;

impl Kind for Boolean {
    type Value = bool;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<bool> {
        field.boolean(findings)
    }

    fn json(&self, value: &bool) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "boolean"})
    }
}

/// A whole number in a range.
#[derive(Debug)]
pub struct Integer(pub RangeInclusive<u32>);

impl Kind for Integer {
    type Value = u32;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<u32> {
        field.integer(self.0.clone(), findings)
    }

    fn json(&self, value: &u32) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "integer", "minimum": self.0.start(), "maximum": self.0.end()})
    }
}

/// A probability.
#[derive(Debug)]
pub struct Ratio;

impl Kind for Ratio {
    type Value = f64;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<f64> {
        field.ratio(findings)
    }

    fn json(&self, value: &f64) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "number", "minimum": 0, "maximum": 1})
    }
}

/// A number of events a second. 0 stands for no limit, which nobody can write.
#[derive(Debug)]
pub struct Rate;

impl Kind for Rate {
    type Value = f64;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<f64> {
        field.rate(findings)
    }

    fn json(&self, value: &f64) -> Json {
        if *value > 0.0 { json!(value) } else { Json::Null }
    }

    fn schema(&self) -> Json {
        json!({"type": "number", "minimum": RATES.start(), "maximum": RATES.end()})
    }
}

/// One of some words, in any case, each of which stands for a value. Of several words for one value the first is the one to write.
#[derive(Debug)]
pub struct Choice<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Value = T;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<T> {
        let words: Vec<&'static str> = self.0.iter().map(|(word, _)| *word).collect();
        let found = field.word(&words, findings)?;
        self.0
            .iter()
            .find(|(word, _)| *word == found)
            .map(|(_, value)| *value)
    }

    fn json(&self, value: &T) -> Json {
        self.0
            .iter()
            .find(|(_, found)| found == value)
            .map_or(Json::Null, |(word, _)| json!(word))
    }

    fn schema(&self) -> Json {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        let letter = |letter: char| match letter {
            'a'..='z' | 'A'..='Z' => {
                format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase())
            }
            '/' | '_' | '-' => letter.to_string(),
            other => format!("\\{other}"),
        };
        let any_case: Vec<String> = words
            .iter()
            .map(|word| word.chars().map(letter).collect())
            .collect();
        json!({"type": "string", "anyOf": [{"enum": words}, {"pattern": format!("^\\s*({})\\s*$", any_case.join("|"))}]})
    }
}

/// A value where it was written.
#[derive(Debug, Clone)]
pub struct Written<T> {
    /// Where.
    pub place: Place,
    /// Of which layer.
    pub layer: Layer,
    /// The value.
    pub value: T,
}

/// A type whose values know where they were written.
#[derive(Debug)]
pub struct WithPlace<K>(pub K);

impl<K: Kind> Kind for WithPlace<K> {
    type Value = Written<K::Value>;
    const IGNORABLE: bool = K::IGNORABLE;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Self::Value> {
        self.0.read(field, findings).map(|value| Written {
            place: field.place(),
            layer: field.layer(),
            value,
        })
    }

    fn json(&self, value: &Self::Value) -> Json {
        self.0.json(&value.value)
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }
}

/// A type whose values no message shows: people put secrets beside where they belong.
#[derive(Debug)]
pub struct Unshown<K>(pub K);

impl<K: Kind> Kind for Unshown<K> {
    type Value = K::Value;
    const IGNORABLE: bool = K::IGNORABLE;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<K::Value> {
        self.0.read(&field.clone().unshown(), findings)
    }

    fn json(&self, value: &K::Value) -> Json {
        self.0.json(value)
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }
}

/// Text of at most 128 characters with no control character.
#[derive(Debug)]
pub struct Name;

impl Kind for Name {
    type Value = String;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<String> {
        field.name(findings).map(str::to_owned)
    }

    fn json(&self, value: &String) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "\\S"})
    }
}

/// Path of a file or a directory. The file is not looked at here.
#[derive(Debug)]
pub struct Path;

impl Kind for Path {
    type Value = String;
    const IGNORABLE: bool = false;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<String> {
        const LONGEST: usize = 4_096;
        let text = field.text(findings)?;
        if text.contains("-----BEGIN") {
            findings.push(field.place().error(
                diagnostic::SECRET_IN_CLEAR,
                "this is the content of a file, not its path",
                "write the content to a file that only the application can read, and its path here",
            ));
            return None;
        }
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            findings.push(field.place().error(
                diagnostic::WRONG_VALUE,
                format!("{} is no path", shown(text)),
                "write the path of a file, with no control character",
            ));
            return None;
        }
        Some(text.to_owned())
    }

    fn json(&self, value: &String) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "\\S"})
    }
}

/// The value of an attribute that the manifest sets: a scalar, as JSON text, and no secret.
#[derive(Debug)]
pub struct Attribute;

impl Kind for Attribute {
    type Value = String;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<String> {
        let scalar = scalar("", field, findings)?;
        if let Value::Text(text) = field.value()
            && redaction::redact(text) != *text
        {
            findings.push(field.place().error(
                diagnostic::SECRET_IN_CLEAR,
                "this looks like a secret or holds one",
                "leave it out: attributes are sent with all telemetry",
            ));
            return None;
        }
        Some(scalar.value)
    }

    fn json(&self, value: &String) -> Json {
        serde_json::from_str(value).unwrap_or(Json::Null)
    }

    fn schema(&self) -> Json {
        json!({"type": ["string", "number", "boolean"]})
    }
}

/// A scalar as an attribute.
pub fn scalar(key: &str, field: &Field<'_>, findings: &mut Findings) -> Option<KeyValue> {
    match field.value() {
        Value::Text(text) => Some(attribute(key, text)),
        Value::Boolean(truth) => Some(attribute(key, truth)),
        Value::Integer(number) => Some(attribute(key, number)),
        Value::Float(number) if number.is_finite() => Some(attribute(key, number)),
        Value::Float(number) => {
            findings.push(field.place().error(
                diagnostic::WRONG_VALUE,
                format!("an attribute cannot be {number}"),
                "write a finite number, or text in quotes",
            ));
            None
        }
        Value::Null => None,
        Value::List(_) | Value::Mapping(_) | Value::Member(_) => {
            findings.push(field.place().error(
                diagnostic::WRONG_TYPE,
                format!("an attribute cannot be {}", field.value().kind()),
                "write text, a number or a boolean",
            ));
            None
        }
    }
}
