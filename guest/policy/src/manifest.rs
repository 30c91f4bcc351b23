//! The manifest's telemetry settings: which keys there are, their types and their defaults.

use crate::attribute::{self, attribute};
use crate::baggage;
use crate::bindings::exports::floe::telemetry::configuration::Protocol;
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, KeyValue, Severity};
use crate::diagnostic::{self, Place, shown};
use crate::fields::{Field, Findings, Section, suggestion};
use crate::sampling::Sampling;
use crate::yaml::{self, Key, Value};

mod sampling;

/// Where floe runs, and so what is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Development.
    Dev,
    /// Staging.
    Staging,
    /// Production.
    Prod,
}

impl Mode {
    /// The words of the manifest.
    pub const WORDS: [&'static str; 3] = ["dev", "staging", "prod"];

    /// From a word of [`Self::WORDS`].
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "dev" => Some(Self::Dev),
            "staging" => Some(Self::Staging),
            "prod" => Some(Self::Prod),
            _ => None,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Prod => "prod",
        }
    }
}

/// Who produces the telemetry.
#[derive(Debug, Clone, PartialEq)]
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
}

/// Every setting, with its default where the manifest has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Whether anything is set up at all.
    pub enabled: bool,
    /// Mode.
    pub mode: Mode,
    /// `deployment.environment.name`.
    pub environment: Mode,
    /// Identity.
    pub identity: Identity,
    /// Further resource attributes.
    pub attributes: Vec<KeyValue>,
    /// Collector's base URL; by default the protocol's own port on localhost.
    pub endpoint: Option<String>,
    /// OTLP transport.
    pub protocol: Protocol,
    /// Longest time for an export, in milliseconds.
    pub export_timeout: u32,
    /// Sampling.
    pub sampling: Sampling,
    /// Baggage members that become attributes.
    pub baggage: Vec<String>,
    /// Batch: most items that wait.
    pub queue: u32,
    /// Batch: most items in an export.
    pub batch: u32,
    /// Batch: longest wait, in milliseconds.
    pub delay: u32,
    /// Interval between metric exports, in milliseconds.
    pub interval: u32,
    /// Longest time that ending may take, in milliseconds.
    pub shutdown: u32,
    /// Lowest severity.
    pub level: &'static str,
    /// JSON lines on the console.
    pub json: bool,
}

/// Severity words of a manifest, ascending.
pub const LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
/// Times that a setting may have.
pub const MILLISECONDS: std::ops::RangeInclusive<u32> = 1..=3_600_000;
/// Numbers of items that a queue may have. An SDK may take the memory of a queue at its start.
pub const ITEMS: std::ops::RangeInclusive<u32> = 1..=100_000;

impl Default for Manifest {
    /// OpenTelemetry's defaults, and no configuration: nothing is set up.
    fn default() -> Self {
        Self {
            enabled: false,
            mode: Mode::Dev,
            environment: Mode::Dev,
            identity: Identity {
                service_name: String::new(),
                service_version: String::new(),
                namespace: String::new(),
                product_name: String::new(),
                product_version: String::new(),
            },
            attributes: Vec::new(),
            endpoint: None,
            protocol: Protocol::HttpProtobuf,
            export_timeout: 10_000,
            sampling: sampling::defaults(),
            baggage: Vec::new(),
            queue: 2_048,
            batch: 512,
            delay: 5_000,
            interval: 60_000,
            shutdown: 5_000,
            level: "INFO",
            json: true,
        }
    }
}

/// Reads a manifest. All errors are returned; warnings come with the result.
pub fn read(text: &str) -> Result<(Manifest, Findings), Findings> {
    let document = yaml::parse(text).map_err(|found| vec![found])?;
    let mut findings = Findings::new();
    let field = Field::document(&document);
    if matches!(field.value(), Value::Null) {
        findings.push(field.place().error(
            diagnostic::MANIFEST_EMPTY,
            "the manifest is empty",
            "write a floe manifest; one with no `observability.telemetry` sets up nothing",
        ));
    }
    let mut manifest = Manifest::default();
    if let Some(top) = field.mapping(&mut findings) {
        misspelt(&top, &["observability", "plugins", "metadata"], &mut findings);
        manifest.read(&top, &mut findings);
    }
    if findings.iter().any(is_error) {
        Err(findings)
    } else {
        Ok((manifest, findings))
    }
}

/// Whether a finding refuses the input.
pub fn is_error(found: &Diagnostic) -> bool {
    found.severity == Severity::Error
}

