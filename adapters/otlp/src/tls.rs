//! TLS to a Collector: whom to trust, and who we are. One configuration serves both transports and the check of a connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use secrecy::{ExposeSecret, SecretSlice};

/// TLS settings that fit together.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// Why TLS settings are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The authorities' file.
    #[error("it holds no certificate of an authority: {0}")]
    Authorities(String),
    /// The client's certificate.
    #[error("it holds no certificate: {0}")]
    Certificate(String),
    /// The client's key.
    #[error("it holds no private key: {0}")]
    Key(String),
    /// Certificate and key are not a pair.
    #[error("the private key is not that of the certificate")]
    Mismatch,
    /// There is no authority to trust.
    #[error("this machine has no trusted certificates")]
    NoRoots,
    /// There is no TLS.
    #[error("there is no TLS in this program: {0}")]
    Provider(String),
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// TLS from PEM text: the authorities that may have signed the Collector's certificate, without which those count that the machine trusts, and
    /// the client's certificate with its private key.
    pub fn new(
        authorities: Option<&[u8]>,
        identity: Option<(&[u8], &SecretSlice<u8>)>,
    ) -> Result<Self, TlsError> {
        let builder = builder()?.with_root_certificates(roots(authorities)?);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.expose_secret())
                    .map_err(|error| TlsError::Key(words(&error)))?;
                builder
                    .with_client_auth_cert(certificates(chain).map_err(TlsError::Certificate)?, key)
                    .map_err(|error| match error {
                        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch,
                        rustls::Error::InvalidCertificate(error) => TlsError::Certificate(error.to_string()),
                        error => TlsError::Key(error.to_string()),
                    })?
            }
        };
        Ok(Self(config.into()))
    }

    /// The files and directories that the machine's authorities are read from, for who reads them again when they change. A machine that keeps them
    /// elsewhere has none.
    pub fn machine_authorities() -> Vec<PathBuf> {
        let found = openssl_probe::probe();
        found.cert_file.into_iter().chain(found.cert_dir).collect()
    }

    /// TLS that trusts nobody, for a connection in clear text.
    pub(crate) fn unused() -> Result<Self, TlsError> {
        let trusts_nobody = builder()?.with_root_certificates(RootCertStore::empty());
        Ok(Self(trusts_nobody.with_no_client_auth().into()))
    }

    /// The configuration, without protocols of the application: each transport adds its own.
    pub(crate) fn config(&self) -> ClientConfig {
        self.0.as_ref().clone()
    }

    /// Whether these are the very same settings.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Provider(error.to_string()))
}

fn roots(authorities: Option<&[u8]>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(pem) => {
            for certificate in certificates(pem).map_err(TlsError::Authorities)? {
                roots
                    .add(certificate)
                    .map_err(|error| TlsError::Authorities(error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots);
            }
        }
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| words(&error))?;
    if found.is_empty() {
        return Err(words(&PemError::NoItemsFound));
    }
    Ok(found)
}

/// What is wrong with PEM text, without any of it.
fn words(error: &PemError) -> String {
    match error {
        PemError::NoItemsFound => "there is no PEM section of that kind",
        PemError::MissingSectionEnd { .. } => "a PEM section has no end",
        PemError::IllegalSectionStart { .. } => "a PEM section starts wrongly",
        PemError::Base64Decode(_) => "a PEM section is not Base64",
        _ => "it is not PEM",
    }
    .to_owned()
}
