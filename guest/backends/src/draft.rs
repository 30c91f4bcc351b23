//! A fragment while it is written.

use serde_json::Value as Json;

use crate::bindings::exports::floe::telemetry::backends::{Component, Connector, Fragment, Pipeline, Signal};
use crate::bindings::exports::floe::telemetry::types::Severity;
use crate::collector::Collector;
use crate::component_type::ComponentType;
use crate::diagnostic::{self, Findings, error, shown, warning};
use crate::settings::Settings;
use crate::url::Url;

/// A backend's fragment for one Collector.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The settings.
    pub settings: &'a Settings,
    backend: &'static str,
    collector: Collector,
    fragment: Fragment,
    findings: Findings,
}

impl<'a> Draft<'a> {
    /// An empty one, with what was found before.
    pub fn new(
        backend: &'static str,
        collector: Collector,
        settings: &'a Settings,
        findings: Findings,
    ) -> Self {
        Self {
            settings,
            backend,
            collector,
            fragment: Fragment {
                exporters: Vec::new(),
                processors: Vec::new(),
                extensions: Vec::new(),
                connectors: Vec::new(),
                pipelines: Vec::new(),
                variables: Vec::new(),
                warnings: Vec::new(),
            },
            findings,
        }
    }

    /// The fragment, or what is wrong.
    pub fn finish(mut self) -> Result<Fragment, Findings> {
        if self
            .findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
        {
            return Err(self.findings);
        }
        self.fragment.variables.sort_unstable();
        self.fragment.variables.dedup();
        self.fragment.warnings = self.findings;
        Ok(self.fragment)
    }

    /// An exporter; answers its id.
    pub fn exporter(&mut self, kind: ComponentType, config: &Json) -> String {
        self.exporter_for(kind, "", config)
    }

    /// A further exporter of the same type, for a purpose; answers its id.
    pub fn exporter_for(&mut self, kind: ComponentType, purpose: &str, config: &Json) -> String {
        let component = self.component(kind, purpose, config);
        add(&mut self.fragment.exporters, component)
    }

    /// A processor; answers its id.
    pub fn processor(&mut self, kind: ComponentType, config: &Json) -> String {
        let component = self.component(kind, "", config);
        add(&mut self.fragment.processors, component)
    }

    /// An extension; answers its id.
    pub fn extension(&mut self, kind: ComponentType, config: &Json) -> String {
        let component = self.component(kind, "", config);
        add(&mut self.fragment.extensions, component)
    }

    /// A connector from one signal to another, for a purpose, since its id shares the exporters' space of names.
    pub fn connector(
        &mut self,
        kind: ComponentType,
        purpose: &str,
        config: &Json,
        input: Signal,
        output: Signal,
    ) {
        let Component { id, config } = self.component(kind, purpose, config);
        self.fragment.connectors.push(Connector {
            id,
            config,
            input,
            output,
        });
    }

    /// A signal's pipeline.
    pub fn pipeline(&mut self, signal: Signal, processors: &[&str], exporters: &[&str]) {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        self.fragment.pipelines.push(Pipeline {
            signal,
            processors: owned(processors),
            exporters: owned(exporters),
        });
    }

    /// These signals' pipelines, which end in one exporter.
    pub fn pipelines(&mut self, signals: &[Signal], exporter: &str) {
        for signal in signals {
            self.pipeline(*signal, &[], &[exporter]);
        }
    }

    /// A reference to the variable that a setting names. This is the only way in which a secret gets into a configuration.
    pub fn secret(&mut self, setting: &str) -> Option<String> {
        let variable = self.settings.variable(setting)?;
        self.fragment.variables.push(variable.to_owned());
        Some(format!("${{env:{variable}}}"))
    }

    /// Warns that a secret goes where it can be read on the way.
    pub fn warn_if_readable(&mut self, setting: &str, url: &Url) {
        if url.is_plain() && !url.is_local() {
            self.findings.push(warning(
                diagnostic::NOT_ENCRYPTED,
                setting,
                format!("{setting} goes out unencrypted"),
                "use an endpoint with TLS, or a network that nobody else reads",
            ));
        }
    }

    /// Refuses a setting that a Collector before 0.`minor` does not have, or does not heed.
    pub fn refuse_before(&mut self, minor: u64, setting: &str) {
        if !self.collector.has(minor) {
            self.findings.push(error(
                diagnostic::COLLECTOR_TOO_OLD,
                setting,
                format!(
                    "the Collector {} is too old for {setting}",
                    shown(&self.collector.to_string())
                ),
                format!("use 0.{minor}.0 or later, or leave {setting} out"),
            ));
        }
    }

    /// Refuses a setting that does not go with others.
    pub fn refuse(&mut self, setting: &str, message: &str, help: &str) {
        self.findings
            .push(error(diagnostic::CONFLICT, setting, message, help));
    }

    fn component(&self, kind: ComponentType, purpose: &str, config: &Json) -> Component {
        let purpose = if purpose.is_empty() {
            String::new()
        } else {
            format!("-{purpose}")
        };
        Component {
            id: format!("{}/{}{purpose}", kind.name(&self.collector), self.backend),
            config: config.to_string(),
        }
    }
}

fn add(components: &mut Vec<Component>, component: Component) -> String {
    let id = component.id.clone();
    components.push(component);
    id
}
