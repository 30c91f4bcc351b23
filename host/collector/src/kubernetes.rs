//! A configuration as what Kubernetes runs: the Helm chart `opentelemetry-collector`, the OpenTelemetry Operator, and the NetworkPolicy of pipelines.

use floe_telemetry::Diagnostic;
use serde_json::{Value as Json, json};

use crate::configuration::{Configuration, Topology};
use crate::diagnostic::{OTHER_GATEWAY, Place};
use crate::object::object;
use crate::receiver::{GRPC, HTTP};
use crate::service::{HEALTH, METRICS};

/// The distribution that has every component of a configuration.
const IMAGE: &str = "otel/opentelemetry-collector-contrib";
/// The user that the image runs as, who must be able to write the queues.
const USER: u32 = 10_001;
/// The label of Collectors, by which the NetworkPolicy finds them.
const COLLECTOR: (&str, &str) = ("floe.dev/telemetry", "collector");
/// The secret with the variables for which the manifest names none.
const SECRET: &str = "floe-collector";
/// The secret with the files of TLS.
const CERTIFICATES: &str = "floe-collector-tls";

/// A label of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    key: String,
    value: String,
}

impl Default for Label {
    /// The one that pods of pipelines have unless they have another.
    fn default() -> Self {
        Self {
            key: COLLECTOR.0.to_owned(),
            value: "pipeline".to_owned(),
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl std::str::FromStr for Label {
    type Err = String;

    /// Reads `key=value` by the rules of Kubernetes: names of at most 63 letters, digits, `-`, `_` and `.`, and a domain before the key's, if it has one.
    fn from_str(text: &str) -> Result<Self, String> {
        let word = |text: &str, most: usize| {
            let ends = |letter: char| letter.is_ascii_alphanumeric();
            (1..=most).contains(&text.len())
                && text.starts_with(ends)
                && text.ends_with(ends)
                && text
                    .chars()
                    .all(|letter| ends(letter) || matches!(letter, '-' | '_' | '.'))
        };
        let refused = || {
            format!(
                "{text:?} is no label: write key=value, such as {}",
                Self::default()
            )
        };
        let (key, value) = text.split_once('=').ok_or_else(refused)?;
        let (domain, name) = key.rsplit_once('/').unwrap_or(("x", key));
        match word(domain, 253) && word(name, 63) && word(value, 63) {
            true => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            false => Err(refused()),
        }
    }
}

/// Who makes the services of a tier, and what it calls the one that resolves to every member of the gateway tier.
pub(crate) struct Maker {
    name: &'static str,
    gateway: &'static str,
}

/// The chart: the service has the tier's name, and no address of its own.
pub(crate) const HELM: Maker = Maker {
    name: "the Helm chart",
    gateway: "floe-gateway",
};
/// The Operator: a service with an address, and one without.
pub(crate) const OPERATOR: Maker = Maker {
    name: "the Operator",
    gateway: "floe-gateway-collector-headless",
};
/// The Operator's service with an address, behind which agents see one member only.
const ONE_ADDRESS: &str = "floe-gateway-collector";

impl Maker {
    /// Says so where agents look for the tier by another name that it has elsewhere. What has none of these names may be anybody's service.
    pub(crate) fn other_gateway(&self, gateway: &str) -> Option<Diagnostic> {
        let (host, rest) = gateway.split_at(gateway.find(['.', ':']).unwrap_or(gateway.len()));
        let is_other = host != self.gateway && [HELM.gateway, OPERATOR.gateway, ONE_ADDRESS].contains(&host);
        is_other.then(|| {
            Place::named("observability.telemetry.collector.gateway").warning(
                OTHER_GATEWAY,
                format!(
                    "agents look for the gateway tier at {host}, and the service of {} that resolves to all its members is {}",
                    self.name, self.gateway
                ),
                format!("write {}{rest}, if {} makes the tier", self.gateway, self.name),
            )
        })
    }
}

/// Name of the Collectors of a tier.
fn name(topology: Topology) -> String {
    format!("floe-{}", topology.word())
}

/// Values for the Helm chart.
pub(crate) fn helm_values(configuration: &Configuration) -> Json {
    let mut values = object(json!({
        "mode": mode(configuration),
        "fullnameOverride": name(configuration.topology),
        "image": {"repository": IMAGE, "tag": configuration.version.to_string()},
        "command": {"name": "otelcol-contrib"},
        // In place of the chart's own configuration, not merged with it.
        "alternateConfig": configuration,
        "podLabels": {COLLECTOR.0: COLLECTOR.1},
        "resources": resources(configuration),
        "useGOMEMLIMIT": true,
        "extraEnvs": environment(configuration),
        "extraEnvsFrom": secrets(configuration),
        "extraVolumes": volumes(configuration),
        "extraVolumeMounts": mounts(configuration),
        "livenessProbe": {"httpGet": {"path": "/", "port": HEALTH}},
        "readinessProbe": {"httpGet": {"path": "/", "port": HEALTH}},
        "ports": {
            "otlp": port(GRPC),
            "otlp-http": port(HTTP),
            "metrics": port(METRICS),
            "jaeger-compact": {"enabled": false},
            "jaeger-thrift": {"enabled": false},
            "jaeger-grpc": {"enabled": false},
            "zipkin": {"enabled": false},
        },
    }));
    match configuration.topology {
        // Pods reach the agent of their own machine by the service's name.
        Topology::Agent => {
            values.insert(
                "service".to_owned(),
                json!({"enabled": true, "internalTrafficPolicy": "Local"}),
            );
            if configuration.directories.queues.is_some() {
                values.insert("securityContext".to_owned(), root());
            }
        }
        // Agents look up every member, so the service has no address of its own.
        Topology::Gateway => {
            values.insert("replicaCount".to_owned(), json!(configuration.sizes.replicas));
            values.insert(
                "service".to_owned(),
                json!({"enabled": true, "clusterIP": "None"}),
            );
            if let Some(claims) = claims(configuration) {
                values.insert(
                    "statefulset".to_owned(),
                    json!({"volumeClaimTemplates": claims, "podManagementPolicy": "Parallel"}),
                );
                values.insert("podSecurityContext".to_owned(), json!({"fsGroup": USER}));
            }
        }
    }
    Json::Object(values)
}

/// The Operator's resource. The Operator itself makes ports, services (also one without an address) and probes from the configuration.
pub(crate) fn resource(configuration: &Configuration) -> Json {
    let mut environment = environment(configuration);
    // As the chart does: Go collects garbage before the limit, not after it.
    environment.push(json!({"name": "GOMEMLIMIT", "value": format!("{}MiB", configuration.sizes.limit())}));
    let mut spec = object(json!({
        "mode": mode(configuration),
        "image": format!("{IMAGE}:{}", configuration.version),
        "config": configuration,
        "resources": resources(configuration),
        "env": environment,
        "envFrom": secrets(configuration),
        "volumes": volumes(configuration),
        "volumeMounts": mounts(configuration),
    }));
    match configuration.topology {
        Topology::Agent => {
            if configuration.directories.queues.is_some() {
                spec.insert("securityContext".to_owned(), root());
            }
        }
        Topology::Gateway => {
            spec.insert("replicas".to_owned(), json!(configuration.sizes.replicas));
            if let Some(claims) = claims(configuration) {
                spec.insert("volumeClaimTemplates".to_owned(), claims);
                spec.insert("podSecurityContext".to_owned(), json!({"fsGroup": USER}));
            }
        }
    }
    json!({
        "apiVersion": "opentelemetry.io/v1beta1",
        "kind": "OpenTelemetryCollector",
        "metadata": {"name": name(configuration.topology), "labels": {COLLECTOR.0: COLLECTOR.1}},
        "spec": spec,
    })
}

/// What pods with a label may reach: the Collector's ports wherever it is, and the cluster's DNS. Policies add up: what else such pods need (a warehouse, an object
/// store), other policies allow.
pub(crate) fn network_policy(topology: Topology, pipelines: &Label) -> Json {
    let ports = |protocol: &str, ports: &[u16]| -> Vec<Json> {
        ports
            .iter()
            .map(|port| json!({"protocol": protocol, "port": port}))
            .collect()
    };
    let mut dns = ports("UDP", &[53]);
    dns.extend(ports("TCP", &[53]));
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": format!("{}-only", name(topology))},
        "spec": {
            "podSelector": {"matchLabels": {pipelines.key.as_str(): pipelines.value}},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {COLLECTOR.0: COLLECTOR.1}}}],
                    "ports": ports("TCP", &[GRPC, HTTP]),
                },
                {
                    "to": [{
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    }],
                    "ports": dns,
                },
            ],
        },
    })
}

