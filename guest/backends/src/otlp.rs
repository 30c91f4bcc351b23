//! Backends that take OTLP: where it goes, which headers it has and how it is authenticated is data.

use serde_json::{Map, Value as Json, json};

use crate::bindings::exports::floe::telemetry::backends::Signal;
use crate::component_type as types;
use crate::draft::Draft;
use crate::url::{self, Url};

/// A backend that takes OTLP.
#[derive(Debug, Clone, Copy)]
pub struct Otlp {
    /// Where it may be; the first whose setting is there counts.
    pub addresses: &'static [Address],
    /// Headers, each sent if its setting is there.
    pub headers: &'static [Header],
    /// Headers that metrics have besides, for which they have an exporter of their own.
    pub metrics_headers: &'static [Header],
    /// How it is authenticated beside headers.
    pub authentication: Authentication,
    /// Whether its metrics must have delta temporality.
    pub delta: bool,
}

/// Nothing but what is needed: the start of every other one.
pub const OTLP: Otlp = Otlp {
    addresses: &[],
    headers: &[],
    metrics_headers: &[],
    authentication: Authentication::None,
    delta: false,
};

/// Where OTLP goes.
#[derive(Debug, Clone, Copy)]
pub enum Address {
    /// The URL that the setting `endpoint` holds, with this path for OTLP by HTTP if it has none.
    Endpoint(&'static str),
    /// A URL with a setting's text in it, between these two.
    Within(&'static str, &'static str, &'static str),
    /// The URL for a setting's word.
    Regions(&'static str, &'static [(&'static str, &'static str)]),
}

/// A header: its name, what stands before the value, the setting with the value.
pub type Header = (HeaderName, &'static str, &'static str);

/// The name of a header.
#[derive(Debug, Clone, Copy)]
pub enum HeaderName {
    /// This.
    Fixed(&'static str),
    /// The text of a setting.
    Setting(&'static str),
}

/// How a backend is authenticated by an extension.
#[derive(Debug, Clone, Copy)]
pub enum Authentication {
    /// It is not.
    None,
    /// By a bearer token or a user and a password, if [`crate::setting::ACCESS`] has them.
    Access,
    /// By HTTP Basic authentication, of which these settings are user and password.
    Basic(&'static str, &'static str),
}

/// Which protocol OTLP goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Grpc,
    Http,
}

impl Otlp {
    /// Writes the fragment.
    pub fn build(&self, draft: &mut Draft<'_>, signals: &[Signal]) -> Option<()> {
        // A backend with one protocol has no such setting.
        let protocol = match draft.settings.text("protocol").as_deref() {
            Some("grpc") => Protocol::Grpc,
            _ => Protocol::Http,
        };
        let (url, target) = self.target(draft, protocol)?;
        let mut config = Map::new();
        config.insert("endpoint".to_owned(), json!(target));
        let headers = headers(self.headers, draft, &url);
        if !headers.is_empty() {
            config.insert("headers".to_owned(), json!(headers));
        }
        if let Some(tls) = tls(draft, &url, protocol == Protocol::Grpc) {
            config.insert("tls".to_owned(), tls);
        }
        if let Some(authenticator) = self.authentication.extension(draft, &url) {
            if headers.contains_key("authorization") {
                draft.refuse(
                    "header",
                    "the header authorization is sent for token or username too",
                    "use one of the two",
                );
            }
            if protocol == Protocol::Grpc && url.is_plain() {
                // Both extensions ask for transport security: `otelcol validate` passes, and the Collector does not start.
                draft.refuse(
                    "endpoint",
                    "gRPC sends no token and no password without TLS",
                    "use an https endpoint or protocol http",
                );
            }
            config.insert("auth".to_owned(), json!({"authenticator": authenticator}));
        }
        let kind = match protocol {
            Protocol::Grpc => types::OTLP_GRPC,
            Protocol::Http => types::OTLP_HTTP,
        };
        let exporter = draft.exporter(kind, &Json::Object(config.clone()));
        let metrics_exporter = if self.metrics_headers.is_empty() {
            exporter.clone()
        } else {
            let mut headers = headers;
            headers.append(&mut self::headers(self.metrics_headers, draft, &url));
            config.insert("headers".to_owned(), Json::Object(headers));
            draft.exporter_for(kind, "metrics", &Json::Object(config))
        };
        // Without a limit, what is known of every series that ever was is kept for good; 25 hours are what Dynatrace's own examples have.
        let delta = self
            .delta
            .then(|| draft.processor(types::CUMULATIVE_TO_DELTA, &json!({"max_staleness": "25h"})));
        for signal in signals {
            match signal {
                Signal::Metrics => {
                    let processors: Vec<&str> = delta.as_deref().into_iter().collect();
                    draft.pipeline(*signal, &processors, &[&metrics_exporter]);
                }
                Signal::Traces | Signal::Logs => draft.pipeline(*signal, &[], &[&exporter]),
            }
        }
        Some(())
    }

    /// The URL, and how an exporter of the protocol has it.
    fn target(&self, draft: &mut Draft<'_>, protocol: Protocol) -> Option<(Url, String)> {
        let (url, path) = self
            .addresses
            .iter()
            .find_map(|address| address.resolve(draft.settings))?;
        let target = match protocol {
            Protocol::Http => url.with_path(path),
            Protocol::Grpc => {
                if url.has_path() {
                    draft.refuse(
                        "endpoint",
                        "a gRPC endpoint has no path",
                        "leave the path out or use protocol http",
                    );
                }
                url.authority()
            }
        };
        Some((url, target))
    }
}

impl Address {
    /// The URL, and the path that it gets if it has none.
    fn resolve(&self, settings: &crate::settings::Settings) -> Option<(Url, &'static str)> {
        match *self {
            Self::Endpoint(path) => Some((settings.url("endpoint")?.clone(), path)),
            Self::Within(setting, before, after) => {
                let text = settings.text(setting)?;
                Some((Url::parse(&format!("{before}{text}{after}"), url::WEB).ok()?, ""))
            }
            Self::Regions(setting, urls) => {
                let word = settings.text(setting)?;
                let (_, url) = urls.iter().find(|(region, _)| *region == word)?;
                Some((Url::parse(url, url::WEB).ok()?, ""))
            }
        }
    }
}

/// The headers whose settings are there.
pub fn headers(declared: &[Header], draft: &mut Draft<'_>, url: &Url) -> Map<String, Json> {
    let mut headers = Map::new();
    for (name, before, setting) in declared {
        let value = match draft.secret(setting) {
            Some(reference) => {
                draft.warn_if_readable(setting, url);
                Some(reference)
            }
            None => draft.settings.text(setting),
        };
        let name = match name {
            HeaderName::Fixed(name) => Some((*name).to_owned()),
            // gRPC refuses names that are not in lower case; HTTP does not mind.
            HeaderName::Setting(setting) => {
                draft.settings.text(setting).map(|name| name.to_ascii_lowercase())
            }
        };
        if let (Some(name), Some(value)) = (name, value)
            && headers.insert(name, json!(format!("{before}{value}"))).is_some()
        {
            draft.refuse(
                setting,
                "another setting sets the same header",
                "use one of the two",
            );
        }
    }
    headers
}

/// An exporter's `tls`, where it is not the default. A gRPC exporter encrypts unless it is told not to; an HTTP exporter goes by the URL.
pub fn tls(draft: &mut Draft<'_>, url: &Url, grpc: bool) -> Option<Json> {
    match draft.settings.text("ca_file") {
        Some(file) => {
            if url.is_plain() {
                draft.refuse(
                    "ca_file",
                    "ca_file is for an endpoint with TLS",
                    "use an https endpoint or leave ca_file out",
                );
            }
            Some(json!({"ca_file": file}))
        }
        None if grpc && url.is_plain() => Some(json!({"insecure": true})),
        None => None,
    }
}

impl Authentication {
    /// The id of the extension that does it, if any.
    pub fn extension(self, draft: &mut Draft<'_>, url: &Url) -> Option<String> {
        let (username, password) = match self {
            Self::None => return None,
            Self::Access => {
                if let Some(token) = draft.secret("token") {
                    draft.warn_if_readable("token", url);
                    return Some(draft.extension(types::BEARER_TOKEN_AUTH, &json!({"token": token})));
                }
                ("username", "password")
            }
            Self::Basic(username, password) => (username, password),
        };
        let user = draft.settings.text(username)?;
        let secret = draft.secret(password)?;
        draft.warn_if_readable(password, url);
        let client = json!({"client_auth": {"username": user, "password": secret}});
        Some(draft.extension(types::BASIC_AUTH, &client))
    }
}
