//! `redaction`: what a team's own secrets look like.

use serde_json::{Value as Json, json};

use crate::diagnostic;
use crate::fields::{Field, Findings};
use crate::settings::{Kind, Settings, Visitor};

/// Most words of each kind.
const MOST: usize = 256;
/// Fewest characters: what is shorter would mask what is no secret.
const SHORTEST: usize = 3;
const LONGEST: usize = 64;

/// The section.
#[derive(Debug, Default, Clone)]
pub struct RedactionSettings {
    /// Names of secrets.
    pub names: Vec<String>,
    /// What tokens begin with.
    pub prefixes: Vec<String>,
}

impl Settings for RedactionSettings {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "names",
            "Further names whose values are masked: `customer_pin` masks `customer_pin=…`, `\"customerPin\": …`, an attribute of that name, and names that it is part of.",
            Words(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.')),
            &mut self.names,
        );
        visitor.setting(
            "prefixes",
            "Beginnings of further tokens: `acme_live_` masks what follows it.",
            Words(|letter| letter.is_ascii_graphic()),
            &mut self.prefixes,
        );
    }
}

/// Words of these characters.
#[derive(Debug)]
struct Words(fn(char) -> bool);

impl Kind for Words {
    type Value = Vec<String>;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Vec<String>> {
        let mut words = Vec::new();
        for element in field.list(MOST, findings) {
            let Some(text) = element.text(findings) else {
                continue;
            };
            let letters = text.chars().filter(char::is_ascii_alphanumeric).count();
            if letters >= SHORTEST && text.len() <= LONGEST && text.chars().all(self.0) {
                words.push(text.to_owned());
            } else {
                findings.push(element.place().error(
                    diagnostic::WRONG_VALUE,
                    format!("{} cannot tell a secret", element.quoted(text)),
                    format!(
                        "write {SHORTEST} to {LONGEST} letters and digits, with `_`, `-` or `.` between them"
                    ),
                ));
            }
        }
        Some(words)
    }

    fn json(&self, value: &Vec<String>) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "array", "maxItems": MOST, "items": {"type": "string", "pattern": "^\\s*[!-~]{3,64}\\s*$"}})
    }
}
