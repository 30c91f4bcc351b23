//! `plugins.telemetry_backend`: the backends that the Collector sends to. A backend's own settings are its component's to check.

use serde_json::{Value as Json, json};

use super::collector::Version;
use crate::attribute;
use crate::bindings::exports::floe::telemetry::collector::{Destination, Setting};
use crate::bindings::exports::floe::telemetry::types::Signal;
use crate::diagnostic::{self, Place, shown};
use crate::fields::{Field, Findings, Section, suggestion};
use crate::kinds::Choice;
use crate::reader::{self, Journal};
use crate::settings::{Kind, Settings, Visitor};
use crate::yaml::{Node, Value};

const KEY: &str = "telemetry_backend";
/// The backend where the manifest names none: the Collector shows what arrives.
const NONE: &str = "debug";
/// Most backends at once.
const MOST: usize = 16;
static SIGNALS: [(&str, Signal); 3] = [
    ("traces", Signal::Traces),
    ("metrics", Signal::Metrics),
    ("logs", Signal::Logs),
];
const KEYS: [&str; 5] = ["type", "version", "config", "connection_secret_ref", "signals"];

/// A name, a mapping, or a list of these.
#[derive(Debug)]
pub struct Destinations;

impl Kind for Destinations {
    type Value = Vec<Destination>;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Vec<Destination>> {
        // People paste secrets here.
        let field = field.clone().unshown();
        let fields = match field.value() {
            Value::List(items) if items.is_empty() => {
                findings.push(field.place().error(
                    diagnostic::MISSING_VALUE,
                    "the list names no backend",
                    "write a backend's name, such as jaeger, or leave the key out",
                ));
                return None;
            }
            Value::List(_) => field.list(MOST, findings),
            _ => vec![field],
        };
        fields.iter().map(|field| destination(field, findings)).collect()
    }

    fn json(&self, value: &Vec<Destination>) -> Json {
        value
            .iter()
            .map(|destination| json!(destination.backend))
            .collect()
    }

    fn schema(&self) -> Json {
        let name = json!({"type": "string", "pattern": "\\S"});
        let mapping = json!({
            "type": "object",
            "required": ["type"],
            "additionalProperties": false,
            "properties": {
                "type": {"type": "string", "pattern": "\\S", "description": "Name of the backend: `floe-telemetry collector backends` lists them."},
                "version": {"type": ["string", "null"], "description": "Version that the backend's component must have."},
                "config": {"type": ["object", "null"], "description": "The backend's settings. A secret is the name of a variable of the Collector."},
                "connection_secret_ref": {"type": ["string", "null"], "pattern": "^\\s*[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\\s*$", "description": "Kubernetes secret with the variables that the backend needs."},
                "signals": {"type": ["array", "null"], "minItems": 1, "items": Choice(&SIGNALS).schema(), "description": "Signals that are sent to it; by default all that it takes."},
            },
        });
        let list =
            json!({"type": "array", "minItems": 1, "maxItems": MOST, "items": {"anyOf": [name, mapping]}});
        json!({"anyOf": [name, mapping, list]})
    }
}

/// `plugins`, as far as it is ours.
struct Plugins(Vec<Destination>);

impl Settings for Plugins {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            KEY,
            "The backends that the Collector sends to: a name, a mapping, or a list of these.",
            Destinations,
            &mut self.0,
        );
    }
}

/// The backends of a manifest. The other plugins are not ours; only a key close to ours is worth a word.
pub fn read(document: &Node, findings: &mut Findings, journal: &mut Journal) -> Vec<Destination> {
    let mut plugins = Plugins(none());
    let field = document.get("plugins").map(|node| Field::at("plugins", node));
    reader::read_open(&mut plugins, "plugins", field.as_ref(), findings, journal);
    let keys = field.as_ref().and_then(Field::entries);
    for (key, field) in keys.iter().flat_map(Section::fields) {
        if key.name != KEY
            && let Some(help) = suggestion(&key.name, &[KEY])
        {
            let place = Place {
                line: key.line,
                column: key.column,
                ..field.place()
            };
            findings.push(place.warning(
                diagnostic::UNKNOWN_KEY,
                format!("{} is not read", shown(&key.name)),
                help,
            ));
        }
    }
    plugins.0
}

