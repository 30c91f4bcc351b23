//! Endpoints: where a Collector listens.

use serde_json::{Value as Json, json};

use crate::diagnostic::{self, Place, shown};
use crate::fields::{Field, Findings};
use crate::settings::Kind;

/// Longest endpoint in bytes.
const LONGEST: usize = 2_048;

/// An endpoint where it was written.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where.
    pub place: Place,
    /// `http` or `https`; absent where only host and port are written, as gRPC allows.
    pub scheme: Option<&'static str>,
    /// Host, in lower case, without the brackets of an IPv6 address and without a dot at its end.
    pub host: String,
    /// What the URL has after its scheme, without slashes at its end.
    pub rest: String,
    /// How many slashes stood at its end.
    slashes: usize,
    /// The URL's path; empty or from a slash on.
    pub path: String,
}

impl Endpoint {
    /// The URL, with a scheme for one that has none.
    pub fn url(&self, otherwise: &str) -> String {
        format!("{}://{}", self.scheme.unwrap_or(otherwise), self.rest)
    }

    /// The URL as it was written; a path is at least a slash.
    pub fn whole_url(&self, otherwise: &str) -> String {
        let least = usize::from(self.path.is_empty());
        self.url(otherwise) + &"/".repeat(self.slashes.max(least))
    }

    /// Whether the host is this machine.
    pub fn is_local(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || address.is_ok_and(|address| address.is_loopback())
    }
}

/// The base URL of a Collector.
#[derive(Debug)]
pub struct Url;

impl Kind for Url {
    type Value = Endpoint;
    const IGNORABLE: bool = false;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Endpoint> {
        let text = field.text(findings)?;
        match parsed(text, field.place()) {
            Ok(endpoint) => Some(endpoint),
            Err(reason) => {
                findings.push(field.place().error(
                    diagnostic::WRONG_ENDPOINT,
                    format!("{} is no endpoint: {reason}", shown(&without_credentials(text))),
                    "write the base URL of an OTLP Collector, such as http://localhost:4318",
                ));
                None
            }
        }
    }

    fn json(&self, value: &Endpoint) -> Json {
        match value.scheme {
            Some(scheme) => json!(format!("{scheme}://{}", value.rest)),
            None => json!(value.rest),
        }
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^\\s*([Hh][Tt][Tt][Pp][Ss]?://)?[^@?#\\s]+\\s*$"})
    }
}

fn parsed(text: &str, place: Place) -> Result<Endpoint, &'static str> {
    if text.len() > LONGEST {
        return Err("it is too long");
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some("http"), rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some("https"), rest),
        Some(_) => return Err("it does not start with http:// or https://"),
        None => (None, text),
    };
    if text.contains('@') {
        return Err("credentials in a URL would reach logs");
    }
    if text.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    if text.contains("${") {
        return Err("references are resolved in headers only; set it by OTEL_EXPORTER_OTLP_ENDPOINT");
    }
    if text.contains(['\\', '%']) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it is not a URL");
    }
    let url: http::Uri = format!("http://{rest}").parse().map_err(|_| "it is not a URL")?;
    let authority = url.authority().ok_or("it names no host")?;
    let host = authority.host();
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(address) if address.parse::<std::net::Ipv6Addr>().is_err() => {
            return Err("its address is not of IPv6");
        }
        None if host.contains([':', '[', ']']) => return Err("an IPv6 address needs brackets"),
        _ => {}
    }
    let name = inner.unwrap_or(host);
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if name.is_empty() {
        return Err("it names no host");
    }
    if inner.is_none() && !is_host(&name) {
        return Err("its host is not a name or an address");
    }
    let port = authority.as_str().strip_prefix(host).unwrap_or_default();
    if port.strip_prefix(':').is_some_and(|port| {
        !port.parse::<u16>().is_ok_and(|port| port > 0) || !port.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return Err("its port is not a number from 1 to 65535");
    }
    // A scheme may be left out where a port says that the rest is no path.
    if scheme.is_none() && port.is_empty() {
        return Err("it does not start with http:// or https://");
    }
    let whole = rest.len();
    let rest = rest.trim_end_matches('/');
    Ok(Endpoint {
        slashes: whole - rest.len(),
        place,
        scheme,
        host: name,
        path: rest
            .find('/')
            .and_then(|at| rest.get(at..))
            .unwrap_or_default()
            .to_owned(),
        rest: rest.to_owned(),
    })
}

/// Whether this is a host name (RFC 1123, and `_` as clusters have it) or an IPv4 address. A name that ends in a number must be such an address (WHATWG URL).
pub fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x"));
    if numeric {
        return name.parse::<std::net::Ipv4Addr>().is_ok();
    }
    name.len() <= 253 && name.split('.').all(label)
}

/// The text without what may be a secret: what stands before an `@`, and a query or a fragment.
fn without_credentials(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let shown = match rest.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => rest.to_owned(),
    };
    let shown = shown.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{shown}")
}

/// A host with a port.
#[derive(Debug)]
pub struct HostPort;

impl Kind for HostPort {
    type Value = Endpoint;

    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Endpoint> {
        let text = field.text(findings)?;
        match parsed(text, field.place()) {
            Ok(endpoint) if endpoint.scheme.is_none() && endpoint.path.is_empty() => Some(endpoint),
            _ => {
                findings.push(field.place().error(
                    diagnostic::WRONG_ENDPOINT,
                    format!("{} is not a host with a port", shown(&without_credentials(text))),
                    "write a name that resolves to every member of the gateway tier, with its OTLP/gRPC port, such as otel-gateway-headless.observability:4317",
                ));
                None
            }
        }
    }

    fn json(&self, value: &Endpoint) -> Json {
        json!(value.rest)
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^\\s*[^@?#/\\s]+:[0-9]+\\s*$"})
    }
}
