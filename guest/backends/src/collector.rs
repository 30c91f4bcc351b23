//! The version of the Collector that a fragment is for.

use std::fmt::{self, Display, Formatter};

use semver::Version;

use crate::diagnostic::{self, Findings, shown};

/// The oldest that is known to read what is rendered: the settings of every exporter here are the same since then, but for those that
/// [`Draft::refuse_before`](crate::draft::Draft::refuse_before) knows.
const OLDEST: Version = Version::new(0, 110, 0);
/// The newest whose component names were read from its own `metadata.yaml` files.
const NEWEST: Version = Version::new(0, 161, 0);

/// A Collector of a version that can be rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector(Version);

impl Default for Collector {
    /// The newest that is known.
    fn default() -> Self {
        Self(NEWEST)
    }
}

impl Display for Collector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl Collector {
    /// Reads a version, also as a tag is written (`v0.161.0`). No text is the newest version.
    pub fn parse(text: &str, findings: &mut Findings) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let Ok(version) = Version::parse(text.strip_prefix('v').unwrap_or(text)) else {
            findings.push(diagnostic::error(
                diagnostic::COLLECTOR_VERSION,
                "collector",
                format!("{} is no version of the Collector", shown(text)),
                format!("write major, minor and patch, such as {NEWEST}"),
            ));
            return None;
        };
        if version < OLDEST {
            findings.push(diagnostic::error(
                diagnostic::COLLECTOR_TOO_OLD,
                "collector",
                format!("the Collector {} is too old", shown(&version.to_string())),
                format!("use {OLDEST} or later"),
            ));
            return None;
        }
        if (version.major, version.minor) > (NEWEST.major, NEWEST.minor) {
            findings.push(diagnostic::warning(
                diagnostic::COLLECTOR_NEWER,
                "collector",
                format!(
                    "the Collector {} is newer than any that was known here",
                    shown(&version.to_string())
                ),
                format!("it is configured like {NEWEST}; `otelcol validate` says whether it agrees"),
            ));
        }
        Some(Self(version))
    }

    /// Whether it has what came with minor version 0.`minor`. A pre-release comes before its release, as semver has it: there
    /// the older name is valid too.
    pub fn has(&self, minor: u64) -> bool {
        self.0 >= Version::new(0, minor, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<String> {
        let mut findings = Findings::new();
        Collector::parse(text, &mut findings);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn versions() {
        for good in [
            "",
            "0.110.0",
            "v0.144.0",
            "0.161.0",
            "0.161.9",
            "0.160.0-nightly.2",
            "0.150.0+build",
        ] {
            assert_eq!(codes(good), [""; 0], "{good}");
        }
        for newer in ["0.162.0", "1.0.0", "0.162.0-rc.1"] {
            assert_eq!(codes(newer), ["FLOE-B014"], "{newer}");
        }
        for old in ["0.109.9", "0.110.0-rc.1", "0.0.0"] {
            assert_eq!(codes(old), ["FLOE-B010"], "{old}");
        }
        for none in [
            "latest",
            "0.161",
            "161",
            "vv0.161.0",
            " 0.161.0",
            "0.161.0\n",
            "0.161.0.1",
            "-1.0.0",
        ] {
            assert_eq!(codes(none), ["FLOE-B009"], "{none}");
        }
    }

    #[test]
    fn a_pre_release_comes_before_its_release() {
        let of = |text| Collector::parse(text, &mut Findings::new()).unwrap();
        assert!(of("0.144.0").has(144) && of("1.0.0").has(144));
        assert!(!of("0.144.0-nightly").has(144) && !of("0.143.9").has(144));
    }
}
