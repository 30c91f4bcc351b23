//! A manifest's text, the variables and the settings of code, as one tree of layers.

use crate::bindings::exports::floe::telemetry::configuration::Variable;
use crate::bindings::exports::floe::telemetry::types::KeyValue;
use crate::diagnostic::{self, Place, shown};
use crate::fields::{Field, Findings, suggestion};
use crate::layers::{Layer, TELEMETRY};
use crate::manifest::Mode;
use crate::manifest::header::checked_name;
use crate::variables;
use crate::yaml::{self, Node, Value};

const OBSERVABILITY: [&str; 4] = ["telemetry", "tracing", "logging", "lineage"];
/// Sections whose keys may hold dots.
const FREE: [&[&str]; 5] = [
    &["resource_attributes"],
    &["headers"],
    &["traces", "headers"],
    &["metrics", "headers"],
    &["logs", "headers"],
];
/// An override's key for `plugins.telemetry_backend`.
const BACKEND: &str = "telemetry_backend";

/// A manifest as it is written, older spellings put where they belong.
#[derive(Debug)]
pub struct Sources {
    document: Node,
    /// By environment, what it overrides.
    environments: Vec<(Mode, Node)>,
    /// Whether there are telemetry settings at all.
    pub configured: bool,
}

impl Sources {
    /// Reads a manifest's text. Nothing comes back where there is nothing to read settings from.
    pub fn read(text: &str, findings: &mut Findings) -> Option<Self> {
        let mut document = match yaml::parse(text) {
            Ok(document) => document,
            Err(found) => {
                findings.push(found);
                return None;
            }
        };
        if matches!(document.value, Value::Null) {
            findings.push(Field::document(&document).place().error(
                diagnostic::MANIFEST_EMPTY,
                "the manifest is empty",
                "write a floe manifest; one with no `observability.telemetry` sets up nothing",
            ));
            return None;
        }
        let top = Field::document(&document).mapping(findings)?;
        misspelt(&top, findings);
        if let Some(observability) = top.get("observability") {
            observability.section(&OBSERVABILITY, findings)?;
        }
        for name in ["plugins", "metadata"] {
            if let Some(field) = top.get(name) {
                field.mapping(findings);
            }
        }
        let configured = ["telemetry", "tracing", "logging"].iter().any(|name| {
            document
                .at(&["observability", name])
                .is_some_and(|node| !matches!(node.value, Value::Null))
        });
        older(&mut document, findings);
        if let Some(telemetry) = document.get_mut(&["observability", "telemetry"]) {
            fold_headers(telemetry);
        }
        if configured {
            metadata(&mut document);
        }
        let environments = environments(&mut document, findings);
        Some(Self {
            document,
            environments,
            configured,
        })
    }

    /// All layers, for the environment that they say. The telemetry settings are a mapping, or what was written in its place.
    pub fn layered(&self, variables: &[Variable], settings: &[KeyValue], findings: &mut Findings) -> Node {
        let over = |mut document: Node, findings: &mut Findings| {
            if let Some(telemetry) = telemetry(&mut document) {
                variables::overlay(telemetry, variables, findings);
                code(telemetry, settings, findings);
            }
            document
        };
        // The mode that the layers say without it chooses the environment.
        let mode = mode(&over(self.document.clone(), &mut Findings::new()));
        over(self.environment(mode), findings)
    }

    /// The manifest without what its environments override.
    pub fn document(&self) -> &Node {
        &self.document
    }

    /// The manifest for an environment.
    pub fn environment(&self, mode: Mode) -> Node {
        let mut document = self.document.clone();
        if let Some((_, over)) = self.environments.iter().find(|(found, _)| *found == mode) {
            let mut over = over.clone();
            over.stamp(Layer::Environment(mode));
            let backend = over.take(BACKEND);
            if let Some(telemetry) = telemetry(&mut document) {
                telemetry.overlay(over);
            }
            if let Some(backend) = backend {
                // Another backend has settings of its own: they are not mixed.
                document.overlay_at(
                    &["plugins", BACKEND],
                    Node::of(Layer::Environment(mode), Value::Null),
                );
                if let Some(node) = document.get_mut(&["plugins", BACKEND]) {
                    node.replace(backend);
                }
            }
        }
        document
    }

    /// The environments that override anything.
    pub fn modes(&self) -> impl Iterator<Item = Mode> {
        self.environments.iter().map(|(mode, _)| *mode)
    }
}

