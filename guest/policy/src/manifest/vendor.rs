//! An SDK sends to a Collector. What belongs to a backend is refused with the name of the plugin that makes the Collector send there.

use super::endpoint::Endpoint;
use crate::bindings::exports::floe::telemetry::configuration::{Header, Reference, Variable};
use crate::diagnostic::{self, shown};
use crate::fields::Findings;
use crate::kinds::Written;
use crate::variables;

/// Domains of backends, and the plugin for each. A host is of a domain if it ends in it, label by label.
const DOMAINS: [(&str, &str); 54] = [
    ("datadoghq.com", "datadog"),
    ("datadoghq.eu", "datadog"),
    ("ddog-gov.com", "datadog"),
    ("honeycomb.io", "honeycomb"),
    ("nr-data.net", "newrelic"),
    ("newrelic.com", "newrelic"),
    ("dynatrace.com", "dynatrace"),
    ("dynatracelabs.com", "dynatrace"),
    ("grafana.net", "grafana-cloud"),
    ("elastic.co", "elastic"),
    ("elastic.cloud", "elastic"),
    ("elastic-cloud.com", "elastic"),
    ("cloud.es.io", "elastic"),
    ("found.io", "elastic"),
    ("splunkcloud.com", "splunk"),
    ("signalfx.com", "splunk"),
    ("signoz.cloud", "signoz"),
    ("signoz.io", "signoz"),
    ("googleapis.com", "google-cloud"),
    ("monitor.azure.com", "azure-monitor"),
    ("applicationinsights.azure.com", "azure-monitor"),
    ("applicationinsights.azure.cn", "azure-monitor"),
    ("applicationinsights.us", "azure-monitor"),
    ("dc.services.visualstudio.com", "azure-monitor"),
    ("clickhouse.cloud", "clickhouse"),
    ("lightstep.com", "otlp"),
    ("axiom.co", "otlp"),
    ("uptrace.dev", "otlp"),
    ("coralogix.com", "otlp"),
    ("coralogix.us", "otlp"),
    ("coralogix.in", "otlp"),
    ("coralogixsg.com", "otlp"),
    ("sumologic.com", "otlp"),
    ("logz.io", "otlp"),
    ("betterstack.com", "otlp"),
    ("betterstackdata.com", "otlp"),
    ("sentry.io", "otlp"),
    ("chronosphere.io", "otlp"),
    ("instana.io", "otlp"),
    ("pydantic.dev", "otlp"),
    ("last9.io", "otlp"),
    ("observeinc.com", "otlp"),
    ("middleware.io", "otlp"),
    ("highlight.io", "otlp"),
    ("traceloop.com", "otlp"),
    ("langfuse.com", "otlp"),
    ("oneuptime.com", "otlp"),
    ("dash0.com", "otlp"),
    ("openobserve.ai", "otlp"),
    ("arize.com", "otlp"),
    ("hyperdx.io", "otlp"),
    ("appdynamics.com", "otlp"),
    ("mezmo.com", "otlp"),
    ("solarwinds.com", "otlp"),
];
/// Services of AWS that take telemetry themselves: `xray.eu-west-1.amazonaws.com`, `xray-fips.us-east-1.amazonaws.com`,
/// `vpce-0a1b.xray.eu-west-1.vpce.amazonaws.com`.
const AWS: [&str; 3] = ["xray", "logs", "monitoring"];
const AWS_DOMAINS: [&str; 4] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "api.aws",
    "api.amazonwebservices.com.cn",
];
/// Headers of backends.
const HEADERS: [(&str, &str); 13] = [
    ("dd-api-key", "datadog"),
    ("dd-otel-span-mapping", "datadog"),
    ("x-honeycomb-team", "honeycomb"),
    ("x-honeycomb-dataset", "honeycomb"),
    ("api-key", "newrelic"),
    ("x-license-key", "newrelic"),
    ("x-sf-token", "splunk"),
    ("signoz-ingestion-key", "signoz"),
    ("signoz-access-token", "signoz"),
    ("lightstep-access-token", "otlp"),
    ("uptrace-dsn", "otlp"),
    ("x-axiom-dataset", "otlp"),
    ("x-oneuptime-token", "otlp"),
];
/// What starts a value of `authorization` of backends.
const SCHEMES: [(&str, &str); 3] = [
    ("api-token ", "dynatrace"),
    ("apikey ", "elastic"),
    ("splunk ", "splunk"),
];
/// First labels of hosts that are a backend's rather than a Collector's.
const NAMES: [&str; 12] = [
    "jaeger",
    "jaeger-collector",
    "tempo",
    "tempo-distributor",
    "loki",
    "loki-gateway",
    "prometheus",
    "prometheus-server",
    "mimir",
    "victoria-metrics",
    "clickhouse",
    "zipkin",
];

