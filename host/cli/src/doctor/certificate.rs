//! The files of TLS: who is named in them, and until when.

use std::fs::File;
use std::io::Read as _;

use floe_telemetry::Tls;
use x509_parser::pem::Pem;

use super::finding::{Finding, Step};

/// Most of a file that is looked at, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Most certificates of a file that are shown; a list of authorities has many.
const SHOWN: usize = 3;

/// Looks at the certificates of an exporter's files. What keeps them from being used, the step of TLS says.
pub(super) fn examine(tls: &Tls) -> Vec<Finding> {
    [&tls.ca, &tls.certificate]
        .into_iter()
        .filter(|path| !path.is_empty())
        .flat_map(|path| look(path))
        .collect()
}

fn look(path: &str) -> Vec<Finding> {
    let mut bytes = Vec::new();
    let is_file = std::fs::metadata(path).is_ok_and(|about| about.is_file());
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    if !is_file || read.is_err() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let sections: Vec<_> = Pem::iter_from_buffer(&bytes).filter_map(Result::ok).collect();
    let certificates: Vec<_> = sections
        .iter()
        .filter(|section| section.label == "CERTIFICATE")
        .filter_map(|section| section.parse_x509().ok())
        .collect();
    for certificate in &certificates {
        let (subject, validity) = (certificate.subject().to_string(), certificate.validity());
        if !validity.is_valid() {
            let (when, help) =
                if validity.not_after.timestamp() < x509_parser::time::ASN1Time::now().timestamp() {
                    (
                        format!("expired on {}", validity.not_after),
                        "put a renewed certificate there",
                    )
                } else {
                    (
                        format!("is not valid before {}", validity.not_before),
                        "check the clock of this machine, or wait",
                    )
                };
            found.push(Finding::bad(
                Step::File,
                path,
                "FLOE-D006",
                format!("the certificate of {subject} {when}"),
                help,
            ));
        }
    }
    let mut shown: Vec<_> = certificates
        .iter()
        .take(SHOWN)
        .map(|certificate| {
            format!(
                "{} until {}",
                certificate.subject(),
                certificate.validity().not_after
            )
        })
        .collect();
    if certificates.len() > SHOWN {
        shown.push(format!("{} more", certificates.len() - SHOWN));
    }
    if !shown.is_empty() {
        found.push(Finding::good(Step::File, path, shown.join(", ")));
    }
    found
}
