//! What the Collector calls the components that do not belong to a backend, by version: this table is the only place of this crate that knows.
//!
//! Component types are being renamed to snake case (opentelemetry-collector-contrib#45339); an old name stays as an alias for some versions.

use crate::version::CollectorVersion;

/// A type of component, the first part of a component id.
#[derive(Debug, Clone, Copy)]
pub struct ComponentType {
    first: &'static str,
    /// The minor version of 0.x that brought another name.
    renamed: Option<(u64, &'static str)>,
}

impl ComponentType {
    const fn named(first: &'static str) -> Self {
        Self { first, renamed: None }
    }

    const fn renamed(first: &'static str, minor: u64, now: &'static str) -> Self {
        Self {
            first,
            renamed: Some((minor, now)),
        }
    }

    /// Its name in a version.
    pub fn name(self, version: &CollectorVersion) -> &'static str {
        match self.renamed {
            Some((minor, now)) if version.has(minor) => now,
            _ => self.first,
        }
    }

    /// A component id: the type and a name for the purpose.
    pub fn id(self, version: &CollectorVersion, purpose: &str) -> String {
        format!("{}/{purpose}", self.name(version))
    }
}

/// Receiver.
pub const OTLP: ComponentType = ComponentType::named("otlp");
/// Processor.
pub const BATCH: ComponentType = ComponentType::named("batch");
/// Processor.
pub const MEMORY_LIMITER: ComponentType = ComponentType::named("memory_limiter");
/// Processor.
pub const TAIL_SAMPLING: ComponentType = ComponentType::named("tail_sampling");
/// Processor.
pub const TRANSFORM: ComponentType = ComponentType::named("transform");
/// Connector from one pipeline to others of the same signal.
pub const FORWARD: ComponentType = ComponentType::named("forward");
/// Exporter to the Collector's own log.
pub const DEBUG: ComponentType = ComponentType::named("debug");
/// Exporter.
pub const LOAD_BALANCING: ComponentType = ComponentType::renamed("loadbalancing", 153, "load_balancing");
/// Exporter.
pub const OTLP_GRPC: ComponentType = ComponentType::renamed("otlp", 144, "otlp_grpc");
/// Extension.
pub const FILE_STORAGE: ComponentType = ComponentType::named("file_storage");
/// Extension.
pub const HEALTH_CHECK: ComponentType = ComponentType::named("health_check");

/// The type of a component id.
pub fn kind(id: &str) -> &str {
    id.split_once('/').map_or(id, |(kind, _)| kind)
}

/// Whether text is a component id: a type of letters, digits and `_`, and a name of more than that behind a `/`, if there is one.
pub fn is_id(text: &str) -> bool {
    let (kind, name) = text.split_once('/').unwrap_or((text, "x"));
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    kind.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && kind.chars().all(word)
        && !name.is_empty()
        && name
            .chars()
            .all(|letter| word(letter) || matches!(letter, '-' | '.' | '/'))
        && text.len() <= 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_at_their_versions() {
        for (kind, version, name) in [
            (OTLP_GRPC, "0.143.1", "otlp"),
            (OTLP_GRPC, "0.144.0", "otlp_grpc"),
            (LOAD_BALANCING, "0.152.0", "loadbalancing"),
            (LOAD_BALANCING, "0.153.0", "load_balancing"),
            (TAIL_SAMPLING, "0.110.0", "tail_sampling"),
        ] {
            let collector = CollectorVersion::parse(version).unwrap();
            assert_eq!(kind.name(&collector), name, "{version}");
        }
    }

    #[test]
    fn ids() {
        for id in ["otlp", "otlp_http/tempo", "datadog/datadog-apm-stats", "a/b/c.d"] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", "/a", "a/", "a b", "a/b c", "1a", "a/${env:B}", "a\n", "ä"] {
            assert!(!is_id(id), "{id:?}");
        }
        assert_eq!(kind("otlp_http/tempo/2"), "otlp_http");
        assert_eq!(kind("otlp"), "otlp");
    }
}
