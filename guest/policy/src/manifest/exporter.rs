//! Where telemetry goes, for all signals and for each: endpoint, transport, credentials.

use serde_json::{Value as Json, json};

use super::MILLISECONDS;
use super::authentication::Authentication;
use super::endpoint::{Endpoint, Url};
use super::header::{self, Headers};
use super::vendor;
use crate::bindings::exports::floe::telemetry::configuration::{
    Compression, Exporter, Protocol, Reference, Tls,
};
use crate::diagnostic::{self, Place};
use crate::fields::Findings;
use crate::kinds::{Boolean, Choice, Integer, Path};
use crate::layers::Layer;
use crate::reader::Journal;
use crate::settings::{Settings, Visitor};

/// Words of the transports; `http` is floe's older word for OpenTelemetry's `http/protobuf`.
const PROTOCOLS: &[(&str, Protocol)] = &[
    ("http/protobuf", Protocol::HttpProtobuf),
    ("grpc", Protocol::Grpc),
    ("http", Protocol::HttpProtobuf),
];
const COMPRESSIONS: &[(&str, Compression)] = &[("gzip", Compression::Gzip), ("none", Compression::None)];
/// Longest time for one export, in milliseconds, where nothing is written.
const TIMEOUT: u32 = 10_000;

/// Settings of exports that a signal may have of its own.
#[derive(Debug, Default, Clone)]
pub struct Target {
    endpoint: Option<Endpoint>,
    protocol: Option<Protocol>,
    insecure: Option<bool>,
    compression: Option<Compression>,
    timeout: Option<u32>,
    headers: Option<Vec<header::Placed>>,
    authentication: Option<Authentication>,
    tls: Option<TlsFiles>,
}

impl Settings for Target {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.maybe(
            "otlp_endpoint",
            "Base URL of an OTLP Collector; `/v1/traces` and so on are added for http/protobuf. By default the protocol's port on localhost. Of a single signal it is used as it is.",
            Url,
            &mut self.endpoint,
        );
        visitor.maybe(
            "otlp_protocol",
            "Transport: `http/protobuf` (the default) or `grpc`.",
            Choice(PROTOCOLS),
            &mut self.protocol,
        );
        visitor.maybe(
            "insecure",
            "Whether an endpoint of gRPC that is written without scheme is one without TLS.",
            Boolean,
            &mut self.insecure,
        );
        visitor.maybe(
            "compression",
            "Compression of exports: `none` (the default) or `gzip`.",
            Choice(COMPRESSIONS),
            &mut self.compression,
        );
        visitor.maybe(
            "timeout_millis",
            "Longest time for one export, its retries included, in milliseconds; 10000 by default.",
            Integer(MILLISECONDS),
            &mut self.timeout,
        );
        visitor.maybe(
            "headers",
            "Headers of every export: names and values. A secret is written as `${env:NAME}` or `${file:/path}`.",
            Headers,
            &mut self.headers,
        );
        visitor.presence(
            "authentication",
            "How an application proves to the Collector who it is.",
            &mut self.authentication,
        );
        visitor.presence("tls", "Files for TLS, where the Collector's certificate is of a private authority or a client needs one.", &mut self.tls);
    }
}

/// `tls`.
#[derive(Debug, Default, Clone)]
pub struct TlsFiles {
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Settings for TlsFiles {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.maybe(
            "ca_file",
            "PEM file with the authorities that may have signed the Collector's certificate.",
            Path,
            &mut self.ca,
        );
        visitor.maybe(
            "cert_file",
            "PEM file with the client's certificate and its chain.",
            Path,
            &mut self.certificate,
        );
        visitor.maybe(
            "key_file",
            "PEM file with the client's private key.",
            Path,
            &mut self.key,
        );
    }

    fn check(&self, place: &Place, findings: &mut Findings) {
        let missing = match (&self.certificate, &self.key) {
            (Some(_), None) => "key_file",
            (None, Some(_)) => "cert_file",
            _ => return,
        };
        if place.is_refused(missing, findings) {
            return;
        }
        findings.push(place.error(
            diagnostic::MISSING_VALUE,
            format!("a client certificate needs `{missing}` as well"),
            format!("write `{missing}`, or leave both files out"),
        ));
    }
}

