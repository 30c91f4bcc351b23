//! What the Collector says about itself: health, logs, and metrics, which also go along with everybody else's.

use serde_json::{Map, Value as Json, json};

use crate::configuration::{Site, Topology};
use crate::receiver::{self, HTTP};
use crate::version::CollectorVersion;

/// Port of the health check.
pub(crate) const HEALTH: u16 = 13133;
/// Port of its metrics, in Prometheus' format.
pub(crate) const METRICS: u16 = 8888;
/// The minor version that is known to take the resource as a list, and warns of the older mapping.
const RESOURCE_IS_A_LIST: u64 = 161;
/// `service.name` of its own telemetry.
pub(crate) const NAME: &str = "floe-collector";

/// The health check's configuration.
pub(crate) fn health(topology: Topology, site: Site) -> Json {
    json!({"endpoint": format!("{}:{HEALTH}", receiver::host(topology, site))})
}

/// `service.telemetry`. With `along` its metrics are sent to its own receiver, and so to where metrics go.
pub(crate) fn telemetry(
    version: &CollectorVersion,
    environment: &str,
    topology: Topology,
    site: Site,
    along: bool,
) -> Json {
    // On a machine of its own nobody else needs it; in Kubernetes Prometheus is elsewhere.
    let host = match site {
        Site::Machine => "localhost",
        Site::Kubernetes => "0.0.0.0",
    };
    let mut readers = vec![json!({"pull": {"exporter": {"prometheus": {"host": host, "port": METRICS}}}})];
    if along {
        readers.push(json!({"periodic": {
            "interval": 60_000,
            "exporter": {"otlp": {
                "protocol": "http/protobuf",
                "endpoint": format!("http://localhost:{HTTP}/v1/metrics"),
            }},
        }}));
    }
    let mut attributes = vec![
        ("service.name", NAME),
        ("floe.collector.topology", topology.word()),
    ];
    if !environment.is_empty() {
        attributes.push(("deployment.environment.name", environment));
    }
    let resource = match version.has(RESOURCE_IS_A_LIST) {
        true => {
            json!({"attributes": attributes.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>()})
        }
        false => attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect::<Map<_, _>>()
            .into(),
    };
    json!({
        "logs": {"level": "info", "encoding": "json"},
        "metrics": {"level": "normal", "readers": readers},
        "resource": resource,
    })
}

/// The processor that checks whose telemetry it is: what does not say which floe product it is of is marked, and what does not say its environment gets the
/// Collector's.
pub(crate) fn checks(environment: &str) -> Json {
    let mut statements = vec![format!(
        "set(attributes[\"floe.unidentified\"], true) where attributes[\"floe.namespace\"] == nil and attributes[\"service.name\"] != \"{NAME}\""
    )];
    if !environment.is_empty() {
        statements.push(format!(
            "set(attributes[\"deployment.environment.name\"], {}) where attributes[\"deployment.environment.name\"] == nil",
            json!(environment)
        ));
    }
    let statements = json!([{"context": "resource", "statements": statements}]);
    json!({
        "error_mode": "ignore",
        "trace_statements": statements,
        "metric_statements": statements,
        "log_statements": statements,
    })
}
