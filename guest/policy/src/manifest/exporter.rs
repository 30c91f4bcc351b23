//! Where telemetry goes, for all signals and for each: endpoint, transport, credentials.

use std::cmp::Ordering;

use serde_json::json;

use super::MILLISECONDS;
use super::authentication::Authentication;
use super::endpoint::{Endpoint, Url};
use super::header::Headers;
use super::{reference, vendor};
use crate::bindings::exports::floe::telemetry::configuration::{
    Compression, Exporter, Header, Protocol, Reference, Tls, Variable,
};
use crate::diagnostic::{self, Place};
use crate::fields::Findings;
use crate::kinds::{Boolean, Choice, Integer, Path, WithPlace, Written};
use crate::layers::{Layer, TELEMETRY};
use crate::reader::Journal;
use crate::settings::{Kind as _, Settings, Visitor};

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
    console: Option<Written<bool>>,
    endpoint: Option<Endpoint>,
    protocol: Option<Protocol>,
    insecure: Option<bool>,
    compression: Option<Compression>,
    timeout: Option<u32>,
    headers: Option<Vec<Written<Header>>>,
    authentication: Option<Authentication>,
    tls: Option<TlsFiles>,
}

impl Settings for Target {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.maybe(
            "console",
            "Whether telemetry is printed on standard error instead of sent to a Collector; false by default. In dev only.",
            WithPlace(Boolean),
            &mut self.console,
        );
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
    ca: Option<Written<String>>,
    certificate: Option<Written<String>>,
    key: Option<Written<String>>,
}

impl Settings for TlsFiles {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.maybe(
            "ca_file",
            "PEM file with the authorities that may have signed the Collector's certificate.",
            WithPlace(Path),
            &mut self.ca,
        );
        visitor.maybe(
            "cert_file",
            "PEM file with the client's certificate and its chain.",
            WithPlace(Path),
            &mut self.certificate,
        );
        visitor.maybe(
            "key_file",
            "PEM file with the client's private key.",
            WithPlace(Path),
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
    /// Time limit of the signal's batches, in milliseconds, and its path below the telemetry settings.
    pub limit: Option<(u32, String)>,
    /// Hosts where a Collector is allowed, whatever they look like.
    pub allowed: &'a [String],
    /// The variables, which headers may be members of.
    pub variables: &'a [Variable],
}

impl Target {
    /// Whether a signal is printed instead of exported: as it says itself, or as all signals' settings (`common`) say.
    pub fn console<'a>(&'a self, common: &'a Self) -> Option<&'a Written<bool>> {
        self.console.as_ref().or(common.console.as_ref())
    }

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
        let files = self.files(common);
        let headers = self.merged_headers(common, findings);
        let (timeout, limited_by) = self.timeout(common, signal);
        let compression = self
            .compression
            .or(common.compression)
            .unwrap_or(Compression::None);
        if let Some(endpoint) = endpoint {
            check_endpoint(endpoint, protocol, &url, findings);
            vendor::check_endpoint(endpoint, signal.allowed, findings);
        }
        let allowed = endpoint.is_some_and(|endpoint| vendor::is_allowed(&endpoint.host, signal.allowed));
        if !allowed {
            headers
                .iter()
                .for_each(|found| vendor::check_header(found, signal.variables, findings));
        }
        check_encryption(endpoint, &url, &headers, &files, findings);

        let own = format!("{TELEMETRY}.{}", signal.name);
        let path = |name: &str| format!("{TELEMETRY}.{name}");
        for (name, value) in [
            ("otlp_endpoint", json!(url)),
            ("otlp_protocol", Choice(PROTOCOLS).json(&protocol)),
            ("insecure", json!(self.insecure.or(common.insecure))),
            ("compression", Choice(COMPRESSIONS).json(&compression)),
        ] {
            journal.derive(&format!("{own}.{name}"), value, &path(name));
        }
        let of_timeout = format!("{own}.timeout_millis");
        if limited_by == "timeout_millis" {
            journal.derive(&of_timeout, timeout, &path(&limited_by));
        } else if path(&limited_by) != of_timeout {
            journal.follow(&of_timeout, timeout, &path(&limited_by));
        }
        self.explain_parts(common, &headers, &files, &own, journal);
        let text = |file: Option<Written<String>>| file.map(|file| file.value).unwrap_or_default();
        Exporter {
            endpoint: url,
            protocol,
            timeout,
            compression,
            headers: headers.into_iter().map(|found| found.value).collect(),
            tls: Tls {
                ca: text(files.ca),
                certificate: text(files.certificate),
                key: text(files.key),
            },
        }
    }

    /// Longest time for one export, in milliseconds, and the path of the setting that says so.
    fn timeout(&self, common: &Self, signal: &Signal<'_>) -> (u32, String) {
        let own = self
            .timeout
            .map(|timeout| (timeout, format!("{}.timeout_millis", signal.name)));
        let written = own.or(common
            .timeout
            .map(|timeout| (timeout, "timeout_millis".to_owned())));
        written
            .into_iter()
            .chain(signal.limit.clone())
            .min_by_key(|(timeout, _)| *timeout)
            .unwrap_or((TIMEOUT, "timeout_millis".to_owned()))
    }

    /// The authorities, and the client's certificate with its key: each of the signal's own, or of all signals.
    fn files(&self, common: &Self) -> TlsFiles {
        let own = self.tls.clone().unwrap_or_default();
        let all = common.tls.clone().unwrap_or_default();
        let (certificate, key) = match own.certificate {
            Some(_) => (own.certificate, own.key),
            None => (all.certificate, all.key),
        };
        TlsFiles {
            ca: own.ca.or(all.ca),
            certificate,
            key,
        }
    }