fn mode(configuration: &Configuration) -> &'static str {
    match (configuration.topology, &configuration.directories.queues) {
        (Topology::Agent, _) => "daemonset",
        (Topology::Gateway, Some(_)) => "statefulset",
        (Topology::Gateway, None) => "deployment",
    }
}

fn port(port: u16) -> Json {
    json!({"enabled": true, "containerPort": port, "servicePort": port, "protocol": "TCP"})
}

fn resources(configuration: &Configuration) -> Json {
    let memory = format!("{}Mi", configuration.sizes.memory);
    json!({
        // No limit of processor time: what is throttled falls behind, and memory fills.
        "limits": {"memory": memory},
        "requests": {"cpu": format!("{}m", configuration.sizes.cpu), "memory": memory},
    })
}

fn environment(configuration: &Configuration) -> Vec<Json> {
    configuration
        .loose
        .iter()
        .map(|name| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}}))
        .collect()
}

fn secrets(configuration: &Configuration) -> Vec<Json> {
    configuration
        .secrets
        .iter()
        .map(|name| json!({"secretRef": {"name": name}}))
        .collect()
}

/// A machine's directory belongs to root, and no group of the pod's changes that.
fn root() -> Json {
    json!({"runAsUser": 0, "runAsGroup": 0})
}