/// The telemetry settings, which are there once there is anything.
fn telemetry(document: &mut Node) -> Option<&mut Node> {
    let path = ["observability", "telemetry"];
    if document
        .at(&path)
        .is_none_or(|node| matches!(node.value, Value::Null))
    {
        document.overlay_at(&path, Node::of(Layer::Manifest, Value::Mapping(Vec::new())));
    }
    document.get_mut(&path)
}

/// `floe.mode` of the uppermost layer that has one.
fn mode(document: &Node) -> Mode {
    let mut node = document.at(&["observability", "telemetry", "resource_attributes", "floe.mode"]);
    while let Some(found) = node.filter(|node| !matches!(node.value, Value::Null)) {
        if let Value::Text(text) = &found.value
            && let Some(mode) = Mode::from_word(&text.trim().to_ascii_lowercase())
        {
            return mode;
        }
        node = found.under.as_deref();
    }
    Mode::default()
}

/// The top level holds what other parts of floe own, so only a key close to one of ours is worth a word.
fn misspelt(top: &crate::fields::Section<'_>, findings: &mut Findings) {
    const OURS: [&str; 3] = ["observability", "plugins", "metadata"];
    for (key, _) in top.fields() {
        let name = key.name.as_str();
        let place = Place {
            path: key.name.clone(),
            line: key.line,
            column: key.column,
        };
        if name == "telemetry" {
            findings.push(place.warning(
                diagnostic::UNKNOWN_KEY,
                "a `telemetry` at the top level is not read",
                "move it under `observability`",
            ));
        } else if !OURS.contains(&name)
            && let Some(help) = suggestion(name, &OURS)
        {
            findings.push(place.warning(
                diagnostic::UNKNOWN_KEY,
                format!("{} is not read", shown(name)),
                help,
            ));
        }
    }
}

/// `observability.tracing` and `observability.logging`, which `telemetry` overrides. Of two that say the same the first of the list holds.
fn older(document: &mut Node, findings: &mut Findings) {
    for (section, known) in [
        ("tracing", ["exporter", "enabled", "endpoint"].as_slice()),
        ("logging", &["level", "format"]),
    ] {
        let found = document.at(&["observability", section]).cloned();
        let Some(found) = found.filter(|node| !matches!(node.value, Value::Null)) else {
            continue;
        };
        let path = format!("observability.{section}");
        let Some(fields) = Field::at(&path, &found).section(known, findings) else {
            continue;
        };
        for (key, field) in known.iter().filter_map(|key| Some((key, fields.get(key)?))) {
            let Some((path, instead, value)) = renamed(section, key, &field, findings) else {
                continue;
            };
            findings.push(field.place().warning(
                diagnostic::OLDER_SPELLING,
                "this is an older spelling",
                format!("write `{TELEMETRY}.{}`", instead.join(".")),
            ));
            let node = Node {
                value,
                layer: Layer::Elsewhere(path),
                ..field.node().clone()
            };
            let written = document
                .at(&["observability", "telemetry"])
                .and_then(|telemetry| telemetry.at(instead));
            if written.is_none_or(|node| matches!(node.value, Value::Null))
                && let Some(telemetry) = telemetry(document)
            {
                telemetry.overlay_at(instead, node);
            }
        }
    }
    if let Some(observability) = document.get_mut(&["observability"]) {
        observability.take("tracing");
        observability.take("logging");
    }
}

