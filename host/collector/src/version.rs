//! The version of the Collector that a configuration is for, and what came with which.

use std::fmt;

use floe_telemetry::Deployment;
use semver::Version;

/// The newest whose configuration was read from its own sources.
const NEWEST: Version = Version::new(0, 161, 0);
/// The minor version from which every exporter with a queue can batch in it and count it in items, also on disk
/// (opentelemetry-collector#13340 came with 0.130; contrib's exporters followed).
const BATCHES_IN_QUEUE: u64 = 135;

/// A version of the Collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorVersion(Version);

impl CollectorVersion {
    /// Reads a version, also as a tag is written (`v0.161.0`).
    pub fn parse(text: &str) -> Option<Self> {
        Version::parse(text.strip_prefix('v').unwrap_or(text))
            .ok()
            .map(Self)
    }

    /// The version that a manifest has. The policy and the backends refuse an invalid one; here it becomes the newest known.
    pub fn of(deployment: &Deployment) -> Self {
        Self::parse(&deployment.version).unwrap_or(Self(NEWEST))
    }

    /// Whether it has what came with minor version 0.`minor`. A pre-release comes before its release.
    pub fn has(&self, minor: u64) -> bool {
        self.0 >= Version::new(0, minor, 0)
    }

    /// Whether queues of exporters make the batches. Older ones have the processor `batch`.
    pub fn batches_in_queue(&self) -> bool {
        self.has(BATCHES_IN_QUEUE)
    }

    /// Whether it is of the same minor version as another.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.0.major, self.0.minor) == (other.0.major, other.0.minor)
    }
}

impl fmt::Display for CollectorVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
