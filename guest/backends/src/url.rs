//! The URLs that settings hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Schemes of HTTP and gRPC.
pub const WEB: &[&str] = &["http", "https"];
/// Schemes of ClickHouse: <https://github.com/ClickHouse/clickhouse-go#dsn>.
pub const CLICKHOUSE: &[&str] = &["tcp", "clickhouse", "http", "https"];

/// A URL with a host and no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    host: String,
    port: Option<u16>,
    path: String,
    query: Option<String>,
}

impl Url {
    /// Reads a URL of one of these schemes, or says why it is invalid.
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, &'static str> {
        let url: http::Uri = text.parse().map_err(|_| "it is not a URL")?;
        let scheme = url.scheme_str().ok_or("it has no scheme")?.to_ascii_lowercase();
        if !schemes.contains(&scheme.as_str()) {
            return Err("its scheme is not one that works here");
        }
        let authority = url.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("credentials in a URL would reach configuration files and logs");
        }
        let host = authority.host();
        if !is_host(host) {
            return Err("its host is invalid");
        }
        let port = match authority.as_str().get(host.len()..) {
            None | Some("") => None,
            Some(rest) => Some(
                rest.strip_prefix(':')
                    .and_then(|digits| digits.parse().ok())
                    .filter(|port| *port != 0)
                    .ok_or("its port is not a number from 1 to 65535")?,
            ),
        };
        if text.contains('#') {
            return Err("it has a fragment");
        }
        // Only ClickHouse's options are part of a URL. Elsewhere a query may hold a key, which would be shown.
        if url.query().is_some() && schemes == WEB {
            return Err("it has a query");
        }
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
            path: url.path().trim_end_matches('/').to_owned(),
            query: url.query().map(str::to_owned),
        })
    }

    /// The text of it, with this path where it has none.
    pub fn with_path(&self, path: &str) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        let path = if self.path.is_empty() { path } else { &self.path };
        let query = self
            .query
            .as_ref()
            .map_or_else(String::new, |query| format!("?{query}"));
        format!("{}://{}{port}{path}{query}", self.scheme, self.host)
    }

    /// Host and port, as a gRPC exporter wants them.
    pub fn authority(&self) -> String {
        let usual = if self.is_plain() { 80 } else { 443 };
        format!("{}:{}", self.host, self.port.unwrap_or(usual))
    }

    /// Whether there is a path.
    pub fn has_path(&self) -> bool {
        !self.path.is_empty()
    }

    /// Whether what is sent there is not encrypted. clickhouse-go encrypts with `https` or with `secure=true`.
    pub fn is_plain(&self) -> bool {
        let secure = |query: &str| query.split('&').any(|option| option == "secure=true");
        self.scheme != "https" && !self.query.as_deref().is_some_and(secure)
    }

    /// Whether it is this machine.
    pub fn is_local(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

/// A name, of labels as they are used in clusters too (so with underscores), or an address.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let digits = |label: &str| label.chars().all(|digit| digit.is_ascii_digit());
    host.len() <= 253
        && host.split('.').all(label)
        // A name whose last label is a number is read as an address (WHATWG URL, "ends in a number").
        && (!host.rsplit('.').next().is_some_and(digits) || host.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_url() {
        for (text, whole, authority) in [
            ("http://jaeger:4317", "http://jaeger:4317", "jaeger:4317"),
            (
                "https://otlp.acme.io/",
                "https://otlp.acme.io",
                "otlp.acme.io:443",
            ),
            (
                "HTTPS://[::1]:4318/otlp/",
                "https://[::1]:4318/otlp",
                "[::1]:4318",
            ),
            ("http://10.0.0.1", "http://10.0.0.1", "10.0.0.1:80"),
            (
                "http://my_service.ns.svc",
                "http://my_service.ns.svc",
                "my_service.ns.svc:80",
            ),
        ] {
            let url = Url::parse(text, WEB).unwrap();
            assert_eq!(
                (url.with_path("").as_str(), url.authority().as_str()),
                (whole, authority)
            );
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "jaeger:4317",
            "jaeger",
            "ftp://jaeger",
            "http://",
            "http://:4317",
            "http://a:0",
            "http://a:65536",
            "http://a:4317x",
            "http://a:",
            "http://u:p@a",
            "http://a b",
            "http://a\n",
            "http://-a",
            "http://a..b",
            "http://999.1.1.1",
            "http://1.2.3",
            "http://[::1",
            "http://[nope]",
            "http://[]",
            "http://a?key=1",
            "http://a#b",
            "http://${env:HOST}",
            "/v1/traces",
            "mailto:a@b",
        ] {
            assert!(Url::parse(text, WEB).is_err(), "{text}");
        }
    }

    #[test]
    fn clickhouse_has_options() {
        let plain = Url::parse("tcp://ch:9000?dial_timeout=10s", CLICKHOUSE).unwrap();
        assert_eq!(
            plain.with_path("").trim_end_matches('/'),
            "tcp://ch:9000?dial_timeout=10s"
        );
        assert!(plain.is_plain());
        let secure = Url::parse("clickhouse://ch:9440/?a=b&secure=true", CLICKHOUSE).unwrap();
        assert!(!secure.is_plain());
    }

    #[test]
    fn this_machine() {
        for (host, local) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("jaeger", false),
        ] {
            assert_eq!(
                Url::parse(&format!("http://{host}"), WEB).unwrap().is_local(),
                local
            );
        }
    }
}
