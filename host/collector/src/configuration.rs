//! A whole configuration.

use std::collections::BTreeSet;

use floe_telemetry::Diagnostic;
use floe_telemetry::bindings::exports::floe::telemetry::collector::Deployment;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::component_id::{
    BATCH, DEBUG, FILE_STORAGE, HEALTH_CHECK, MEMORY_LIMITER, OTLP, TAIL_SAMPLING, TRANSFORM, kind,
};
use crate::diagnostic::{self, Place};
use crate::fragment::Taken;
use crate::outlet::{self, Outlet};
use crate::pipelines::{CHECKS, DROPPED, Pipeline, Pipelines};
use crate::queue;
use crate::sizing::Sizes;
use crate::target::{Target, word};
use crate::version::CollectorVersion;
use crate::{gateway, receiver, service, tail};

/// Queues in memory above so many MiB deserve a directory.
const LARGE_QUEUES: u64 = 4096;

/// Where a Collector stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// Beside the applications of one machine.
    Agent,
    /// In a tier that agents send to.
    Gateway,
}

impl Topology {
    /// `agent` or `gateway`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Gateway => "gateway",
        }
    }
}

/// What a Collector runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// A machine.
    Machine,
    /// A pod.
    Kubernetes,
}

/// TLS files and the queues' directory, which a pod has to mount.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directories {
    pub(crate) queues: Option<String>,
    pub(crate) certificates: BTreeSet<String>,
}

impl Directories {
    /// Those of a Collector that has queues on disk, or none.
    fn of(deployment: &Deployment, on_disk: bool) -> Self {
        let files = deployment
            .tls
            .iter()
            .flat_map(|tls| [&tls.certificate, &tls.key, &tls.clients]);
        Self {
            queues: on_disk.then(|| deployment.storage.clone()),
            certificates: files
                .filter_map(|file| file.rsplit_once('/'))
                .map(|(directory, _)| directory.to_owned())
                .filter(|directory| !directory.is_empty())
                .collect(),
        }
    }
}

/// The Collector's own document, in the order in which people read it.
#[derive(Debug, Serialize)]
struct Body {
    receivers: Map<String, Json>,
    processors: Map<String, Json>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    connectors: Map<String, Json>,
    exporters: Map<String, Json>,
    extensions: Map<String, Json>,
    service: Service,
}

#[derive(Debug, Serialize)]
struct Service {
    extensions: Vec<String>,
    pipelines: std::collections::BTreeMap<String, Pipeline>,
    telemetry: Json,
}

/// A Collector's configuration, and what goes with it.
#[derive(Debug)]
pub struct Configuration {
    body: Body,
    /// Where the Collector stands.
    pub topology: Topology,
    /// The environment that it was made for: `dev`, `staging` or `prod`.
    pub environment: String,
    /// The version that it is for.
    pub version: CollectorVersion,
    /// What it is sized for.
    pub sizes: Sizes,
    /// Names of the environment variables that it needs.
    pub variables: Vec<String>,
    /// Kubernetes secrets that hold variables.
    pub(crate) secrets: Vec<String>,
    /// Variables for which the manifest names no secret.
    pub(crate) loose: Vec<String>,
    pub(crate) directories: Directories,
    /// Where signals leave, each as a line for people.
    pub(crate) outlets: Vec<String>,
    /// What deserves attention.
    pub warnings: Vec<Diagnostic>,
}

impl Serialize for Configuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.serialize(serializer)
    }
}

