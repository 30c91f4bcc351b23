//! `collector`: what the manifest says about the Collector. No SDK reads it, but for the hosts that it allows.

use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::endpoint::{Endpoint, HostPort, is_host};
use super::vendor;
use crate::bindings::exports::floe::telemetry::collector::{Load, Server, TailSampling};
use crate::diagnostic::{self, Place, shown};
use crate::fields::{Field, Findings};
use crate::kinds::{Boolean, Integer, Path, Ratio};
use crate::settings::{Kind, Settings, Visitor};

/// The Collector that configuration is made for, where the manifest does not say: the newest that all of it is tested with.
const VERSION: &str = "0.161.0";
/// Most hosts that may be allowed.
const HOSTS: usize = 64;
const EVENTS: RangeInclusive<u32> = 1..=10_000_000;
const SECONDS: RangeInclusive<u32> = 1..=86_400;

/// The section.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Version (semver).
    pub version: String,
    /// Hosts where a Collector is allowed, whatever they look like.
    pub allowed: Vec<String>,
    /// Directory of further backends.
    pub directory: Option<String>,
    /// `host:port` of the gateway tier.
    pub gateway: Option<Endpoint>,
    /// Tail sampling.
    pub tail: Option<Tail>,
    /// Directory of the queues.
    pub storage: Option<String>,
    /// Load.
    pub load: LoadSettings,
    /// TLS of the receivers.
    pub tls: Option<ServerFiles>,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            version: VERSION.to_owned(),
            allowed: Vec::new(),
            directory: None,
            gateway: None,
            tail: None,
            storage: None,
            load: LoadSettings::default(),
            tls: None,
        }
    }
}

impl Settings for Collector {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "version",
            "Version of the Collector that configuration is made for.",
            Version,
            &mut self.version,
        );
        visitor.setting("allowed_hosts", "Hosts where a Collector of one's own listens although they look like a backend's: `otel.acme.io`, or `*.acme.io` for all below.", Hosts, &mut self.allowed);
        visitor.maybe(
            "backends_directory",
            "Directory with the components of further backends, beside the manifest or absolute.",
            Path,
            &mut self.directory,
        );
        visitor.maybe("gateway", "`host:port` of a gateway tier that agents send to by OTLP/gRPC: a name that resolves to each of its members. Without it agents send to the backends.", HostPort, &mut self.gateway);
        visitor.presence(
            "tail_sampling",
            "Sampling by the Collector, when it has seen a whole trace.",
            &mut self.tail,
        );
        visitor.maybe("storage_directory", "Directory on the Collector's machine that its queues are kept in, so that they outlive it. Without it they are in memory.", Path, &mut self.storage);
        visitor.section("load", "What the Collector is sized for.", &mut self.load);
        visitor.presence(
            "tls",
            "TLS of the Collector's receivers: PEM files on its machine.",
            &mut self.tls,
        );
    }

    fn check(&self, place: &Place, findings: &mut Findings) {
        if let Some(gateway) = &self.gateway {
            vendor::check_endpoint(gateway, &self.allowed, findings);
        }
        if let Some(storage) = self.storage.as_deref().filter(|path| !path.starts_with('/')) {
            let place = Place {
                path: format!("{}.storage_directory", place.path),
                ..place.clone()
            };
            findings.push(place.error(
                diagnostic::WRONG_VALUE,
                format!("{} is no absolute path", shown(storage)),
                "write where the queues are on the Collector's machine, such as /var/lib/otelcol",
            ));
        }
    }
}

/// `tail_sampling`.
#[derive(Debug, Clone)]
pub struct Tail {
    errors: bool,
    slow: Option<u32>,
    ratio: f64,
    wait: u32,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            errors: true,
            slow: None,
            ratio: 0.1,
            wait: 30,
        }
    }
}

impl Settings for Tail {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "keep_errors",
            "Whether every trace with a failed span is kept.",
            Boolean,
            &mut self.errors,
        );
        visitor.maybe(
            "slower_than_millis",
            "Traces that take longer than so many milliseconds are kept.",
            Integer(1..=86_400_000),
            &mut self.slow,
        );
        visitor.setting(
            "ratio",
            "Share of the other traces that is kept.",
            Ratio,
            &mut self.ratio,
        );
        visitor.setting(
            "decision_wait_seconds",
            "How long the spans of a trace are waited for, in seconds.",
            Integer(1..=3_600),
            &mut self.wait,
        );
    }
}

impl Tail {
    /// As the contract has it.
    pub fn sampling(&self) -> TailSampling {
        TailSampling {
            wait: self.wait,
            errors: self.errors,
            slow: self.slow.unwrap_or(0),
            ratio: self.ratio,
        }
    }
}