fn volumes(configuration: &Configuration) -> Vec<Json> {
    let mut volumes = Vec::new();
    if !configuration.directories.certificates.is_empty() {
        volumes.push(json!({"name": "tls", "secret": {"secretName": CERTIFICATES}}));
    }
    if let (Topology::Agent, Some(directory)) = (configuration.topology, &configuration.directories.queues) {
        volumes.push(json!({"name": "queues", "hostPath": {"path": directory, "type": "DirectoryOrCreate"}}));
    }
    volumes
}

fn mounts(configuration: &Configuration) -> Vec<Json> {
    let directories = &configuration.directories;
    directories
        .certificates
        .iter()
        .map(|directory| json!({"name": "tls", "mountPath": directory, "readOnly": true}))
        .chain(
            directories
                .queues
                .iter()
                .map(|directory| json!({"name": "queues", "mountPath": directory})),
        )
        .collect()
}

/// The claim of each member of the tier on a disk for its queues.
fn claims(configuration: &Configuration) -> Option<Json> {
    configuration.directories.queues.as_ref()?;
    Some(json!([{
        "metadata": {"name": "queues"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": format!("{}Mi", configuration.sizes.disk)}},
        },
    }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_is_no_service_of_the_tier_is_said() {
        assert_eq!(HELM.gateway, name(Topology::Gateway));
        let help = |maker: Maker, gateway| maker.other_gateway(gateway).map(|found| found.help);
        for (gateway, written) in [
            ("floe-gateway:4317", "write floe-gateway-collector-headless:4317,"),
            (
                "floe-gateway-collector.observability.svc:4317",
                "write floe-gateway-collector-headless.observability.svc:4317,",
            ),
        ] {
            assert!(help(OPERATOR, gateway).unwrap().starts_with(written), "{gateway}");
        }
        let written = help(HELM, "floe-gateway-collector-headless:4317").unwrap();
        assert!(written.starts_with("write floe-gateway:4317,"), "{written}");
        for gateway in ["", "otel.acme.svc:4317", "floe-gateway-2:4317", "[::1]:4317"] {
            assert_eq!(help(OPERATOR, gateway), None);
            assert_eq!(help(HELM, gateway), None);
        }
        assert_eq!(help(OPERATOR, "floe-gateway-collector-headless.a:4317"), None);
        assert_eq!(help(HELM, "floe-gateway.a:4317"), None);
    }

    #[test]
    fn labels() {
        for text in ["app=dbt", "floe.dev/telemetry=pipeline", "a.b/c_d=e-f.g"] {
            assert_eq!(text.parse::<Label>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "app",
            "app=",
            "=x",
            "a b=c",
            "app=x\ny",
            "-a=b",
            "a=b=c",
            "a//b=c",
            &format!("a={}", "x".repeat(64)),
        ] {
            assert!(text.parse::<Label>().is_err(), "{text:?}");
        }
    }
}