    /// Notes the headers and the files for TLS that a signal uses and does not say itself.
    fn explain_parts(
        &self,
        common: &Self,
        headers: &[Written<Header>],
        files: &TlsFiles,
        own: &str,
        journal: &mut Journal,
    ) {
        let has = |headers: &Option<Vec<Written<Header>>>, found: &Written<Header>| {
            let is_it = |other: &Written<Header>| other.place == found.place;
            headers.iter().flatten().any(is_it)
        };
        for found in headers.iter().filter(|found| !has(&self.headers, found)) {
            let name = &found.value.name;
            let source = match (has(&common.headers, found), &self.authentication) {
                (true, _) => format!("{TELEMETRY}.headers.{name}"),
                (false, Some(_)) => format!("{own}.authentication"),
                (false, None) => format!("{TELEMETRY}.authentication"),
            };
            let value = format!("{}{}", found.value.prefix, reference::text(&found.value.value));
            journal.add(&format!("{own}.headers"), name, value, &source);
        }
        let own_files = self.tls.clone().unwrap_or_default();
        for (name, file, own_file) in [
            ("ca_file", &files.ca, &own_files.ca),
            ("cert_file", &files.certificate, &own_files.certificate),
            ("key_file", &files.key, &own_files.key),
        ] {
            if let (Some(file), None) = (file, own_file) {
                let source = format!("{TELEMETRY}.tls.{name}");
                journal.add(&format!("{own}.tls"), name, file.value.as_str(), &source);
            }
        }
    }

    /// The endpoint as an exporter uses it: a base URL gets the signal's path, a signal's own URL is used as it is (OTLP exporter specification,
    /// "Endpoint URLs for OTLP/HTTP").
    fn url(&self, common: &Self, protocol: Protocol, signal: &str) -> String {
        let insecure = self.insecure.or(common.insecure).unwrap_or(false);
        let otherwise = if insecure { "http" } else { "https" };
        let base = || common.endpoint.as_ref().map(|endpoint| endpoint.url(otherwise));
        match (protocol, &self.endpoint) {
            (Protocol::Grpc, own) => own
                .as_ref()
                .map(|endpoint| endpoint.url(otherwise))
                .or_else(base)
                .unwrap_or_else(|| "http://localhost:4317".to_owned()),
            (Protocol::HttpProtobuf, Some(own)) => own.whole_url(otherwise),
            (Protocol::HttpProtobuf, None) => {
                let base = base().unwrap_or_else(|| "http://localhost:4318".to_owned());
                format!("{base}/v1/{signal}")
            }
        }
    }

    /// Headers of all signals, then the signal's own, then the credentials. A signal's own header takes the place of a common one of the same
    /// name. Of a header and credentials of its name the one of the upper layer holds.
    fn merged_headers(&self, common: &Self, findings: &mut Findings) -> Vec<Written<Header>> {
        let mut headers: Vec<Written<Header>> = common.headers.clone().unwrap_or_default();
        for own in self.headers.iter().flatten() {
            headers.retain(|found| found.value.name != own.value.name);
            headers.push(own.clone());
        }
        let credentials = self.authentication.as_ref().or(common.authentication.as_ref());
        let Some(credentials) = credentials.and_then(Authentication::header) else {
            return headers;
        };
        if let Some(twice) = headers
            .iter()
            .find(|found| found.value.name == credentials.value.name)
        {
            match twice.layer.precedence().cmp(&credentials.layer.precedence()) {
                Ordering::Greater => return headers,
                Ordering::Less => {}
                Ordering::Equal => findings.push(twice.place.error(
                    diagnostic::CONFLICT,
                    format!(
                        "`authentication` sets the header {} as well",
                        credentials.value.name
                    ),
                    "take one of the two out",
                )),
            }
        }
        headers.retain(|found| found.value.name != credentials.value.name);
        headers.push(credentials);
        headers
    }
}

/// Whether any header holds more than what stands in the manifest.
fn carries_secrets(headers: &[Written<Header>]) -> bool {
    headers
        .iter()
        .flat_map(|found| &found.value.value)
        .any(|part| !matches!(part, Reference::Text(_)))
}

/// What the endpoint and the transport say of each other.
fn check_endpoint(endpoint: &Endpoint, protocol: Protocol, url: &str, findings: &mut Findings) {
    let place = &endpoint.place;
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
}

/// What the endpoint, the credentials and the files for TLS say of each other.
fn check_encryption(
    endpoint: Option<&Endpoint>,
    url: &str,
    headers: &[Written<Header>],
    files: &TlsFiles,
    findings: &mut Findings,
) {
    if !url.starts_with("http://") {
        return;
    }
    if let Some(file) = files.ca.as_ref().or(files.certificate.as_ref()) {
        let base: Vec<&str> = url.split('/').take(3).collect();
        findings.push(file.place.error(
            diagnostic::CONFLICT,
            format!(
                "this file is for TLS, but the endpoint {:?} is one without it",
                base.join("/")
            ),
            match file.layer {
                Layer::Variable(_) => "write https:// in otlp_endpoint, or unset the variable",
                _ => "write https:// in otlp_endpoint, or take `tls` out (`tls: null` in an environment)",
            },
        ));
    } else if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_local())
        && carries_secrets(headers)
    {
        findings.push(endpoint.place.warning(
            diagnostic::NOT_ENCRYPTED,
            "credentials go to this endpoint unencrypted",
            "write https:// in the endpoint, or make sure that nobody else reads this network",
        ));
    }
}
