//! TLS: whom an exporter trusts, who it says it is, and what it says when that does not do.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use floe_telemetry_otlp::{
    Accepted, Collector, Failure, Reach, Runtime, Secured, Speech, Tls, TlsError, TlsSource, Transport,
    Unreached,
};
use rcgen::{CertificateParams, date_time_ymd};
use rustls::CertificateError;
use secrecy::SecretSlice;

use crate::certificates::{Authority, Signed, server};
use crate::export::{collector, export, export_with};
use crate::server::{Answer, Server};

/// TLS of a client with this certificate.
fn known_as(signed: &Signed, authority: &str) -> Result<Tls, TlsError> {
    let key = SecretSlice::from(signed.key.clone().into_bytes());
    Tls::new(
        Some(authority.as_bytes()),
        Some((signed.certificate.as_bytes(), &key)),
    )
}

fn at(server: &Server, host: &str, transport: Transport, tls: Option<Tls>) -> Collector {
    let mut collector = collector(format!("https://{host}:{}", server.address.port()), transport);
    collector.tls = tls.map(|tls| Arc::new(tls) as Arc<dyn TlsSource>);
    collector
}

fn reach(collector: &Collector) -> Result<Secured, Unreached> {
    let reach = within(collector);
    reach.resolve()?;
    reach.secure(reach.connect()?)
}

fn within(collector: &Collector) -> Reach {
    let deadline = Instant::now() + Duration::from_secs(30);
    Reach::new(collector, &Runtime::start().unwrap(), deadline).unwrap()
}

const BOTH: [Transport; 2] = [Transport::Grpc, Transport::HttpProtobuf];

#[test]
fn a_private_authority_is_trusted_by_name_and_by_address() {
    let authority = Authority::new();
    for host in ["localhost", "127.0.0.1"] {
        let server = server(&authority.server(host), None);
        let tls = Tls::new(Some(authority.pem().as_bytes()), None).unwrap();
        for transport in BOTH {
            let collector = at(&server, host, transport, Some(tls.clone()));
            assert_eq!(
                export(&collector, 1),
                [Ok(Accepted::default())],
                "{host} {transport:?}"
            );
            let secured = reach(&collector).unwrap();
            assert_eq!(secured.version, "TLSv1_3");
            assert!(secured.chosen);
        }
    }
}

fn refused(collector: &Collector) -> CertificateError {
    let Err(Unreached::Tls(rustls::Error::InvalidCertificate(reached))) = reach(collector) else {
        panic!("{:?}", reach(collector));
    };
    let outcome = export(collector, 1).remove(0);
    match outcome {
        Err(Failure::Connection {
            tls: Some(rustls::Error::InvalidCertificate(exported)),
            ..
        }) => assert_eq!(exported, reached),
        outcome => panic!("{outcome:?}"),
    }
    reached
}

#[test]
fn a_certificate_that_does_not_do_is_refused_and_said_why() {
    let authority = Authority::new();
    let tls = Tls::new(Some(authority.pem().as_bytes()), None).unwrap();
    let good = server(&authority.server("localhost"), None);
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2020, 1, 1);
    let expired = server(&authority.sign(params), None);
    for transport in BOTH {
        // The machine's authorities, where there are any, did not sign it either.
        let stranger = Tls::new(Some(Authority::new().pem().as_bytes()), None).unwrap();
        let unknown = refused(&at(&good, "localhost", transport, Some(stranger)));
        assert!(
            matches!(
                unknown,
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            ),
            "{unknown:?}"
        );
        let name = refused(&at(&good, "127.0.0.1", transport, Some(tls.clone())));
        assert!(
            matches!(name, CertificateError::NotValidForNameContext { .. }),
            "{name:?}"
        );
        let expired = refused(&at(&expired, "localhost", transport, Some(tls.clone())));
        assert!(
            matches!(expired, CertificateError::ExpiredContext { .. }),
            "{expired:?}"
        );
        assert!(good.seen().is_empty());
    }
}

