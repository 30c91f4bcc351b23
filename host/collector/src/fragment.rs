//! A backend's fragment as it can be put into a configuration: its JSON read, its references checked, its ids changeable.

use std::collections::{BTreeMap, BTreeSet};

use floe_telemetry::bindings::exports::floe::telemetry::types::Signal;
use floe_telemetry::bindings::telemetry_backends::exports::floe::telemetry::backends;
use serde_json::{Map, Value as Json};

use crate::component_id::is_id;

/// Most text that one fragment may have, in bytes.
const LARGEST: usize = 1024 * 1024;

/// A component with its configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Component {
    pub(crate) id: String,
    pub(crate) config: Map<String, Json>,
}

/// A component that reads one signal before it is sampled, and makes another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Connector {
    pub(crate) component: Component,
    pub(crate) input: Signal,
    pub(crate) output: Signal,
}

/// A backend's part of a signal's pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pipeline {
    pub(crate) signal: Signal,
    pub(crate) processors: Vec<String>,
    pub(crate) exporters: Vec<String>,
}

/// A fragment in which every id that is referred to is there once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fragment {
    pub(crate) exporters: Vec<Component>,
    pub(crate) processors: Vec<Component>,
    pub(crate) extensions: Vec<Component>,
    pub(crate) connectors: Vec<Connector>,
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) variables: Vec<String>,
}

/// The ids that a configuration has so far. Exporters and connectors share one space, since a pipeline names both alike.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    outputs: BTreeSet<String>,
    processors: BTreeSet<String>,
    extensions: BTreeSet<String>,
}

impl Taken {
    /// Reserves ids of the configuration's own.
    pub(crate) fn reserve<'a>(
        &mut self,
        outputs: impl IntoIterator<Item = &'a String>,
        processors: impl IntoIterator<Item = &'a String>,
        extensions: impl IntoIterator<Item = &'a String>,
    ) {
        self.outputs.extend(outputs.into_iter().cloned());
        self.processors.extend(processors.into_iter().cloned());
        self.extensions.extend(extensions.into_iter().cloned());
    }
}

impl Fragment {
    /// Reads what a component answered. A third party's may be anything.
    pub(crate) fn read(fragment: backends::Fragment) -> Result<Self, String> {
        let text = fragment
            .exporters
            .iter()
            .chain(&fragment.processors)
            .chain(&fragment.extensions)
            .map(|component| component.config.len())
            .chain(fragment.connectors.iter().map(|connector| connector.config.len()))
            .sum::<usize>();
        if text > LARGEST {
            return Err(format!("it is larger than {LARGEST} bytes"));
        }
        let read = Self {
            exporters: components(fragment.exporters)?,
            processors: components(fragment.processors)?,
            extensions: components(fragment.extensions)?,
            connectors: fragment
                .connectors
                .into_iter()
                .map(|connector| {
                    Ok(Connector {
                        component: component(connector.id, &connector.config)?,
                        input: connector.input,
                        output: connector.output,
                    })
                })
                .collect::<Result<_, String>>()?,
            pipelines: fragment
                .pipelines
                .into_iter()
                .map(|pipeline| Pipeline {
                    signal: pipeline.signal,
                    processors: pipeline.processors,
                    exporters: pipeline.exporters,
                })
                .collect(),
            variables: fragment.variables,
        };
        read.check()?;
        Ok(read)
    }

    fn check(&self) -> Result<(), String> {
        let outputs = self
            .exporters
            .iter()
            .chain(self.connectors.iter().map(|connector| &connector.component));
        unique(outputs)?;
        unique(self.processors.iter())?;
        unique(self.extensions.iter())?;
        let mut signals = Vec::new();
        for pipeline in &self.pipelines {
            if signals.contains(&pipeline.signal) {
                return Err("it has two pipelines for one signal".to_owned());
            }
            signals.push(pipeline.signal);
            if pipeline.exporters.is_empty() {
                return Err("a pipeline ends in no exporter".to_owned());
            }
            declared(&pipeline.exporters, &self.exporters)?;
            declared(&pipeline.processors, &self.processors)?;
        }
        let variable = |name: &&String| {
            name.is_empty()
                || !name
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        };
        match self.variables.iter().find(variable) {
            Some(name) => Err(format!("{name:?} names no variable")),
            None => Ok(()),
        }
    }

    /// The same with ids that nobody has yet: one that is taken gets a number, wherever the fragment mentions it.
    pub(crate) fn renamed(mut self, taken: &mut Taken) -> Self {
        let outputs = self.exporters.iter_mut().chain(
            self.connectors
                .iter_mut()
                .map(|connector| &mut connector.component),
        );
        let outputs = rename(outputs, &mut taken.outputs);
        let processors = rename(self.processors.iter_mut(), &mut taken.processors);
        let extensions = rename(self.extensions.iter_mut(), &mut taken.extensions);
        for pipeline in &mut self.pipelines {
            for id in &mut pipeline.exporters {
                replace(id, &outputs);
            }
            for id in &mut pipeline.processors {
                replace(id, &processors);
            }
        }
        // Components name extensions in their configuration: `auth.authenticator`, `storage`.
        for component in self
            .exporters
            .iter_mut()
            .chain(&mut self.processors)
            .chain(&mut self.extensions)
            .chain(
                self.connectors
                    .iter_mut()
                    .map(|connector| &mut connector.component),
            )
        {
            for value in component.config.values_mut() {
                mentions(value, &extensions);
            }
        }
        self
    }
}

