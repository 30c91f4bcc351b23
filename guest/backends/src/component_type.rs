//! What the Collector calls its components, by version: this table is the only place that knows.
//!
//! Component types are being renamed to snake case (opentelemetry-collector-contrib#45339). An old name stays as an alias for some versions after a rename, so a
//! rename is followed at the version where the new name is known to be there, never before.

use crate::collector::Collector;

/// A type of component, the first part of a component id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComponentType {
    first: &'static str,
    /// The minor version of 0.x that brought another name.
    renamed: Option<(u64, &'static str)>,
}

impl ComponentType {
    const fn named(first: &'static str) -> Self {
        Self { first, renamed: None }
    }

    const fn renamed(first: &'static str, minor: u64, now: &'static str) -> Self {
        Self {
            first,
            renamed: Some((minor, now)),
        }
    }

    /// Its name in this Collector.
    pub fn name(self, collector: &Collector) -> &'static str {
        match self.renamed {
            Some((minor, now)) if collector.has(minor) => now,
            _ => self.first,
        }
    }
}

/// Exporter: OTLP by gRPC.
pub const OTLP_GRPC: ComponentType = ComponentType::renamed("otlp", 144, "otlp_grpc");
/// Exporter: OTLP by HTTP.
pub const OTLP_HTTP: ComponentType = ComponentType::renamed("otlphttp", 144, "otlp_http");
/// Exporter: the Collector's own log.
pub const DEBUG: ComponentType = ComponentType::named("debug");
/// Exporter: Prometheus remote write.
pub const PROMETHEUS_REMOTE_WRITE: ComponentType =
    ComponentType::renamed("prometheusremotewrite", 154, "prometheus_remote_write");
/// Exporter, and connector for APM statistics: Datadog.
pub const DATADOG: ComponentType = ComponentType::named("datadog");
/// Exporter: Splunk Observability Cloud's metrics.
pub const SIGNALFX: ComponentType = ComponentType::named("signalfx");
/// Exporter: Splunk's HTTP Event Collector.
pub const SPLUNK_HEC: ComponentType = ComponentType::named("splunk_hec");
/// Exporter: AWS X-Ray.
pub const AWS_XRAY: ComponentType = ComponentType::named("awsxray");
/// Exporter: Google Cloud Trace, Monitoring and Logging.
pub const GOOGLE_CLOUD: ComponentType = ComponentType::named("googlecloud");
/// Exporter: Azure Monitor. The rename came between 0.159 and 0.161; 0.161 is known to have both names.
pub const AZURE_MONITOR: ComponentType = ComponentType::renamed("azuremonitor", 161, "azure_monitor");
/// Exporter: ClickHouse.
pub const CLICKHOUSE: ComponentType = ComponentType::named("clickhouse");
/// Processor: delta temporality.
pub const CUMULATIVE_TO_DELTA: ComponentType =
    ComponentType::renamed("cumulativetodelta", 157, "cumulative_to_delta");
/// Extension: HTTP Basic authentication.
pub const BASIC_AUTH: ComponentType = ComponentType::named("basicauth");
/// Extension: a bearer token.
pub const BEARER_TOKEN_AUTH: ComponentType = ComponentType::named("bearertokenauth");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Findings;

    #[test]
    fn names_change_at_their_versions() {
        for (kind, before, first, after) in [
            (OTLP_GRPC, "0.143.1", "otlp", "otlp_grpc"),
            (OTLP_HTTP, "0.143.1", "otlphttp", "otlp_http"),
            (
                PROMETHEUS_REMOTE_WRITE,
                "0.153.0",
                "prometheusremotewrite",
                "prometheus_remote_write",
            ),
            (
                CUMULATIVE_TO_DELTA,
                "0.156.0",
                "cumulativetodelta",
                "cumulative_to_delta",
            ),
            (AZURE_MONITOR, "0.160.0", "azuremonitor", "azure_monitor"),
            (BASIC_AUTH, "0.110.0", "basicauth", "basicauth"),
        ] {
            let before = Collector::parse(before, &mut Findings::new()).unwrap();
            assert_eq!(kind.name(&before), first);
            assert_eq!(kind.name(&Collector::default()), after);
        }
    }
}
