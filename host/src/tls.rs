//! The TLS of an exporter: the files that the plan names or that the machine has, read again when they change.

use std::path::{Path, PathBuf};

use floe_telemetry_otlp::{Tls, TlsError, TlsSource};
use secrecy::SecretSlice;
use secrecy::zeroize::Zeroizing;

use crate::bindings::exports::floe::telemetry::configuration::{self, Exporter};
use crate::error::Problem;
use crate::file::{self, Watched};

/// Largest PEM file in bytes: a machine's whole list of authorities has a few hundred thousand.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The files of an endpoint of `https`, and what was last made of them.
#[derive(Debug)]
pub(crate) struct TlsFiles {
    files: configuration::Tls,
    made: Watched<Tls>,
}

impl TlsFiles {
    /// Reads the files; an endpoint of `http` has none.
    pub(crate) fn new(exporter: &Exporter) -> Result<Option<Self>, Problem> {
        if !exporter.endpoint.starts_with("https:") {
            return Ok(None);
        }
        let files = exporter.tls.clone();
        let named = [&files.ca, &files.certificate, &files.key];
        let mut paths: Vec<PathBuf> = named
            .into_iter()
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect();
        if files.ca.is_empty() {
            paths.extend(Tls::machine_authorities());
        }
        let made = Watched::new(paths, || made(&files))?;
        Ok(Some(Self { files, made }))
    }
}

impl TlsSource for TlsFiles {
    fn current(&self) -> Tls {
        self.made.current(|| made(&self.files))
    }
}

fn made(files: &configuration::Tls) -> Result<Tls, Problem> {
    let authorities = pem(&files.ca)?;
    let certificate = pem(&files.certificate)?;
    // The key of a certificate may stand in the same file.
    let key_file = if files.key.is_empty() {
        &files.certificate
    } else {
        &files.key
    };
    let key = pem(key_file)?.map(|bytes| SecretSlice::from(bytes.to_vec()));
    let identity = certificate
        .as_ref()
        .zip(key.as_ref())
        .map(|(certificate, key)| (certificate.as_slice(), key));
    Tls::new(authorities.as_ref().map(|bytes| bytes.as_slice()), identity).map_err(|error| {
        let (file, help) = match &error {
            TlsError::Authorities(_) => (&files.ca, "name a PEM file with the certificates of authorities"),
            TlsError::Certificate(_) => (
                &files.certificate,
                "name a PEM file with the client's certificate",
            ),
            TlsError::Key(_) => (
                key_file,
                "name a PEM file with the client's private key, without a password",
            ),
            TlsError::Mismatch => (key_file, "name the key that the certificate was made with"),
            TlsError::NoRoots | TlsError::Provider(_) => {
                return Problem::new(
                    "FLOE-X006",
                    format!("TLS cannot be used: {error}"),
                    "name the authority of the Collector's certificate with `tls.ca_file`",
                );
            }
        };
        Problem::new("FLOE-X006", format!("TLS cannot use {file}: {error}"), help)
    })
}

/// The content of a file, or nothing where none is named.
fn pem(path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
    if path.is_empty() {
        return Ok(None);
    }
    let path = Path::new(path);
    file::read(path, LARGEST)
        .map(Some)
        .map_err(|unreadable| unreadable.of(path, "TLS needs"))
}