/// The top level holds what other parts of floe own, so only a key close to one of ours is worth a word.
fn misspelt(top: &Section<'_>, ours: &[&str], findings: &mut Findings) {
    for (key, _) in top.fields() {
        let name = key.name.as_str();
        let place = Place {
            path: key.name.clone(),
            line: key.line,
            column: key.column,
        };
        if name == "telemetry" {
            findings.push(place.warning(
                diagnostic::UNKNOWN_KEY,
                "a `telemetry` at the top level is not read",
                "move it under `observability`",
            ));
        } else if !ours.contains(&name)
            && let Some(help) = suggestion(name, ours)
        {
            findings.push(place.warning(
                diagnostic::UNKNOWN_KEY,
                format!("{} is not read", shown(name)),
                help,
            ));
        }
    }
}

impl Manifest {
    fn read(&mut self, top: &Section<'_>, findings: &mut Findings) {
        if let Some(plugins) = top.get("plugins").and_then(|field| field.mapping(findings))
            && let Some(backend) = plugins.get("telemetry_backend")
        {
            check_backend(&backend, findings);
        }
        let Some(observability) = top
            .get("observability")
            .and_then(|field| field.section(&["telemetry", "tracing", "logging", "lineage"], findings))
        else {
            return;
        };
        let telemetry = observability.get("telemetry");
        if telemetry.is_none()
            && observability.get("tracing").is_none()
            && observability.get("logging").is_none()
        {
            return;
        }
        self.enabled = true;
        self.read_older(&observability, findings);
        let resource = telemetry
            .as_ref()
            .and_then(|field| self.read_telemetry(field, findings));
        let metadata = top.get("metadata").and_then(|field| field.mapping(findings));
        self.read_identity(resource.as_ref(), metadata.as_ref(), findings);
    }