impl Configuration {
    /// The configuration of a Collector that sends to these targets, or, as an agent before a gateway tier, to that.
    pub fn new(deployment: &Deployment, targets: Vec<Target>, topology: Topology, site: Site) -> Self {
        let version = CollectorVersion::of(deployment);
        let forwards = topology == Topology::Agent && !deployment.gateway.is_empty();
        // Sampling is for where all of a trace meet.
        let tail = deployment.tail.as_ref().filter(|_| !forwards);
        let storage = (!deployment.storage.is_empty()).then(|| FILE_STORAGE.id(&version, "queue"));
        let health = HEALTH_CHECK.name(&version).to_owned();
        let dropped = DEBUG.id(&version, DROPPED);

        let mut warnings = deployment.warnings.clone();
        let mut outlets = Vec::new();
        let mut provenance = Vec::new();
        let (mut secrets, mut loose) = (BTreeSet::new(), BTreeSet::new());
        if forwards {
            let fragment = gateway::fragment(deployment, &version);
            let (outlet, _) = Outlet::new("gateway", fragment, &crate::pipelines::SIGNALS);
            outlets.push(outlet);
            provenance.push(format!("the gateway tier {}", deployment.gateway));
        } else {
            let mut taken = Taken::default();
            taken.reserve(
                [&dropped],
                [
                    &MEMORY_LIMITER.name(&version).to_owned(),
                    &BATCH.name(&version).to_owned(),
                    &TAIL_SAMPLING.name(&version).to_owned(),
                    &TRANSFORM.id(&version, CHECKS),
                ],
                [&health].into_iter().chain(&storage),
            );
            for target in targets {
                warnings.extend(target.warnings.iter().cloned());
                let fragment = target.fragment.clone().renamed(&mut taken);
                let (outlet, unused) = Outlet::new(&target.name, fragment, &target.signals);
                warnings.extend(outlet::left_out(&unused, target.place()));
                if storage.is_some() {
                    warnings.extend(outlet.without_queue(target.place()));
                }
                let signals: Vec<&str> = target.signals.iter().map(|signal| word(*signal)).collect();
                provenance.push(format!(
                    "{} for {} ({})",
                    target.name,
                    signals.join(", "),
                    target.provenance
                ));
                if target.secret.is_empty() {
                    loose.extend(outlet.fragment.variables.iter().cloned());
                } else if !outlet.fragment.variables.is_empty() {
                    secrets.insert(target.secret);
                }
                outlets.push(outlet);
            }
        }
        let queues: Vec<_> = outlets.iter().flat_map(Outlet::queues).collect();
        let storage = storage.filter(|_| !queues.is_empty());
        let sizes = Sizes::new(&deployment.load, topology, tail, &queues, storage.is_some());
        for outlet in &mut outlets {
            outlet.complete(&sizes, &version, storage.as_deref());
        }
        let pipelines = Pipelines::new(&outlets, &version, tail.is_some());
        warnings.extend(attention(
            deployment,
            topology,
            tail.is_some(),
            &pipelines,
            &sizes,
            storage.is_some(),
        ));

        let directories = Directories::of(deployment, storage.is_some());
        // The environment's name is any text.
        let environment = verbatim(&deployment.environment);
        let mut body = Body {
            receivers: Map::new(),
            processors: Map::new(),
            connectors: Map::new(),
            exporters: Map::new(),
            extensions: Map::new(),
            service: Service {
                extensions: vec![health.clone()],
                pipelines: pipelines.all,
                // A receiver with TLS is not called by its own Collector.
                telemetry: service::telemetry(
                    &version,
                    &environment,
                    topology,
                    site,
                    deployment.tls.is_none() && !pipelines.dropped.contains(&floe_telemetry::Signal::Metrics),
                ),
            },
        };
        body.receivers.insert(
            OTLP.name(&version).to_owned(),
            receiver::otlp(deployment, topology, site),
        );
        body.processors.insert(
            MEMORY_LIMITER.name(&version).to_owned(),
            json!({
                "check_interval": "1s",
                "limit_mib": sizes.limit(),
                "spike_limit_mib": sizes.limit() / 5,
            }),
        );
        body.processors
            .insert(TRANSFORM.id(&version, CHECKS), service::checks(&environment));
        if let (Some(tail), Some(traces)) = (tail, &sizes.traces) {
            body.processors.insert(
                TAIL_SAMPLING.name(&version).to_owned(),
                tail::sampling(tail, traces),
            );
        }
        if pipelines.batches {
            body.processors
                .insert(BATCH.name(&version).to_owned(), queue::batch_processor(&sizes));
        }
        if !pipelines.dropped.is_empty() {
            // A line a second at most, which says that something is dropped.
            body.exporters.insert(
                dropped,
                json!({"verbosity": "basic", "sampling_initial": 1, "sampling_thereafter": 1_000_000}),
            );
        }
        for forward in pipelines.forwards {
            body.connectors.insert(forward, json!({}));
        }
        body.extensions.insert(health, service::health(topology, site));
        if let Some(storage) = storage {
            body.extensions.insert(
                storage.clone(),
                json!({
                    "directory": verbatim(&deployment.storage),
                    "create_directory": true,
                    "compaction": {
                        "directory": verbatim(&deployment.storage),
                        "on_rebound": true,
                        "cleanup_on_start": true,
                    },
                }),
            );
            body.service.extensions.push(storage);
        }
        let mut variables = BTreeSet::new();
        for outlet in outlets {
            let fragment = outlet.fragment;
            variables.extend(fragment.variables);
            for component in fragment.exporters {
                body.exporters
                    .insert(component.id, Json::Object(component.config));
            }
            for component in fragment.processors {
                body.processors
                    .insert(component.id, Json::Object(component.config));
            }
            for connector in fragment.connectors {
                body.connectors
                    .insert(connector.component.id, Json::Object(connector.component.config));
            }
            for component in fragment.extensions {
                body.service.extensions.push(component.id.clone());
                body.extensions
                    .insert(component.id, Json::Object(component.config));
            }
        }
        Self {
            body,
            topology,
            environment: deployment.environment.clone(),
            version,
            sizes,
            variables: variables.into_iter().collect(),
            secrets: secrets.into_iter().collect(),
            loose: loose.into_iter().collect(),
            directories,
            outlets: provenance,
            warnings,
        }
    }
}