/// `load`.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    spans: u32,
    logs: u32,
    points: u32,
    outage: u32,
}

impl Default for LoadSettings {
    fn default() -> Self {
        Self {
            spans: 1_000,
            logs: 1_000,
            points: 1_000,
            outage: 300,
        }
    }
}

impl Settings for LoadSettings {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "spans_per_second",
            "Spans a second.",
            Integer(EVENTS),
            &mut self.spans,
        );
        visitor.setting(
            "log_records_per_second",
            "Log records a second.",
            Integer(EVENTS),
            &mut self.logs,
        );
        visitor.setting(
            "metric_points_per_second",
            "Metric data points a second.",
            Integer(EVENTS),
            &mut self.points,
        );
        visitor.setting(
            "outage_seconds",
            "Longest outage of a backend without loss, in seconds.",
            Integer(SECONDS),
            &mut self.outage,
        );
    }
}

impl LoadSettings {
    /// As the contract has it.
    pub fn load(&self) -> Load {
        Load {
            spans: self.spans,
            logs: self.logs,
            points: self.points,
            outage: self.outage,
        }
    }
}

/// `tls`.
#[derive(Debug, Default, Clone)]
pub struct ServerFiles {
    certificate: Option<String>,
    key: Option<String>,
    clients: Option<String>,
}

impl Settings for ServerFiles {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.maybe(
            "cert_file",
            "PEM file with the Collector's certificate and its chain.",
            Path,
            &mut self.certificate,
        );
        visitor.maybe("key_file", "PEM file with its private key.", Path, &mut self.key);
        visitor.maybe(
            "client_ca_file",
            "PEM file with the authorities of its clients' certificates; with it a client needs one.",
            Path,
            &mut self.clients,
        );
    }

    fn check(&self, place: &Place, findings: &mut Findings) {
        for (name, value) in [("cert_file", &self.certificate), ("key_file", &self.key)] {
            if value.is_none() && !place.is_refused(name, findings) {
                findings.push(place.error(
                    diagnostic::MISSING_VALUE,
                    format!("TLS of the receivers needs a `{name}`"),
                    format!("write `{name}`, or take `tls` out"),
                ));
            }
        }
    }
}

impl ServerFiles {
    /// As the contract has it.
    pub fn server(&self) -> Server {
        Server {
            certificate: self.certificate.clone().unwrap_or_default(),
            key: self.key.clone().unwrap_or_default(),
            clients: self.clients.clone().unwrap_or_default(),
        }
    }
}

/// A version of three numbers.
#[derive(Debug)]
pub struct Version;

impl Kind for Version {
    type Value = String;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<String> {
        let text = field.text(findings)?;
        let text = text.strip_prefix('v').unwrap_or(text);
        let parts: Vec<&str> = text.split('.').collect();
        let is_number = |part: &&str| {
            !part.is_empty() && part.len() < 10 && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if parts.len() == 3 && parts.iter().all(is_number) {
            return Some(text.to_owned());
        }
        findings.push(field.place().error(
            diagnostic::WRONG_VALUE,
            format!("{} is no version", field.quoted(text)),
            "write three numbers, such as 0.161.0",
        ));
        None
    }

    fn json(&self, value: &String) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^\\s*v?[0-9]{1,9}\\.[0-9]{1,9}\\.[0-9]{1,9}\\s*$"})
    }
}

/// Hosts, `*.` before one standing for all below.
#[derive(Debug)]
struct Hosts;

impl Kind for Hosts {
    type Value = Vec<String>;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Vec<String>> {
        let mut hosts = Vec::new();
        for element in field.list(HOSTS, findings) {
            let Some(text) = element.text(findings) else {
                continue;
            };
            let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
            let name = host.strip_prefix("*.").unwrap_or(&host);
            if is_host(name) || name.parse::<std::net::Ipv6Addr>().is_ok() {
                hosts.push(host);
            } else {
                findings.push(element.place().error(
                    diagnostic::WRONG_VALUE,
                    format!("{} is no host", shown(text)),
                    "write a host's name without scheme and port, such as otel.acme.io, or *.acme.io for all below",
                ));
            }
        }
        Some(hosts)
    }

    fn json(&self, value: &Vec<String>) -> Json {
        json!(value)
    }

    fn schema(&self) -> Json {
        json!({"type": "array", "maxItems": HOSTS, "items": {"type": "string", "pattern": "^\\s*(\\*\\.)?[0-9A-Za-z_.:-]+\\s*$"}})
    }
}
