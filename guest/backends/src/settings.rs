//! Reading settings against what a backend declares: every wrong one leaves a diagnostic, and reading goes on.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::bindings::exports::floe::telemetry::types::KeyValue;
use crate::diagnostic::{self, Findings, error, shown, suggestion};
use crate::setting::{Kind, Presence, Setting};
use crate::text::Form;
use crate::url::Url;

/// What a setting was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Integer(u32),
    Boolean(bool),
    Url(Url),
    /// The name of a variable.
    Secret(String),
}

/// The settings of a backend.
#[derive(Debug, Default)]
pub struct Settings {
    /// By name: the value, or none where it was refused.
    given: BTreeMap<&'static str, Option<Value>>,
    defaults: BTreeMap<&'static str, Value>,
}

impl Settings {
    /// Reads what was given for these settings.
    pub fn read(declared: &[&'static Setting], given: &[KeyValue], findings: &mut Findings) -> Self {
        let mut settings = Self::default();
        for KeyValue { key, value } in given {
            let Some(setting) = declared.iter().find(|setting| setting.name == key) else {
                findings.push(unknown(key, declared));
                continue;
            };
            let json: Result<Json, _> = serde_json::from_str(value);
            // As in the manifest, a key with nothing behind it is not there.
            if matches!(json, Ok(Json::Null)) {
                continue;
            }
            let value = match json {
                Ok(json) => setting.check(&json, findings),
                Err(_) => {
                    findings.push(error(
                        diagnostic::WRONG_TYPE,
                        setting.name,
                        format!("the value of {} is no JSON text", setting.name),
                        format!("write {}", setting.wanted()),
                    ));
                    None
                }
            };
            if settings.given.insert(setting.name, value).is_some() {
                findings.push(error(
                    diagnostic::REPEATED_SETTING,
                    setting.name,
                    format!("{} is there more than once", setting.name),
                    "write it once",
                ));
            }
        }
        for setting in declared {
            if settings.given.contains_key(setting.name) {
                continue;
            }
            match setting.presence {
                Presence::Optional => {}
                Presence::Required => findings.push(error(
                    diagnostic::MISSING_SETTING,
                    setting.name,
                    format!("{} is missing", setting.name),
                    format!("write {}: {}", setting.wanted(), setting.description),
                )),
                Presence::Default(default) => {
                    let value = serde_json::from_str(default)
                        .ok()
                        .and_then(|json| setting.check(&json, findings));
                    settings.defaults.extend(value.map(|value| (setting.name, value)));
                }
            }
        }
        settings
    }

    /// Whether it was given, right or wrong.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        match self.given.get(name) {
            Some(given) => given.as_ref(),
            None => self.defaults.get(name),
        }
    }

    /// Text, or a number as text.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Boolean(_) | Value::Url(_) | Value::Secret(_) => None,
        }
    }

    /// A boolean.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }

    /// A URL.
    pub fn url(&self, name: &str) -> Option<&Url> {
        match self.get(name)? {
            Value::Url(url) => Some(url),
            _ => None,
        }
    }

    /// The name of the variable that holds a secret.
    pub fn variable(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Secret(variable) => Some(variable),
            _ => None,
        }
    }
}

fn unknown(key: &str, declared: &[&Setting]) -> crate::bindings::exports::floe::telemetry::types::Diagnostic {
    let names: Vec<&str> = declared.iter().map(|setting| setting.name).collect();
    let code = if key.chars().any(char::is_control) {
        diagnostic::CONTROL_CHARACTER
    } else {
        diagnostic::UNKNOWN_SETTING
    };
    let message = format!("unknown setting {}", shown(key));
    error(code, key, message, suggestion(key, &names))
}

impl Setting {
    fn wanted(&self) -> String {
        match self.kind {
            Kind::Text(Form::Word(words)) => format!("one of: {}", words.join(", ")),
            Kind::Text(Form::Of(_, wanted)) => wanted.to_owned(),
            Kind::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Boolean => "true or false".to_owned(),
            Kind::Url(schemes) => format!("a URL that starts with {}://", schemes.join(":// or ")),
            Kind::Secret => {
                "the name of an environment variable of the Collector, such as OTLP_TOKEN, never the secret"
                    .to_owned()
            }
        }
    }