#[test]
fn a_client_shows_its_certificate() {
    let authority = Authority::new();
    let server = server(&authority.server("localhost"), Some(&authority));
    let pem = authority.pem();
    for transport in BOTH {
        let tls = known_as(&authority.client(), &pem).unwrap();
        let known = at(&server, "localhost", transport, Some(tls));
        assert_eq!(export(&known, 1), [Ok(Accepted::default())]);
        assert!(reach(&known).is_ok());

        let nameless = Tls::new(Some(pem.as_bytes()), None).unwrap();
        let stranger = known_as(&Authority::new().client(), &pem).unwrap();
        for tls in [nameless, stranger] {
            let collector = at(&server, "localhost", transport, Some(tls));
            let reached = reach(&collector);
            assert!(
                matches!(reached, Err(Unreached::Tls(rustls::Error::AlertReceived(_)))),
                "{reached:?}"
            );
            let outcome = export(&collector, 1).remove(0);
            assert!(matches!(outcome, Err(Failure::Connection { .. })), "{outcome:?}");
        }
    }
    assert_eq!(server.seen().len(), 2);
}

/// TLS that somebody changes.
#[derive(Debug)]
struct Changing(Mutex<Tls>);

impl TlsSource for Changing {
    fn current(&self) -> Tls {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn another_tls_is_taken_up_by_the_next_request() {
    let authority = Authority::new();
    let server = server(&authority.server("localhost"), Some(&authority));
    let known = known_as(&authority.client(), &authority.pem()).unwrap();
    let stranger = known_as(&Authority::new().client(), &authority.pem()).unwrap();
    for transport in BOTH {
        let changing = Arc::new(Changing(Mutex::new(known.clone())));
        let mut collector = at(&server, "localhost", transport, None);
        collector.tls = Some(Arc::clone(&changing) as _);
        let outcomes = export_with(&collector, 4, |number| {
            let tls = if number == 2 { &stranger } else { &known };
            *changing.0.lock().unwrap() = tls.clone();
        });
        let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(taken, [true, true, false, true], "{outcomes:?}");
    }
}

#[test]
fn files_that_are_no_settings_are_refused() {
    let authority = Authority::new();
    let (pem, client, other) = (authority.pem(), authority.client(), authority.client());
    let mixed = Signed {
        certificate: client.certificate.clone(),
        key: other.key.clone(),
    };
    assert_eq!(known_as(&mixed, &pem).unwrap_err(), TlsError::Mismatch);
    let swapped = Signed {
        certificate: client.key.clone(),
        key: client.certificate.clone(),
    };
    assert!(matches!(known_as(&swapped, &pem), Err(TlsError::Key(_))));
    let keyless = Signed {
        certificate: client.key.clone(),
        key: client.key.clone(),
    };
    assert!(matches!(known_as(&keyless, &pem), Err(TlsError::Certificate(_))));
    for ca in [
        "",
        "not PEM",
        &client.key,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA",
    ] {
        let error = known_as(&client, ca).unwrap_err();
        assert!(matches!(error, TlsError::Authorities(_)), "{ca}: {error}");
        let key = client.key.lines().nth(1).unwrap();
        assert!(!error.to_string().contains(key));
    }
}

#[test]
fn clear_text_and_tls_are_told_apart() {
    let authority = Authority::new();
    let secure = server(&authority.server("localhost"), None);
    let clear = Server::start(None, vec![Answer::Takes { rejected: 0 }]);
    let tls = Tls::new(Some(authority.pem().as_bytes()), None).unwrap();
    for transport in BOTH {
        let reached = reach(&at(&clear, "localhost", transport, Some(tls.clone())));
        assert!(
            matches!(
                reached,
                Err(Unreached::Tls(rustls::Error::InvalidMessage(_)) | Unreached::Closed)
            ),
            "{reached:?}"
        );
        for (server, speaks) in [(&secure, Speech::Tls), (&clear, Speech::Http1)] {
            let collector = collector(format!("http://{}", server.address), transport);
            assert_eq!(within(&collector).speech(server.address), speaks);
        }
    }
}
