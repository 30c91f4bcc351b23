//! From an agent to the gateway tier: spans by trace id, so that all of a trace meet in one place; metrics and logs to whichever member.

use floe_telemetry::bindings::exports::floe::telemetry::collector::Deployment;
use floe_telemetry::bindings::exports::floe::telemetry::types::Signal;
use serde_json::{Value as Json, json};

use crate::component_id::{LOAD_BALANCING, OTLP_GRPC};
use crate::configuration::verbatim;
use crate::fragment::{Component, Fragment, Pipeline};
use crate::object::object;
use crate::receiver::GRPC;
use crate::version::CollectorVersion;

/// How long an agent waits for a member of the tier, before it sends what it has for it to whichever members there
/// are then. Longer than a Collector takes to start anew, and less than half of the outage that its queue is sized for
/// by default.
const MEMBER_IS_AWAITED: &str = "120s";

/// What an agent sends by.
pub(crate) fn fragment(deployment: &Deployment, version: &CollectorVersion) -> Fragment {
    let gateway = &deployment.gateway;
    let (host, port) = match gateway.rsplit_once(':') {
        Some((host, port)) => (host, port.to_owned()),
        None => (gateway.as_str(), GRPC.to_string()),
    };
    let (host, tls) = (verbatim(host), tls(deployment, host));
    let spans = LOAD_BALANCING.id(version, "gateway");
    let others = OTLP_GRPC.id(version, "gateway");
    let exporter = |id: &str, config: Json| Component {
        id: id.to_owned(),
        config: object(config),
    };
    let pipeline = |signal, exporter: &str| Pipeline {
        signal,
        processors: Vec::new(),
        exporters: vec![exporter.to_owned()],
    };
    Fragment {
        exporters: vec![
            exporter(
                &spans,
                json!({
                    "routing_key": "traceID",
                    "resolver": {"dns": {"hostname": host.trim_matches(['[', ']']), "port": port}},
                    // One retry of the balancer's sends a whole batch anew, also the parts that other members took.
                    // So a member is waited for here, and the balancer's retry is for one that does not come back
                    // (by then the resolver has others). The queue is the balancer's: members' exporters share one
                    // id, so a file each is not to be had, and what is in memory does not outlive the agent.
                    "protocol": {"otlp": {
                        "tls": tls,
                        "sending_queue": {"enabled": false},
                        "retry_on_failure": {
                            "enabled": true,
                            "initial_interval": "1s",
                            "max_interval": "5s",
                            "max_elapsed_time": MEMBER_IS_AWAITED,
                        },
                    }},
                }),
            ),
            exporter(
                &others,
                json!({
                    "endpoint": format!("dns:///{host}:{port}"),
                    "balancer_name": "round_robin",
                    "tls": tls,
                }),
            ),
        ],
        processors: Vec::new(),
        extensions: Vec::new(),
        connectors: Vec::new(),
        pipelines: vec![
            pipeline(Signal::Traces, &spans),
            pipeline(Signal::Metrics, &others),
            pipeline(Signal::Logs, &others),
        ],
        variables: Vec::new(),
    }
}

/// How the gateway is trusted. Where it asks for certificates, every Collector has one of the same authority, which signs it in both roles.
fn tls(deployment: &Deployment, host: &str) -> Json {
    match &deployment.tls {
        None => json!({"insecure": true}),
        // Addresses are connected to, and the certificate names the host.
        Some(tls) if tls.clients.is_empty() => json!({"server_name_override": verbatim(host)}),
        Some(tls) => json!({
            "server_name_override": verbatim(host),
            "ca_file": verbatim(&tls.clients),
            "cert_file": verbatim(&tls.certificate),
            "key_file": verbatim(&tls.key),
            "reload_interval": "1h",
        }),
    }
}