/// Whether a Collector is allowed on this host, whatever it looks like: `otel.acme.io` for one host, `*.acme.io` for all below.
pub fn is_allowed(host: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(domain) => is_below(host, domain) && host != domain,
        None => host == pattern,
    })
}

/// Refuses a backend's host, and warns of one that is named like a backend.
pub fn check_endpoint(endpoint: &Endpoint, allowed: &[String], findings: &mut Findings) {
    let host = endpoint.host.as_str();
    if is_allowed(host, allowed) {
        return;
    }
    if let Some(plugin) = plugin_of(host) {
        findings.push(endpoint.place.error(
            diagnostic::NOT_A_COLLECTOR,
            format!("{} is a backend's, not a Collector's", shown(host)),
            format!(
                "send to a Collector, and write `plugins.telemetry_backend: {plugin}`, which makes it send there; a Collector of your own on such a host goes into `observability.telemetry.collector.allowed_hosts`"
            ),
        ));
    } else if let Some(name) = NAMES.iter().find(|name| host.split('.').next() == Some(**name)) {
        findings.push(endpoint.place.warning(
            diagnostic::LIKE_A_BACKEND,
            format!("{} is named like a backend, {name}, not like a Collector", shown(host)),
            "send to a Collector and name the backend in `plugins.telemetry_backend`; if a Collector listens there, write the host into `observability.telemetry.collector.allowed_hosts`",
        ));
    }
}

/// Refuses a backend's header.
pub fn check_header(found: &Written<Header>, variables: &[Variable], findings: &mut Findings) {
    let header = &found.value;
    let first = match header.value.first() {
        Some(Reference::Text(text)) => text.to_ascii_lowercase(),
        Some(Reference::Member(member)) => variables::member(variables, member).to_ascii_lowercase(),
        _ => String::new(),
    };
    let of_name = HEADERS.iter().find(|(name, _)| *name == header.name);
    let of_scheme = || {
        (header.name == "authorization")
            .then(|| SCHEMES.iter().find(|(scheme, _)| first.starts_with(scheme)))
            .flatten()
    };
    if let Some((_, plugin)) = of_name.or_else(of_scheme) {
        findings.push(found.place.error(
            diagnostic::NOT_A_COLLECTOR,
            format!("the header {} carries a backend's credentials, which are the Collector's", shown(&header.name)),
            format!("take it out and write `plugins.telemetry_backend` with `type: {plugin}` and the credentials as its settings"),
        ));
    }
}

fn plugin_of(host: &str) -> Option<&'static str> {
    let of_domain = DOMAINS
        .iter()
        .find(|(domain, _)| is_below(host, domain))
        .map(|(_, plugin)| *plugin);
    of_domain.or_else(|| {
        let is_service = |label: &str| AWS.contains(&label.strip_suffix("-fips").unwrap_or(label));
        let is_aws = AWS_DOMAINS.iter().any(|domain| is_below(host, domain));
        (is_aws && host.split('.').any(is_service)).then_some("aws-xray")
    })
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