/// Where telemetry goes if the manifest names no backend.
fn none() -> Vec<Destination> {
    vec![Destination {
        backend: NONE.to_owned(),
        version: String::new(),
        signals: Vec::new(),
        settings: Vec::new(),
        secret: String::new(),
        path: "plugins.telemetry_backend".to_owned(),
        line: 0,
        column: 0,
    }]
}

fn destination(field: &Field<'_>, findings: &mut Findings) -> Option<Destination> {
    let place = field.place();
    let mut destination = Destination {
        backend: String::new(),
        version: String::new(),
        signals: Vec::new(),
        settings: Vec::new(),
        secret: String::new(),
        path: place.path.clone(),
        line: place.line,
        column: place.column,
    };
    if let Value::Text(_) = field.value() {
        field.name(findings)?.clone_into(&mut destination.backend);
        return Some(destination);
    }
    if field.entries().is_none() {
        field.wrong_type(
            &format!("a backend's name, or a mapping with keys of {}", KEYS.join(", ")),
            findings,
        );
        return None;
    }
    let before = findings.len();
    let section = field.entries()?;
    for (key, field) in section
        .fields()
        .filter(|(key, _)| !KEYS.contains(&key.name.as_str()))
    {
        findings.push(section.unknown(key, &field, &KEYS, "settings of the backend go under `config`"));
    }
    match section.get("type") {
        Some(name) => name
            .name(findings)
            .unwrap_or_default()
            .clone_into(&mut destination.backend),
        None => findings.push(place.error(
            diagnostic::MISSING_VALUE,
            "the backend has no `type`",
            "write `type: jaeger`, or another backend's name",
        )),
    }
    if let Some(version) = section.get("version") {
        destination.version = Version.read(&version, findings).unwrap_or_default();
    }
    if let Some(secret) = section.get("connection_secret_ref") {
        secret_name(&secret, findings)
            .unwrap_or_default()
            .clone_into(&mut destination.secret);
    }
    if let Some(signals) = section.get("signals") {
        destination.signals = self::signals(&signals, findings);
    }
    if let Some(config) = section.get("config").and_then(|field| field.mapping(findings)) {
        destination.settings = config
            .fields()
            .filter(|(_, field)| !field.is_null())
            .map(|(key, field)| {
                let place = field.place();
                Setting {
                    name: key.name.clone(),
                    value: attribute::json(json_of(field.value())),
                    path: place.path,
                    line: place.line,
                    column: place.column,
                }
            })
            .collect();
    }
    (findings.len() == before).then_some(destination)
}

fn signals(field: &Field<'_>, findings: &mut Findings) -> Vec<Signal> {
    if matches!(field.value(), Value::List(items) if items.is_empty()) {
        findings.push(field.place().error(
            diagnostic::MISSING_VALUE,
            "the list names no signal",
            "write traces, metrics or logs, or leave the key out for all that the backend takes",
        ));
    }
    let mut signals = Vec::new();
    for element in field.list(SIGNALS.len(), findings) {
        let found = Choice(&SIGNALS).read(&element, findings);
        signals.extend(found.filter(|signal| !signals.contains(signal)));
    }
    signals
}

/// The name of a Kubernetes secret: a DNS subdomain (RFC 1123).
fn secret_name<'a>(field: &Field<'a>, findings: &mut Findings) -> Option<&'a str> {
    let name = field.text(findings)?;
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= 253 && name.split('.').all(label) {
        return Some(name);
    }
    findings.push(field.place().error(
        diagnostic::WRONG_VALUE,
        "this is not the name of a Kubernetes secret",
        "write lower-case letters, digits, `-` and `.`, such as grafana-credentials; never the secret itself",
    ));
    None
}

/// A value of the manifest as JSON.
pub fn json_of(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(truth) => json!(truth),
        Value::Integer(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Member(member) => json!(format!("${{env:{}}}", member.variable)),
        Value::List(items) => items.iter().map(|Node { value, .. }| json_of(value)).collect(),
        Value::Mapping(entries) => entries
            .iter()
            .map(|(key, node)| (key.name.clone(), json_of(&node.value)))
            .collect(),
    }
}
