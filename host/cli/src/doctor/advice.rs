//! What a failure means, and what to do about it.

use floe_telemetry::{Exporter, Protocol};
use floe_telemetry_otlp::{Accepted, Failure, Speech, Unreached};
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tonic::Code;

use super::finding::{Finding, Step};

/// Why there is no connection.
pub(super) fn unreached(step: Step, found: &Unreached, exporter: &Exporter) -> Finding {
    let (code, help) = match found {
        Unreached::Name(..) => (
            "FLOE-D001",
            "check the endpoint's name, and that this machine's name service knows it".to_owned(),
        ),
        Unreached::Refused(_) => (
            "FLOE-D002",
            "start the Collector, or correct the endpoint's port: OTLP/gRPC is 4317 by default, OTLP/HTTP 4318".to_owned(),
        ),
        Unreached::Timeout(_) => (
            "FLOE-D003",
            match step {
                Step::Tls => "the server takes connections but does not answer in TLS: check the port, and whether it hangs",
                _ => "check the endpoint's host and port, and that no firewall or network policy is in the way",
            }
            .to_owned(),
        ),
        Unreached::Tls(error) => return untrusted(step, "", error, exporter),
        Unreached::Closed => (
            "FLOE-D008",
            "the server may not speak TLS on this port: if so, write the endpoint with http://".to_owned(),
        ),
        Unreached::Proxy { .. } => (
            "FLOE-D018",
            "check HTTPS_PROXY, and its credentials, or name the endpoint's host in NO_PROXY".to_owned(),
        ),
        Unreached::Connection(_) => ("FLOE-D002", "check the endpoint's host and port".to_owned()),
    };
    Finding::bad(step, "", code, found.to_string(), help)
}

/// What TLS has against a connection.
fn untrusted(step: Step, subject: &str, error: &TlsError, exporter: &Exporter) -> Finding {
    let tls = &exporter.tls;
    let (code, message, help) = match error {
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => (
            "FLOE-D004",
            match tls.ca.as_str() {
                "" => "no authority that this machine trusts signed the Collector's certificate".to_owned(),
                ca => format!("no authority in {ca} signed the Collector's certificate"),
            },
            "name the PEM file of the authority that did with `tls.ca_file`".to_owned(),
        ),
        TlsError::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => (
            "FLOE-D005",
            format!(
                "the Collector's certificate is not for {}, but for {}",
                expected.to_str(),
                presented.join(", ")
            ),
            "use a name of the certificate in the endpoint, or make a certificate with the endpoint's name".to_owned(),
        ),
        TlsError::InvalidCertificate(CertificateError::NotValidForName) => (
            "FLOE-D005",
            "the Collector's certificate is not for the endpoint's name".to_owned(),
            "use a name of the certificate in the endpoint".to_owned(),
        ),
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => (
            "FLOE-D006",
            "the Collector's certificate expired".to_owned(),
            "renew it, and check the clock of this machine".to_owned(),
        ),
        TlsError::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => (
            "FLOE-D006",
            "the Collector's certificate is not valid yet".to_owned(),
            "check the clock of this machine".to_owned(),
        ),
        TlsError::AlertReceived(AlertDescription::NoApplicationProtocol) => return other_protocol(step, subject, exporter),
        TlsError::AlertReceived(alert) if is_about_the_client(*alert) => (
            "FLOE-D007",
            match tls.certificate.as_str() {
                "" => "the Collector demands a client certificate".to_owned(),
                file => format!("the Collector does not take the client certificate of {file} ({alert:?})"),
            },
            "name a certificate that an authority of the Collector's `client_ca_file` signed, and its key, with `tls.cert_file` and `tls.key_file`"
                .to_owned(),
        ),
        TlsError::InvalidMessage(_) => (
            "FLOE-D008",
            "the server does not speak TLS".to_owned(),
            "write the endpoint with http://, or give the Collector's receiver `tls`".to_owned(),
        ),
        error => (
            "FLOE-D008",
            format!("TLS failed: {error}"),
            "compare the TLS settings of the Collector's receiver with the manifest's `tls`".to_owned(),
        ),
    };
    Finding::bad(step, subject, code, message, help)
}

/// Alerts with which servers refuse a client for its certificate or for having none.
fn is_about_the_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::HandshakeFailure
    )
}

/// The endpoint's port is that of the other transport.
fn other_protocol(step: Step, subject: &str, exporter: &Exporter) -> Finding {
    let (message, help) = match exporter.protocol {
        Protocol::Grpc => (
            "there is no OTLP/gRPC on this port",
            "this may be the port of OTLP/HTTP: use that of OTLP/gRPC, 4317 by default, or set `otlp_protocol: http/protobuf`",
        ),
        Protocol::HttpProtobuf => (
            "there is no OTLP/HTTP on this port",
            "this may be the port of OTLP/gRPC: use that of OTLP/HTTP, 4318 by default, or set `otlp_protocol: grpc`",
        ),
    };
    Finding::bad(step, subject, "FLOE-D011", message, help)
}