    /// `observability.tracing.endpoint` and `observability.logging.*`, which `telemetry` overrides.
    fn read_older(&mut self, observability: &Section<'_>, findings: &mut Findings) {
        let older = |field: &Field<'_>, instead: &str, findings: &mut Findings| {
            findings.push(field.place().warning(
                diagnostic::OLDER_SPELLING,
                "this is an older spelling",
                format!("write `observability.telemetry.{instead}`"),
            ));
        };
        if let Some(tracing) = observability
            .get("tracing")
            .and_then(|field| field.section(&["enabled", "exporter", "endpoint"], findings))
        {
            if let Some(field) = tracing.get("endpoint") {
                older(&field, "otlp_endpoint", findings);
                self.endpoint = endpoint(&field, findings);
            }
            if let Some(field) = tracing.get("enabled") {
                older(&field, "enabled", findings);
                set(&mut self.enabled, field.boolean(findings));
            }
            if let Some(field) = tracing.get("exporter") {
                older(&field, "enabled", findings);
                self.enabled &= field.word(&["otlp", "none"], findings) != Some("none");
            }
        }
        if let Some(logging) = observability
            .get("logging")
            .and_then(|field| field.section(&["level", "format"], findings))
        {
            if let Some(field) = logging.get("level") {
                older(&field, "logging.log_level", findings);
                set(&mut self.level, field.word(&LEVELS, findings));
            }
            if let Some(field) = logging.get("format") {
                older(&field, "logging.json_output", findings);
                set(
                    &mut self.json,
                    field.word(&["json", "text"], findings).map(|word| word == "json"),
                );
            }
        }
    }

    fn read_telemetry<'a>(&mut self, field: &Field<'a>, findings: &mut Findings) -> Option<Section<'a>> {
        let telemetry = field.section(
            &[
                "enabled",
                "otlp_endpoint",
                "otlp_protocol",
                "sampling",
                "baggage",
                "resource_attributes",
                "batch_processor",
                "metrics",
                "logging",
                "shutdown_timeout_millis",
            ],
            findings,
        )?;
        if let Some(field) = telemetry.get("enabled") {
            set(&mut self.enabled, field.boolean(findings));
        }
        if let Some(field) = telemetry.get("otlp_endpoint") {
            self.endpoint = endpoint(&field, findings);
        }
        if let Some(field) = telemetry.get("otlp_protocol") {
            set(
                &mut self.protocol,
                field.word(&PROTOCOLS, findings).and_then(protocol),
            );
        }
        if let Some(field) = telemetry.get("sampling") {
            sampling::read(&mut self.sampling, &field, findings);
        }
        if let Some(baggage) = telemetry
            .get("baggage")
            .and_then(|field| field.section(&["attributes"], findings))
            && let Some(keys) = baggage.get("attributes")
        {
            self.baggage = baggage_keys(&keys, findings);
        }
        if let Some(batch) = telemetry.get("batch_processor").and_then(|field| {
            field.section(
                &[
                    "max_queue_size",
                    "max_export_batch_size",
                    "schedule_delay_millis",
                    "export_timeout_millis",
                ],
                findings,
            )
        }) {
            set(
                &mut self.queue,
                batch
                    .get("max_queue_size")
                    .and_then(|field| field.integer(ITEMS, findings)),
            );
            self.batch = self.batch.min(self.queue);
            if let Some(field) = batch.get("max_export_batch_size") {
                set(&mut self.batch, field.integer(1..=self.queue, findings));
            }
            set(
                &mut self.delay,
                batch
                    .get("schedule_delay_millis")
                    .and_then(|field| field.integer(MILLISECONDS, findings)),
            );
            let timeout = batch
                .get("export_timeout_millis")
                .and_then(|field| field.integer(MILLISECONDS, findings));
            set(&mut self.export_timeout, timeout);
        }
        if let Some(metrics) = telemetry
            .get("metrics")
            .and_then(|field| field.section(&["export_interval_millis"], findings))
        {
            let interval = metrics
                .get("export_interval_millis")
                .and_then(|field| field.integer(MILLISECONDS, findings));
            set(&mut self.interval, interval);
        }
        if let Some(logging) = telemetry
            .get("logging")
            .and_then(|field| field.section(&["log_level", "json_output"], findings))
        {
            set(
                &mut self.level,
                logging
                    .get("log_level")
                    .and_then(|field| field.word(&LEVELS, findings)),
            );
            set(
                &mut self.json,
                logging
                    .get("json_output")
                    .and_then(|field| field.boolean(findings)),
            );
        }
        let shutdown = telemetry
            .get("shutdown_timeout_millis")
            .and_then(|field| field.integer(MILLISECONDS, findings));
        set(&mut self.shutdown, shutdown);
        telemetry
            .get("resource_attributes")
            .and_then(|field| field.mapping(findings))
    }

    /// `resource_attributes`, with the manifest's own `metadata` as the default of the product.
    fn read_identity(
        &mut self,
        resource: Option<&Section<'_>>,
        metadata: Option<&Section<'_>>,
        findings: &mut Findings,
    ) {
        const KNOWN: [&str; 8] = [
            "service.name",
            "service.version",
            "deployment.environment",
            "deployment.environment.name",
            attribute::NAMESPACE,
            attribute::PRODUCT_NAME,
            attribute::PRODUCT_VERSION,
            attribute::MODE,
        ];
        let attribute_of = |key: &str| resource.and_then(|section| section.get(key));
        let metadata_of = |key: &str| metadata.and_then(|section| section.get(key));
        let first = |keys: [Option<Field<'_>>; 2], findings: &mut Findings| {
            let field = keys.into_iter().flatten().next()?;
            field
                .name(findings)
                .map(str::to_owned)
                .or_else(|| Some(String::new()))
        };

        let required = |name: &str, found: Option<String>, fallback: &str, findings: &mut Findings| {
            found.unwrap_or_else(|| {
                findings.push(
                    Place::named(&format!("observability.telemetry.resource_attributes.{name}")).error(
                        diagnostic::MISSING_VALUE,
                        format!("`{name}` is missing"),
                        format!("write it there, or write `metadata.{fallback}`"),
                    ),
                );
                String::new()
            })
        };
        let namespace = first(
            [attribute_of(attribute::NAMESPACE), metadata_of("namespace")],
            findings,
        );
        let product = first(
            [attribute_of(attribute::PRODUCT_NAME), metadata_of("name")],
            findings,
        );
        let version = first(
            [attribute_of(attribute::PRODUCT_VERSION), metadata_of("version")],
            findings,
        );
        if self.enabled {
            self.identity.namespace = required(attribute::NAMESPACE, namespace, "namespace", findings);
            self.identity.product_name = required(attribute::PRODUCT_NAME, product, "name", findings);
            self.identity.product_version =
                required(attribute::PRODUCT_VERSION, version, "version", findings);
        }
        self.identity.service_name = first([attribute_of("service.name"), None], findings)
            .unwrap_or_else(|| self.identity.product_name.clone());
        self.identity.service_version = first([attribute_of("service.version"), None], findings)
            .unwrap_or_else(|| self.identity.product_version.clone());

        let mode = |key: &str, findings: &mut Findings| {
            attribute_of(key)
                .and_then(|field| field.word(&Mode::WORDS, findings))
                .and_then(Mode::from_word)
        };
        set(&mut self.mode, mode(attribute::MODE, findings));
        self.environment = mode("deployment.environment.name", findings)
            .or_else(|| mode("deployment.environment", findings))
            .unwrap_or(self.mode);

        for (key, field) in resource.iter().flat_map(|section| section.fields()) {
            let ours = key.name.starts_with("floe.") || !key.name.contains('.');
            if KNOWN.contains(&key.name.as_str()) {
                continue;
            } else if ours && let Some(section) = resource {
                findings.push(section.unknown(key, &KNOWN));
            } else {
                self.attributes.extend(scalar_attribute(key, &field, findings));
            }
        }
    }
}