impl Configuration {
    /// The kind and the type of every component, for example `exporters` and `otlp_http`.
    pub fn components(&self) -> BTreeSet<(&'static str, &str)> {
        let body = &self.body;
        [
            ("receivers", &body.receivers),
            ("processors", &body.processors),
            ("connectors", &body.connectors),
            ("exporters", &body.exporters),
            ("extensions", &body.extensions),
        ]
        .into_iter()
        .flat_map(|(name, components)| components.keys().map(move |id| (name, kind(id))))
        .collect()
    }
}

/// What deserves attention in the whole.
fn attention(
    deployment: &Deployment,
    topology: Topology,
    sampled: bool,
    pipelines: &Pipelines,
    sizes: &Sizes,
    on_disk: bool,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for signal in &pipelines.dropped {
        found.push(Place::WHOLE.warning(
            diagnostic::SIGNAL_DROPPED,
            format!("no backend takes {}: the Collector drops them", word(*signal)),
            "add a backend that does, `floe-telemetry collector backends` lists them, or accept the loss",
        ));
    }
    if sampled && topology == Topology::Agent {
        found.push(Place::WHOLE.warning(
            diagnostic::PARTIAL_TRACES,
            "tail sampling at an agent judges a trace by the spans of one machine",
            "name a gateway tier in the manifest, unless all of a trace is on one machine",
        ));
    }
    if sampled && topology == Topology::Gateway && deployment.gateway.is_empty() {
        found.push(Place::WHOLE.warning(
            diagnostic::PARTIAL_TRACES,
            format!(
                "tail sampling by {} Collectors needs agents that route by trace id",
                sizes.replicas
            ),
            "name the gateway tier in the manifest and render its agents too, or run one Collector alone",
        ));
    }
    if !on_disk && !deployment.storage.is_empty() {
        found.push(
            Place::named("observability.telemetry.collector.storage_directory").warning(
                diagnostic::NO_QUEUE,
                "no exporter has a queue: nothing is kept on disk",
                "take it out, or name a backend whose exporter has a queue",
            ),
        );
    }
    if sizes.memory > LARGE_QUEUES && deployment.storage.is_empty() {
        found.push(Place::WHOLE.warning(
            diagnostic::LARGE_QUEUES,
            format!(
                "the queues for {} s without a backend need a Collector of {} MiB",
                deployment.load.outage, sizes.memory
            ),
            "name a directory for them in the manifest, or allow for a shorter outage",
        ));
    }
    found
}

/// Text that the Collector shall not read as a reference.
pub(crate) fn verbatim(text: &str) -> String {
    text.replace('$', "$$")
}