/// What a signal's exporter is made of, beside its settings.
#[derive(Debug)]
pub struct Signal<'a> {
    /// `traces`, `metrics` or `logs`.
    pub name: &'static str,
    /// Time limit of the signal's batches, in milliseconds.
    pub limit: Option<u32>,
    /// Hosts where a Collector is allowed, whatever they look like.
    pub allowed: &'a [String],
}

impl Target {
    /// The exporter of a signal: what the signal does not say, all signals' settings (`common`) do.
    pub fn exporter(
        &self,
        common: &Self,
        signal: &Signal<'_>,
        findings: &mut Findings,
        journal: &mut Journal,
    ) -> Exporter {
        let protocol = self
            .protocol
            .or(common.protocol)
            .unwrap_or(Protocol::HttpProtobuf);
        let endpoint = self.endpoint.as_ref().or(common.endpoint.as_ref());
        let url = self.url(common, protocol, signal.name);
        // The authorities, and the client's certificate with its key: each of the signal's own, or of all signals.
        let own = self.tls.clone().unwrap_or_default();
        let all = common.tls.clone().unwrap_or_default();
        let client = if own.certificate.is_some() { &own } else { &all };
        let files = TlsFiles {
            ca: own.ca.clone().or(all.ca.clone()),
            certificate: client.certificate.clone(),
            key: client.key.clone(),
        };
        let headers = self.merged_headers(common, findings);
        let timeout = match (self.timeout.or(common.timeout), signal.limit) {
            (Some(one), Some(other)) => one.min(other),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => TIMEOUT,
        };
        let compression = self
            .compression
            .or(common.compression)
            .unwrap_or(Compression::None);
        if let Some(endpoint) = endpoint {
            check_endpoint(
                endpoint,
                protocol,
                &url,
                carries_secrets(&headers),
                &files,
                findings,
            );
            vendor::check_endpoint(endpoint, signal.allowed, findings);
        }
        let allowed = endpoint.is_some_and(|endpoint| vendor::is_allowed(&endpoint.host, signal.allowed));
        if !allowed {
            headers
                .iter()
                .for_each(|found| vendor::check_header(found, findings));
        }
        explain(
            signal.name,
            journal,
            &[
                ("otlp_endpoint", json!(url)),
                (
                    "otlp_protocol",
                    json!(if protocol == Protocol::Grpc {
                        "grpc"
                    } else {
                        "http/protobuf"
                    }),
                ),
                (
                    "compression",
                    json!(if compression == Compression::Gzip {
                        "gzip"
                    } else {
                        "none"
                    }),
                ),
                ("timeout_millis", json!(timeout)),
            ],
        );
        Exporter {
            endpoint: url,
            protocol,
            timeout,
            compression,
            headers: headers.into_iter().map(|found| found.header).collect(),
            tls: Tls {
                ca: files.ca.unwrap_or_default(),
                certificate: files.certificate.unwrap_or_default(),
                key: files.key.unwrap_or_default(),
            },
        }
    }

    /// The endpoint as an exporter uses it: a base URL gets the signal's path, a signal's own URL is used as it is (OTLP exporter specification,
    /// "Endpoint URLs for OTLP/HTTP").
    fn url(&self, common: &Self, protocol: Protocol, signal: &str) -> String {
        let insecure = self.insecure.or(common.insecure).unwrap_or(false);
        let otherwise = if insecure { "http" } else { "https" };
        let own = self.endpoint.as_ref().map(|endpoint| endpoint.url(otherwise));
        let base = || common.endpoint.as_ref().map(|endpoint| endpoint.url(otherwise));
        match protocol {
            Protocol::Grpc => own
                .or_else(base)
                .unwrap_or_else(|| "http://localhost:4317".to_owned()),
            Protocol::HttpProtobuf => own
                .map(|own| {
                    if self
                        .endpoint
                        .as_ref()
                        .is_some_and(|endpoint| endpoint.path.is_empty())
                    {
                        own + "/"
                    } else {
                        own
                    }
                })
                .unwrap_or_else(|| {
                    format!(
                        "{}/v1/{signal}",
                        base().unwrap_or_else(|| "http://localhost:4318".to_owned())
                    )
                }),
        }
    }