/// What became of an export. `speech` finds out what the server speaks.
pub(super) fn answer(
    signal: &str,
    result: &Result<Accepted, Failure>,
    exporter: &Exporter,
    speech: impl FnOnce() -> Speech,
) -> Finding {
    let bad = |code, message: String, help: &str| Finding::bad(Step::Export, signal, code, message, help);
    let failure = match result {
        Ok(accepted) => return taken(signal, accepted),
        Err(failure) => failure,
    };
    match failure {
        Failure::Connection { tls: Some(error), .. } => untrusted(Step::Export, signal, error, exporter),
        Failure::Connection { reason, tls: None } => match (speech(), exporter.protocol) {
            (Speech::Tls, _) if !exporter.endpoint.starts_with("https:") => bad(
                "FLOE-D008",
                "the server speaks TLS on this port".to_owned(),
                "write the endpoint with https://",
            ),
            (Speech::Http1, Protocol::Grpc) | (Speech::Http2, Protocol::HttpProtobuf) => {
                other_protocol(Step::Export, signal, exporter)
            }
            _ => bad(
                "FLOE-D017",
                format!("the connection broke: {reason}"),
                "look into the Collector's log",
            ),
        },
        Failure::Timeout(_) => match (exporter.protocol, speech()) {
            // A server of gRPC may keep waiting what it does not understand.
            (Protocol::HttpProtobuf, Speech::Http2) => other_protocol(Step::Export, signal, exporter),
            _ => bad(
                "FLOE-D015",
                failure.to_string(),
                "check that an OTLP receiver listens on this port, and how loaded the Collector is; `timeout_millis` gives it longer",
            ),
        },
        Failure::Http { status, message, .. } => {
            let said = said(&failure.to_string(), message);
            match status.as_u16() {
                400 if !exporter.endpoint.starts_with("https:") && speech() == Speech::Tls => bad(
                    "FLOE-D008",
                    "the server speaks TLS on this port".to_owned(),
                    "write the endpoint with https://",
                ),
                401 => bad("FLOE-D009", said, &credential(exporter)),
                403 => bad("FLOE-D010", said, &credential(exporter)),
                404 | 405 | 300..=399 => bad(
                    "FLOE-D011",
                    said,
                    &format!(
                        "no OTLP receiver has the path of {}: an endpoint for all signals is written without one, and an endpoint for one signal with it",
                        exporter.endpoint
                    ),
                ),
                413 => bad("FLOE-D012", said, TOO_LARGE),
                429 => bad("FLOE-D013", said, THROTTLED),
                500..=599 => bad("FLOE-D014", said, UNAVAILABLE),
                _ => bad("FLOE-D017", said, "look into the Collector's log"),
            }
        }
        Failure::Grpc { code, message, delay } => {
            let text = said(&failure.to_string(), message);
            match code {
                Code::Unauthenticated => bad("FLOE-D009", text, &credential(exporter)),
                Code::PermissionDenied => bad("FLOE-D010", text, &credential(exporter)),
                // What tonic says of an answer that is none of gRPC.
                Code::Internal if message.starts_with("protocol error") && speech() == Speech::Http1 => {
                    other_protocol(Step::Export, signal, exporter)
                }
                Code::Unimplemented => other_protocol(Step::Export, signal, exporter),
                Code::ResourceExhausted if delay.is_some() => bad("FLOE-D013", text, THROTTLED),
                Code::ResourceExhausted => bad("FLOE-D012", text, TOO_LARGE),
                Code::Unavailable => bad("FLOE-D014", text, UNAVAILABLE),
                Code::DeadlineExceeded => bad("FLOE-D015", text, UNAVAILABLE),
                _ => bad("FLOE-D017", text, "look into the Collector's log"),
            }
        }
        Failure::Foreign(kind) if kind.starts_with("application/grpc") => {
            other_protocol(Step::Export, signal, exporter)
        }
        Failure::Foreign(_) => bad(
            "FLOE-D011",
            failure.to_string(),
            "another server listens on this port: OTLP/gRPC is 4317 by default, OTLP/HTTP 4318",
        ),
        Failure::TooLarge(_) => bad("FLOE-D012", failure.to_string(), TOO_LARGE),
    }
}

const TOO_LARGE: &str = "raise the Collector's `max_request_body_size` or `max_recv_msg_size_mib`, or lower `batch_processor.max_export_batch_size`";
const THROTTLED: &str = "the Collector takes less than it is sent: give it more memory, or more Collectors";
const UNAVAILABLE: &str =
    "look into the Collector's log: it may be starting, out of memory, or without a pipeline for this signal";

fn taken(signal: &str, accepted: &Accepted) -> Finding {
    let item = match signal {
        "traces" => "one span",
        "metrics" => "one data point",
        _ => "one log record",
    };
    match (accepted.rejected, accepted.message.as_str()) {
        (0, "") => Finding::good(Step::Export, signal, format!("{item} was taken")),
        (0, message) => Finding::warning(
            Step::Export,
            signal,
            "FLOE-D016",
            format!("{item} was taken, with a warning: {message}"),
            "look into the Collector's log",
        ),
        (_, message) => Finding::bad(
            Step::Export,
            signal,
            "FLOE-D016",
            said("the Collector rejected what it was sent", message),
            "look into the Collector's log",
        ),
    }
}

fn said(what: &str, message: &str) -> String {
    match message {
        "" => what.to_owned(),
        message => format!("{what}: {message}"),
    }
}

fn credential(exporter: &Exporter) -> String {
    let names: Vec<_> = exporter
        .headers
        .iter()
        .map(|header| format!("`{}`", header.name))
        .collect();
    if names.is_empty() {
        "the Collector demands a credential: name it under `authentication` in the manifest".to_owned()
    } else {
        format!(
            "check the credential against what the Collector demands; the headers that are sent are {}",
            names.join(", ")
        )
    }
}