/// A scalar as an attribute.
fn scalar_attribute(key: &Key, field: &Field<'_>, findings: &mut Findings) -> Option<KeyValue> {
    match field.value() {
        Value::Text(text) => Some(attribute(&key.name, text)),
        Value::Boolean(truth) => Some(attribute(&key.name, truth)),
        Value::Integer(number) => Some(attribute(&key.name, number)),
        Value::Float(number) => Some(attribute(&key.name, number)),
        Value::Null => None,
        Value::List(_) | Value::Mapping(_) => {
            findings.push(field.place().error(
                diagnostic::WRONG_TYPE,
                format!("an attribute cannot be {}", field.value().kind()),
                "write text, a number or a boolean",
            ));
            None
        }
    }
}

/// Most keys of the allow-list.
const BAGGAGE_KEYS: usize = 64;

fn baggage_keys(field: &Field<'_>, findings: &mut Findings) -> Vec<String> {
    let mut keys = Vec::new();
    for key in field.list(BAGGAGE_KEYS, findings) {
        let Some(name) = key.name(findings) else { continue };
        let stars = name.matches('*').count();
        if baggage::is_token(name) && (stars == 0 || stars == 1 && name.ends_with('*')) {
            keys.push(name.to_owned());
        } else {
            findings.push(key.place().error(
                diagnostic::WRONG_VALUE,
                format!("{} is no key of baggage", shown(name)),
                "write a key such as `tenant`, or `acme.*` for all that start so",
            ));
        }
    }
    keys
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

/// `plugins.telemetry_backend`: a bare name, or a mapping. The Collector's configuration comes from it; the SDK's never does.
fn check_backend(field: &Field<'_>, findings: &mut Findings) {
    // People paste secrets here.
    let field = &field.clone().unshown();
    if let Value::Text(_) = field.value() {
        field.name(findings);
        return;
    }
    let Some(backend) = field.section(&["type", "version", "config", "connection_secret_ref"], findings)
    else {
        return;
    };
    match backend.get("type") {
        Some(name) => {
            name.name(findings);
        }
        None => findings.push(field.place().error(
            diagnostic::MISSING_VALUE,
            "the backend has no `type`",
            "write `type: jaeger`, or another backend's name",
        )),
    }
    for name in ["version", "connection_secret_ref"] {
        if let Some(field) = backend.get(name) {
            field.name(findings);
        }
    }
    if let Some(config) = backend.get("config") {
        config.mapping(findings);
    }
}

/// Words for [`Protocol`]; `http` is upstream's word for OpenTelemetry's `http/protobuf`.
pub const PROTOCOLS: [&str; 3] = ["grpc", "http/protobuf", "http"];

/// From a word of [`PROTOCOLS`].
pub fn protocol(word: &str) -> Option<Protocol> {
    match word {
        "grpc" => Some(Protocol::Grpc),
        "http/protobuf" | "http" => Some(Protocol::HttpProtobuf),
        _ => None,
    }
}

fn endpoint(field: &Field<'_>, findings: &mut Findings) -> Option<String> {
    let text = field.text(findings)?;
    match checked_endpoint(text) {
        Ok(url) => Some(url),
        Err(reason) => {
            findings.push(field.place().error(
                diagnostic::WRONG_ENDPOINT,
                format!(
                    "{} is no endpoint: {reason}",
                    shown(without_credentials(text).as_str())
                ),
                "write the base URL of an OTLP Collector, such as http://localhost:4318",
            ));
            None
        }
    }
}

/// A Collector's base URL without a slash at its end, or why it is none.
pub fn checked_endpoint(text: &str) -> Result<String, &'static str> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("it does not start with http:// or https://");
    }
    let url: http::Uri = text.parse().map_err(|_| "it is not a URL")?;
    let authority = url.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("credentials in a URL would reach logs");
    }
    if authority.host().is_empty() || authority.host() == "[]" {
        return Err("it names no host");
    }
    if authority
        .as_str()
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'))
        && authority.port_u16().is_none_or(|port| port == 0)
    {
        return Err("its port is not a number from 1 to 65535");
    }
    if url.query().is_some() || text.contains('#') {
        return Err("it has a query or a fragment");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The text without what may be a secret: what stands before an `@`, and a query or a fragment.
fn without_credentials(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    match (shown.find("://"), shown.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!(
                "{}://…{}",
                shown.get(..scheme).unwrap_or_default(),
                shown.get(at..).unwrap_or_default()
            )
        }
        (None, Some(at)) => format!("…{}", shown.get(at..).unwrap_or_default()),
        _ => shown.to_owned(),
    }
}