    /// The value, if it is what the setting holds.
    fn check(&self, json: &Json, findings: &mut Findings) -> Option<Value> {
        match (self.kind, json) {
            (Kind::Boolean, Json::Bool(truth)) => Some(Value::Boolean(*truth)),
            (Kind::Integer(least, most), Json::Number(number)) if !number.is_f64() => {
                let fits = number
                    .as_u64()
                    .and_then(|number| u32::try_from(number).ok())
                    .filter(|number| (least..=most).contains(number));
                if fits.is_none() {
                    self.refuse(
                        diagnostic::WRONG_VALUE,
                        format!("{number} is out of range"),
                        findings,
                    );
                }
                fits.map(Value::Integer)
            }
            (Kind::Text(_) | Kind::Url(_) | Kind::Secret, Json::String(text)) => {
                self.check_text(text, findings)
            }
            _ => {
                let found = match json {
                    Json::Null => "nothing",
                    Json::Bool(_) => "a boolean",
                    Json::Number(_) => "a number",
                    Json::String(_) => "text",
                    Json::Array(_) => "a list",
                    Json::Object(_) => "a mapping",
                };
                self.refuse(
                    diagnostic::WRONG_TYPE,
                    format!("{} is {found}", self.name),
                    findings,
                );
                None
            }
        }
    }

    fn check_text(&self, text: &str, findings: &mut Findings) -> Option<Value> {
        if text.chars().any(char::is_control) {
            // A line break would end a header and start another.
            findings.push(error(
                diagnostic::CONTROL_CHARACTER,
                self.name,
                format!("{} has a line break or another control character", self.name),
                "write it on one line",
            ));
            return None;
        }
        let text = text.trim();
        let refused = match self.kind {
            // The name, or a reference as the Collector and the rest of the manifest write it.
            Kind::Secret => match text
                .strip_prefix("${env:")
                .and_then(|name| name.strip_suffix('}'))
                .unwrap_or(text)
            {
                name if is_variable(name) => return Some(Value::Secret(name.to_owned())),
                _ => (
                    diagnostic::SECRET_VALUE,
                    format!("{} is not the name of an environment variable", self.name),
                ),
            },
            _ if text.is_empty() => (diagnostic::WRONG_VALUE, format!("{} is empty", self.name)),
            // The Collector would read `${env:X}` and `${file:x}` here, past what is declared as a secret; `$$` is one of its escapes.
            _ if text.contains('$') => {
                findings.push(error(
                    diagnostic::WRONG_VALUE,
                    self.name,
                    format!(
                        "{} has a `$`, with which a reference in the Collector's configuration starts",
                        self.name
                    ),
                    "write the value itself",
                ));
                return None;
            }
            Kind::Url(schemes) => match Url::parse(text, schemes) {
                Ok(url) => return Some(Value::Url(url)),
                Err(reason) => (
                    diagnostic::WRONG_URL,
                    format!("{} is no URL for this: {reason}", self.name),
                ),
            },
            Kind::Text(Form::Word(words)) => {
                match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
                    Some(word) => return Some(Value::Text((*word).to_owned())),
                    None => {
                        findings.push(error(
                            diagnostic::WRONG_VALUE,
                            self.name,
                            format!("{} has a value that is not allowed here", self.name),
                            suggestion(text, words),
                        ));
                        return None;
                    }
                }
            }
            Kind::Text(Form::Of(allowed, _)) if allowed(text) => return Some(Value::Text(text.to_owned())),
            Kind::Text(_) | Kind::Integer(..) | Kind::Boolean => (
                diagnostic::WRONG_VALUE,
                format!("{} has a value that is not allowed here", self.name),
            ),
        };
        self.refuse(refused.0, refused.1, findings);
        None
    }

    fn refuse(&self, code: &str, message: String, findings: &mut Findings) {
        findings.push(error(
            code,
            self.name,
            message,
            format!("write {}", self.wanted()),
        ));
    }
}

/// A name as POSIX has it for the environment. Some keys look like one (an AWS access key id is 20 capitals and digits): nobody names a variable so without an underscore.
fn is_variable(text: &str) -> bool {
    let name = text.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_')
        && text
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    let key =
        text.len() >= 20 && !text.contains('_') && text.contains(|letter: char| letter.is_ascii_digit());
    name && !key && text.len() <= 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables() {
        for name in ["DD_API_KEY", "_X", "TOKEN2", "GRAFANACLOUDSECRETTOKEN", "A"] {
            assert!(is_variable(name), "{name}");
        }
        for secret in [
            "",
            "token",
            "1TOKEN",
            "A-B",
            "A B",
            "AKIAIOSFODNN7EXAMPLE",
            "sk-live-123",
            "${env:TOKEN}",
            "TÖKEN",
            "0123456789ABCDEF0123456789ABCDEF",
            "A123456789ABCDEF0123456789ABCDEF",
        ] {
            assert!(!is_variable(secret), "{secret}");
        }
    }
}
