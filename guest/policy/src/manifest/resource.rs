//! `resource_attributes`: who produces the telemetry, and what else is known of it.

use super::Mode;
use crate::attribute;
use crate::bindings::exports::floe::telemetry::types::KeyValue;
use crate::diagnostic::{self, Place};
use crate::fields::Findings;
use crate::kinds::{Attribute, Choice, Name, WithPlace, Written};
use crate::layers::{Layer, TELEMETRY};
use crate::reader::Journal;
use crate::settings::{Names, Settings, Visitor};

/// Where the section stands.
pub const PATH: &str = "observability.telemetry.resource_attributes";

const ENVIRONMENT: &str = "deployment.environment.name";
const OLDER_ENVIRONMENT: &str = "deployment.environment";

const MODES: &[(&str, Mode)] = &[
    ("dev", Mode::Dev),
    ("staging", Mode::Staging),
    ("prod", Mode::Prod),
];

/// The section. What is required is checked once all layers are read.
#[derive(Debug, Default, Clone)]
pub struct ResourceAttributes {
    service_name: Option<String>,
    service_version: Option<String>,
    environment: Option<Written<String>>,
    older_environment: Option<Written<String>>,
    namespace: Option<String>,
    product_name: Option<String>,
    product_version: Option<String>,
    mode: Option<Written<Mode>>,
    others: Vec<(String, String)>,
}

impl Settings for ResourceAttributes {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.maybe(
            attribute::NAMESPACE,
            "Namespace that owns the data product; `metadata.namespace` by default.",
            Name,
            &mut self.namespace,
        );
        visitor.maybe(
            attribute::PRODUCT_NAME,
            "Name of the data product; `metadata.name` by default.",
            Name,
            &mut self.product_name,
        );
        visitor.maybe(
            attribute::PRODUCT_VERSION,
            "Version of the data product; `metadata.version` by default.",
            Name,
            &mut self.product_version,
        );
        visitor.maybe(
            attribute::MODE,
            "Where floe runs: `dev` (the default), `staging` or `prod`.",
            WithPlace(Choice(MODES)),
            &mut self.mode,
        );
        visitor.maybe(
            "service.name",
            "Name of the service; the product's name by default.",
            Name,
            &mut self.service_name,
        );
        visitor.maybe(
            "service.version",
            "Version of the service; the product's version by default.",
            Name,
            &mut self.service_version,
        );
        visitor.maybe(
            ENVIRONMENT,
            "Name of the environment: any text; floe.mode by default.",
            WithPlace(Name),
            &mut self.environment,
        );
        visitor.maybe(
            OLDER_ENVIRONMENT,
            "Older spelling of deployment.environment.name.",
            WithPlace(Name),
            &mut self.older_environment,
        );
        let names = Names {
            // A name without a dot is a slip in a manifest; the variable may hold any.
            allow: |name, layer| {
                (name.contains('.') || matches!(layer, Layer::Variable(_))) && !name.starts_with("floe.")
            },
            pattern: "^(?!floe\\.).*\\.",
            help: "write a name with a dot, such as team.name; names of floe.* are floe's own",
        };
        visitor.others(
            names,
            "A further resource attribute.",
            Attribute,
            &mut self.others,
        );
    }
}

/// Who produces the telemetry.
#[derive(Debug, Default, Clone)]
pub struct Identity {
    /// `service.name`.
    pub service_name: String,
    /// `service.version`.
    pub service_version: String,
    /// `floe.namespace`.
    pub namespace: String,
    /// `floe.product.name`.
    pub product_name: String,
    /// `floe.product.version`.
    pub product_version: String,
    /// `floe.mode`.
    pub mode: Mode,
    /// `deployment.environment.name`.
    pub environment: String,
    /// Further resource attributes.
    pub attributes: Vec<KeyValue>,
}

impl ResourceAttributes {
    /// The identity, with its defaults. Where it is required, what is missing is said.
    pub fn identity(&self, required: bool, findings: &mut Findings, journal: &mut Journal) -> Identity {
        let mut product = |name: &str, found: &Option<String>, metadata: &str| {
            let path = format!("{PATH}.{name}");
            // Something that was refused there is said already.
            let refused = findings.iter().any(|found| {
                found.path == path
                    || [TELEMETRY, PATH, "metadata"].contains(&found.path.as_str())
                    || found.path == format!("metadata.{metadata}")
            });
            if found.is_none() && required && !refused {
                findings.push(Place::named(&path).error(
                    diagnostic::MISSING_VALUE,
                    format!("`{name}` is missing"),
                    format!("write it there, or write `metadata.{metadata}`"),
                ));
            }
            found.clone().unwrap_or_default()
        };
        let namespace = product(attribute::NAMESPACE, &self.namespace, "namespace");
        let product_name = product(attribute::PRODUCT_NAME, &self.product_name, "name");
        let product_version = product(attribute::PRODUCT_VERSION, &self.product_version, "version");
        let mode = self.mode.as_ref().map(|found| found.value).unwrap_or_default();
        let (environment, written_at) = self.environment(mode);
        let environment = environment.to_owned();
        let identity = Identity {
            service_name: self.service_name.clone().unwrap_or_else(|| product_name.clone()),
            service_version: self
                .service_version
                .clone()
                .unwrap_or_else(|| product_version.clone()),
            namespace,
            product_name,
            product_version,
            mode,
            environment,
            attributes: self
                .others
                .iter()
                .map(|(key, value)| KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
        };
        journal.derive(&format!("{PATH}.{}", attribute::MODE), identity.mode.word(), "");
        for (name, value, source) in [
            (
                "service.name",
                identity.service_name.as_str(),
                attribute::PRODUCT_NAME,
            ),
            (
                "service.version",
                identity.service_version.as_str(),
                attribute::PRODUCT_VERSION,
            ),
        ] {
            journal.derive(&format!("{PATH}.{name}"), value, &format!("{PATH}.{source}"));
        }
        for (name, is_set) in [
            (ENVIRONMENT, self.environment.is_some()),
            (OLDER_ENVIRONMENT, self.older_environment.is_some()),
        ] {
            let (path, source) = (format!("{PATH}.{name}"), format!("{PATH}.{written_at}"));
            // What is overruled is not what holds.
            if is_set && name != written_at {
                journal.follow(&path, identity.environment.as_str(), &source);
            } else {
                journal.derive(&path, identity.environment.as_str(), &source);
            }
        }
        identity
    }

    /// The environment, and the attribute that says it: the one of the upper layer, of two in one layer the one that is not
    /// deprecated. It is the user's word; where there is none, it is the mode's.
    fn environment(&self, mode: Mode) -> (&str, &'static str) {
        [
            (&self.environment, ENVIRONMENT),
            (&self.older_environment, OLDER_ENVIRONMENT),
        ]
        .into_iter()
        .filter_map(|(found, name)| Some((found.as_ref()?, name)))
        // Of equals the last is the greatest.
        .rev()
        .max_by_key(|(found, _)| found.layer.precedence())
        .map_or((mode.word(), attribute::MODE), |(found, name)| {
            (found.value.as_str(), name)
        })
    }
}