/// Path of an older spelling, where it belongs, and its value there: nothing, if that is what holds anyway.
fn renamed(
    section: &str,
    key: &str,
    field: &Field<'_>,
    findings: &mut Findings,
) -> Option<(&'static str, &'static [&'static str], Value)> {
    let value = field.value().clone();
    Some(match (section, key) {
        ("tracing", "endpoint") => ("observability.tracing.endpoint", &["otlp_endpoint"], value),
        ("tracing", "enabled") => ("observability.tracing.enabled", &["traces", "enabled"], value),
        ("tracing", "exporter") => {
            let word = field.word(&["otlp", "none", "console"], findings)?;
            // Telemetry goes to a Collector in any case; its backend `debug` shows it on a console.
            (
                "observability.tracing.exporter",
                &["traces", "enabled"],
                match word {
                    "none" => Value::Boolean(false),
                    _ => Value::Null,
                },
            )
        }
        ("logging", "level") => ("observability.logging.level", &["logging", "log_level"], value),
        ("logging", "format") => {
            let word = field.word(&["json", "text"], findings)?;
            (
                "observability.logging.format",
                &["logging", "json_output"],
                Value::Boolean(word == "json"),
            )
        }
        _ => return None,
    })
}

/// The manifest's own `metadata` is the product, where `resource_attributes` do not name one.
fn metadata(document: &mut Node) {
    for (key, path, name) in [
        ("namespace", "metadata.namespace", crate::attribute::NAMESPACE),
        ("name", "metadata.name", crate::attribute::PRODUCT_NAME),
        ("version", "metadata.version", crate::attribute::PRODUCT_VERSION),
    ] {
        let Some(node) = document
            .at(&["metadata", key])
            .filter(|node| !matches!(node.value, Value::Null))
            .cloned()
        else {
            continue;
        };
        let node = Node {
            layer: Layer::Elsewhere(path),
            ..node
        };
        let Some(telemetry) = telemetry(document) else {
            return;
        };
        let written = telemetry.at(&["resource_attributes", name]);
        if written.is_none_or(|node| matches!(node.value, Value::Null)) {
            telemetry.overlay_at(&["resource_attributes", name], node);
        }
    }
}

/// Takes `environments` out: by mode, what it overrides.
fn environments(document: &mut Node, findings: &mut Findings) -> Vec<(Mode, Node)> {
    let Some(node) = document
        .get_mut(&["observability", "telemetry"])
        .and_then(|telemetry| telemetry.take("environments"))
    else {
        return Vec::new();
    };
    let path = format!("{TELEMETRY}.environments");
    let Some(section) = Field::at(&path, &node).section(&Mode::WORDS, findings) else {
        return Vec::new();
    };
    let mut environments = Vec::new();
    for (key, field) in section.fields() {
        let Some(mode) = Mode::from_word(&key.name) else {
            continue;
        };
        let Some(over) = field.mapping(findings) else {
            continue;
        };
        let nested = [
            over.get("environments"),
            over.get("resource_attributes")
                .and_then(|field| field.entries()?.get(crate::attribute::MODE)),
        ];
        for field in nested.into_iter().flatten() {
            findings.push(field.place().error(
                diagnostic::CONFLICT,
                "an environment's override cannot say which environment it is",
                "take it out: `floe.mode` in `resource_attributes`, or FLOE_MODE, chooses the environment",
            ));
        }
        let mut node = field.node().clone();
        node.take("environments");
        fold_headers(&mut node);
        environments.push((mode, node));
    }
    environments
}

/// Names of headers are compared without regard to case, so that one layer's takes the place of another's.
fn fold_headers(telemetry: &mut Node) {
    for section in [None, Some("traces"), Some("metrics"), Some("logs")] {
        let path: Vec<&str> = section.into_iter().chain(["headers"]).collect();
        if let Some(Node {
            value: Value::Mapping(entries),
            ..
        }) = telemetry.get_mut(&path)
        {
            for (key, _) in entries {
                if let Ok(name) = checked_name(&key.name) {
                    key.name = name;
                }
            }
        }
    }
}

/// Lays the settings of code over `observability.telemetry`.
fn code(telemetry: &mut Node, settings: &[KeyValue], findings: &mut Findings) {
    let mut layer = Node::of(Layer::Code, Value::Mapping(Vec::new()));
    for setting in settings {
        let keys = setting.key.split('.');
        let path: Vec<&str> = match FREE
            .iter()
            .find(|free| keys.clone().zip(**free).all(|(key, free)| key == *free))
        {
            Some(free) => setting.key.splitn(free.len() + 1, '.').collect(),
            None => keys.collect(),
        };
        match serde_json::from_str(&setting.value) {
            Ok(value) if path.iter().all(|key| !key.is_empty()) && path.len() < 16 => {
                layer.overlay_at(&path, Node::from_json(Layer::Code, value))
            }
            _ => findings.push(Place::named(&format!("settings.{}", setting.key)).error(
                diagnostic::WRONG_VALUE,
                "this is not a path with a JSON value",
                "name a setting by its path below observability.telemetry, such as otlp_endpoint",
            )),
        }
    }
    fold_headers(&mut layer);
    telemetry.overlay(layer);
}