    /// Headers of all signals, then the signal's own, then the credentials. A signal's own header takes the place of a common one of the same name.
    fn merged_headers(&self, common: &Self, findings: &mut Findings) -> Vec<header::Placed> {
        let mut headers: Vec<header::Placed> = common.headers.clone().unwrap_or_default();
        for own in self.headers.iter().flatten() {
            headers.retain(|found| found.header.name != own.header.name);
            headers.push(own.clone());
        }
        if let Some(credentials) = self
            .authentication
            .as_ref()
            .or(common.authentication.as_ref())
            .and_then(Authentication::header)
        {
            if let Some(twice) = headers.iter().find(|found| found.header.name == credentials.name) {
                if matches!(twice.layer, Layer::Variable(_)) {
                    // It takes precedence over the manifest.
                    return headers;
                }
                findings.push(twice.place.error(
                    diagnostic::CONFLICT,
                    format!("`authentication` sets the header {} as well", credentials.name),
                    "take one of the two out",
                ));
            }
            headers.push(header::Placed {
                place: Place::default(),
                layer: Layer::Manifest,
                header: credentials,
            });
        }
        headers
    }
}

/// Whether any header holds more than what stands in the manifest.
fn carries_secrets(headers: &[header::Placed]) -> bool {
    headers
        .iter()
        .flat_map(|found| &found.header.value)
        .any(|part| !matches!(part, Reference::Text(_)))
}

/// What the endpoint, the transport and the credentials say of each other.
fn check_endpoint(
    endpoint: &Endpoint,
    protocol: Protocol,
    url: &str,
    credentials: bool,
    files: &TlsFiles,
    findings: &mut Findings,
) {
    let place = &endpoint.place;
    let plain = url.starts_with("http://");
    match protocol {
        Protocol::HttpProtobuf if endpoint.scheme.is_none() => findings.push(place.error(
            diagnostic::WRONG_ENDPOINT,
            format!("{:?} is no endpoint: it does not start with http:// or https://", endpoint.rest),
            "write the base URL of an OTLP Collector, such as http://localhost:4318",
        )),
        Protocol::Grpc if !endpoint.path.is_empty() => findings.push(place.error(
            diagnostic::WRONG_ENDPOINT,
            format!("{url:?} is no endpoint of gRPC: it has a path"),
            "write scheme, host and port only, such as http://localhost:4317, or otlp_protocol: http/protobuf",
        )),
        _ => {}
    }
    if let Some(end) = ["/v1/traces", "/v1/metrics", "/v1/logs"]
        .iter()
        .find(|end| endpoint.path.ends_with(**end))
        && url.len() > endpoint.url("https").len().max(endpoint.url("http").len())
    {
        findings.push(place.warning(
            diagnostic::CONFLICT,
            format!("the signal's path is added to {end}"),
            "write the base URL without it, or the whole URL in traces, metrics or logs",
        ));
    }
    let port = endpoint
        .rest
        .split('/')
        .next()
        .and_then(|authority| authority.rsplit_once(':'));
    let other = match (protocol, port) {
        (Protocol::HttpProtobuf, Some((_, "4317"))) if endpoint.scheme.is_some() => Some((
            "4317 is the port of gRPC",
            "write port 4318, or otlp_protocol: grpc",
        )),
        (Protocol::Grpc, Some((_, "4318"))) => Some((
            "4318 is the port of HTTP",
            "write port 4317, or otlp_protocol: http/protobuf",
        )),
        _ => None,
    };
    if let Some((message, help)) = other {
        findings.push(place.warning(diagnostic::CONFLICT, message, help));
    }
    if plain && (files.ca.is_some() || files.certificate.is_some()) {
        findings.push(place.error(
            diagnostic::CONFLICT,
            "there are files for TLS, but the endpoint is one without it",
            "write https:// in the endpoint, or take `tls` out (`tls: null` in an environment); a variable may have set it",
        ));
    } else if plain && credentials && !endpoint.is_local() {
        findings.push(place.warning(
            diagnostic::NOT_ENCRYPTED,
            "credentials go to this endpoint unencrypted",
            "write https:// in the endpoint, or make sure that nobody else reads this network",
        ));
    }
}

/// Notes what a signal uses that it does not say itself.
fn explain(signal: &str, journal: &mut Journal, values: &[(&str, Json)]) {
    for (name, value) in values {
        let common = format!("observability.telemetry.{name}");
        journal.derive(
            &format!("observability.telemetry.{signal}.{name}"),
            value.clone(),
            &common,
        );
    }
}
