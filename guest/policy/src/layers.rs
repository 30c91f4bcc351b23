//! Layers of one configuration, the later over the earlier: the manifest, its overrides for the environment, the variables, the settings of code.

use std::mem;

use crate::manifest::Mode;
use crate::yaml::{Key, Node, Value};

/// Where floe's telemetry settings stand in a manifest.
pub const TELEMETRY: &str = "observability.telemetry";

/// The layer that a value is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The manifest.
    Manifest,
    /// The manifest, at this path: an older spelling, or a value that has several uses.
    Elsewhere(&'static str),
    /// The manifest's overrides for an environment.
    Environment(Mode),
    /// A variable of the process environment.
    Variable(&'static str),
    /// The code that calls.
    Code,
}

impl Layer {
    /// Of two layers the one with the greater precedence holds.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Manifest | Self::Elsewhere(_) => 0,
            Self::Environment(_) => 1,
            Self::Variable(_) => 2,
            Self::Code => 3,
        }
    }

    /// The path under which somebody who reads a message finds the value at `path`.
    pub fn path(self, path: &str) -> String {
        let below = path
            .strip_prefix(TELEMETRY)
            .map(|rest| rest.trim_start_matches('.'));
        match self {
            Self::Manifest => path.to_owned(),
            Self::Elsewhere(path) | Self::Variable(path) => path.to_owned(),
            Self::Environment(mode) => {
                let below = below.or_else(|| path.strip_prefix("plugins.")).unwrap_or(path);
                format!("{TELEMETRY}.environments.{}.{below}", mode.word())
            }
            Self::Code => format!("settings.{}", below.unwrap_or(path)),
        }
    }
}

impl Node {
    /// A value of a layer that has no text.
    pub fn of(layer: Layer, value: Value) -> Self {
        Self {
            value,
            line: 0,
            column: 0,
            layer,
            under: None,
        }
    }

    /// JSON as a value of a layer.
    pub fn from_json(layer: Layer, json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Boolean(truth),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Value::Integer(number),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(text),
            Json::Array(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| Self::from_json(layer, item))
                    .collect(),
            ),
            Json::Object(fields) => Value::Mapping(
                fields
                    .into_iter()
                    .map(|(name, value)| (Key::new(name), Self::from_json(layer, value)))
                    .collect(),
            ),
        };
        Self::of(layer, value)
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(entries) => entries
                .iter()
                .find(|(key, _)| key.name == name)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// The value at the end of these keys.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |node, key| match &mut node.value {
            Value::Mapping(entries) => entries
                .iter_mut()
                .find(|(found, _)| found.name == *key)
                .map(|(_, node)| node),
            _ => None,
        })
    }

    /// Takes a key out of a mapping.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        match &mut self.value {
            Value::Mapping(entries) => {
                let at = entries.iter().position(|(key, _)| key.name == name)?;
                Some(entries.remove(at).1)
            }
            _ => None,
        }
    }

    /// Makes this and all below it values of a layer.
    pub fn stamp(&mut self, layer: Layer) {
        self.layer = layer;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.stamp(layer)),
            Value::Mapping(entries) => entries.iter_mut().for_each(|(_, node)| node.stamp(layer)),
            _ => {}
        }
    }

    /// Lays another value over this one: a mapping key by key, anything else as a whole.
    pub fn overlay(&mut self, over: Self) {
        match (&mut self.value, over) {
            (
                Value::Mapping(entries),
                Self {
                    value: Value::Mapping(others),
                    ..
                },
            ) => {
                for (key, node) in others {
                    match entries.iter_mut().find(|(found, _)| found.name == key.name) {
                        Some((_, found)) => found.overlay(node),
                        None => entries.push((key, node)),
                    }
                }
            }
            (_, over) => self.replace(over),
        }
    }

    /// Puts another value in the place of this one, which stays beneath it.
    pub fn replace(&mut self, over: Self) {
        let under = mem::replace(self, over);
        if !matches!(under.value, Value::Null) {
            self.under = Some(Box::new(under));
        }
    }

    /// Lays a value over what is at the end of these keys. Mappings that are not there yet are made; nothing at all counts as an empty one.
    pub fn overlay_at(&mut self, path: &[&str], over: Self) {
        let Some((first, rest)) = path.split_first() else {
            self.overlay(over);
            return;
        };
        if matches!(self.value, Value::Null) {
            self.value = Value::Mapping(Vec::new());
        }
        let Value::Mapping(entries) = &mut self.value else {
            // Reading says what is wrong with it.
            return;
        };
        let at = entries
            .iter()
            .position(|(key, _)| key.name == *first)
            .unwrap_or_else(|| {
                let (layer, at) = (over.layer, entries.len());
                entries.push((
                    Key::new((*first).to_owned()),
                    Self {
                        line: over.line,
                        column: over.column,
                        ..Self::of(layer, Value::Null)
                    },
                ));
                at
            });
        if let Some((_, node)) = entries.get_mut(at) {
            node.overlay_at(rest, over);
        }
    }
}

impl Key {
    /// A key that stands in no text.
    pub fn new(name: String) -> Self {
        Self {
            name,
            line: 0,
            column: 0,
        }
    }
}
