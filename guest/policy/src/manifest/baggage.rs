//! Keys of baggage that become attributes.

use serde_json::{Value as Json, json};

use crate::baggage::is_token;
use crate::diagnostic::{self, shown};
use crate::fields::{Field, Findings};
use crate::settings::Kind;

/// Most keys.
const MOST: usize = 64;

/// A list of keys, `*` at the end of one standing for any rest.
#[derive(Debug)]
pub struct BaggageKeys;

impl Kind for BaggageKeys {
    type Value = Vec<String>;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Vec<String>> {
        let mut keys = Vec::new();
        for key in field.list(MOST, findings) {
            let Some(name) = key.name(findings) else { continue };
            let stars = name.matches('*').count();
            if is_token(name) && (stars == 0 || stars == 1 && name.ends_with('*')) {
                keys.push(name.to_owned());
            } else {
                findings.push(key.place().error(
                    diagnostic::WRONG_VALUE,
                    format!("{} is no key of baggage", shown(name)),
                    "write a key such as `tenant`, or `acme.*` for all that start so",
                ));
            }
        }
        Some(keys)
    }

    fn json(&self, value: &Vec<String>) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "array", "maxItems": MOST, "items": {"type": "string", "pattern": "^\\s*[!#$%&'+.^_`|~0-9A-Za-z-]*\\*?\\s*$"}})
    }
}