fn components(components: Vec<backends::Component>) -> Result<Vec<Component>, String> {
    components
        .into_iter()
        .map(|found| component(found.id, &found.config))
        .collect()
}

fn component(id: String, config: &str) -> Result<Component, String> {
    if !is_id(&id) {
        return Err(format!("{id:?} is no component id"));
    }
    match serde_json::from_str(config) {
        Ok(Json::Object(config)) => Ok(Component { id, config }),
        Ok(_) => Err(format!("the configuration of {id} is no JSON object")),
        Err(error) => Err(format!("the configuration of {id} is no JSON: {error}")),
    }
}

fn unique<'a>(components: impl Iterator<Item = &'a Component>) -> Result<(), String> {
    let mut ids = BTreeSet::new();
    for component in components {
        if !ids.insert(&component.id) {
            return Err(format!("{} is there twice", component.id));
        }
    }
    Ok(())
}

fn declared(ids: &[String], components: &[Component]) -> Result<(), String> {
    match ids
        .iter()
        .find(|id| !components.iter().any(|component| component.id == **id))
    {
        Some(id) => Err(format!("a pipeline names {id:?}, which is not there")),
        None => Ok(()),
    }
}

/// New ids for those that are taken.
fn rename<'a>(
    components: impl Iterator<Item = &'a mut Component>,
    taken: &mut BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut changed = BTreeMap::new();
    for component in components {
        let mut id = component.id.clone();
        let mut number = 1_u32;
        while !taken.insert(id.clone()) {
            number += 1;
            let between = match component.id.contains('/') {
                true => '-',
                false => '/',
            };
            id = format!("{}{between}{number}", component.id);
        }
        if id != component.id {
            changed.insert(std::mem::replace(&mut component.id, id.clone()), id);
        }
    }
    changed
}

fn replace(id: &mut String, changed: &BTreeMap<String, String>) {
    if let Some(now) = changed.get(id) {
        id.clone_from(now);
    }
}

fn mentions(value: &mut Json, changed: &BTreeMap<String, String>) {
    match value {
        Json::String(text) => replace(text, changed),
        Json::Array(values) => values.iter_mut().for_each(|value| mentions(value, changed)),
        Json::Object(map) => map.values_mut().for_each(|value| mentions(value, changed)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(exporter: &str) -> backends::Fragment {
        backends::Fragment {
            exporters: vec![backends::Component {
                id: exporter.to_owned(),
                config: r#"{"auth": {"authenticator": "basicauth/x"}}"#.to_owned(),
            }],
            processors: Vec::new(),
            extensions: vec![backends::Component {
                id: "basicauth/x".to_owned(),
                config: "{}".to_owned(),
            }],
            connectors: Vec::new(),
            pipelines: vec![backends::Pipeline {
                signal: Signal::Traces,
                processors: Vec::new(),
                exporters: vec![exporter.to_owned()],
            }],
            variables: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn what_is_taken_gets_a_number_everywhere() {
        let mut taken = Taken::default();
        let ids = |fragment: &Fragment| {
            let exporter = fragment.exporters.first().unwrap();
            (
                exporter.id.clone(),
                exporter.config["auth"]["authenticator"].to_string(),
                fragment.pipelines.first().unwrap().exporters.clone(),
            )
        };
        let mut seen = Vec::new();
        for _ in 0..3 {
            let fragment = Fragment::read(fragment("otlp_http/x"))
                .unwrap()
                .renamed(&mut taken);
            seen.push(ids(&fragment));
        }
        for (number, (exporter, extension, pipeline)) in ["", "-2", "-3"].iter().zip(seen) {
            assert_eq!(exporter, format!("otlp_http/x{number}"));
            assert_eq!(extension, format!("\"basicauth/x{number}\""));
            assert_eq!(pipeline, [exporter]);
        }
        let bare = Fragment::read(fragment("otlp_http")).unwrap().renamed(&mut taken);
        assert_eq!(ids(&bare).0, "otlp_http");
        let again = Fragment::read(fragment("otlp_http")).unwrap().renamed(&mut taken);
        assert_eq!(ids(&again).0, "otlp_http/2");
    }

    #[test]
    fn what_a_third_party_may_answer() {
        let broken = |change: fn(&mut backends::Fragment)| {
            let mut fragment = fragment("otlp_http/x");
            change(&mut fragment);
            Fragment::read(fragment).unwrap_err()
        };
        assert!(broken(|f| f.exporters[0].config = "[]".to_owned()).contains("no JSON object"));
        assert!(broken(|f| f.exporters[0].config = "{".to_owned()).contains("no JSON"));
        assert!(broken(|f| f.exporters[0].id = "a b".to_owned()).contains("no component id"));
        assert!(broken(|f| f.pipelines[0].exporters.clear()).contains("no exporter"));
        assert!(broken(|f| f.pipelines[0].exporters = vec!["y".to_owned()]).contains("not there"));
        assert!(broken(|f| f.pipelines[0].processors = vec!["y".to_owned()]).contains("not there"));
        assert!(broken(|f| f.pipelines.push(f.pipelines[0].clone())).contains("two pipelines"));
        assert!(broken(|f| f.exporters.push(f.exporters[0].clone())).contains("twice"));
        assert!(broken(|f| f.variables = vec!["a b".to_owned()]).contains("no variable"));
        assert!(broken(|f| f.exporters[0].config = " ".repeat(LARGEST + 1)).contains("larger"));
    }
}
