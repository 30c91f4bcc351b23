//! The receiver: OTLP by gRPC and HTTP.

use floe_telemetry::bindings::exports::floe::telemetry::collector::Deployment;
use serde_json::{Value as Json, json};

use crate::configuration::{Site, Topology, verbatim};
use crate::object::object;

/// Port of OTLP by gRPC.
pub(crate) const GRPC: u16 = 4317;
/// Port of OTLP by HTTP.
pub(crate) const HTTP: u16 = 4318;
/// Largest request in MiB. A batch of the SDKs has 512 items, of another Collector 2,048.
const LARGEST_REQUEST: u64 = 16;

/// The host that a Collector listens on: an agent on a machine of its own talks to that machine alone.
pub(crate) fn host(topology: Topology, site: Site) -> &'static str {
    match (topology, site) {
        (Topology::Agent, Site::Machine) => "localhost",
        (Topology::Gateway, Site::Machine) | (_, Site::Kubernetes) => "0.0.0.0",
    }
}

/// The receiver's configuration.
pub(crate) fn otlp(deployment: &Deployment, topology: Topology, site: Site) -> Json {
    let host = host(topology, site);
    let mut grpc = object(json!({
        "endpoint": format!("{host}:{GRPC}"),
        "max_recv_msg_size_mib": LARGEST_REQUEST,
    }));
    let mut http = object(json!({
        "endpoint": format!("{host}:{HTTP}"),
        "max_request_body_size": LARGEST_REQUEST * 1024 * 1024,
    }));
    if topology == Topology::Gateway {
        // Agents connect anew now and then, so that a member that joins the tier gets its part.
        grpc.insert(
            "keepalive".to_owned(),
            json!({"server_parameters": {"max_connection_age": "60s", "max_connection_age_grace": "60s"}}),
        );
    }
    if let Some(tls) = &deployment.tls {
        // A certificate that was renewed is read without a restart.
        let mut server = object(json!({
            "cert_file": verbatim(&tls.certificate),
            "key_file": verbatim(&tls.key),
            "reload_interval": "1h",
        }));
        if !tls.clients.is_empty() {
            server.insert("client_ca_file".to_owned(), json!(verbatim(&tls.clients)));
        }
        grpc.insert("tls".to_owned(), json!(server));
        http.insert("tls".to_owned(), json!(server));
    }
    json!({"protocols": {"grpc": grpc, "http": http}})
}
