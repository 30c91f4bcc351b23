//! Variables of the process environment as a layer over the manifest (OpenTelemetry, environment variable specification).

use percent_encoding::percent_decode_str;

use crate::bindings::exports::floe::telemetry::configuration::{Member, Variable};
use crate::diagnostic::{self, Place, shown};
use crate::fields::Findings;
use crate::layers::Layer;
use crate::manifest::Mode;
use crate::manifest::header::{checked_name, is_printable};
use crate::yaml::{Key, Node, Value};

/// How the text of a variable becomes a value.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    Number,
    /// Only `true`, in any case, is true.
    Boolean,
    /// `true` is false.
    Disabled,
    /// `otlp`, `console` or `none`.
    Exporter,
    /// `key1=value1,key2=value2`, of which the host looks the values up.
    Headers,
    /// `key1=value1,key2=value2`.
    Attributes,
    /// A sampler of the OpenTelemetry SDK.
    Sampler,
    /// A list of opt-ins, of which those for exceptions are ours.
    Exceptions,
}

use Form::{Attributes, Boolean, Disabled, Exceptions, Exporter, Headers, Number, Sampler, Text};

/// A variable, where its value goes below `observability.telemetry`, and how it is read. Later ones lie over earlier ones.
type Row = (&'static str, &'static [&'static str], Form);

const RESOURCE: &str = "resource_attributes";
const BATCH: &str = "batch_processor";

const TABLE: [Row; 58] = [
    ("OTEL_SDK_DISABLED", &["enabled"], Disabled),
    ("OTEL_RESOURCE_ATTRIBUTES", &[RESOURCE], Attributes),
    ("OTEL_SERVICE_NAME", &[RESOURCE, "service.name"], Text),
    (MODE, &[RESOURCE, "floe.mode"], Text),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", &["otlp_endpoint"], Text),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", &["otlp_protocol"], Text),
    ("OTEL_EXPORTER_OTLP_INSECURE", &["insecure"], Boolean),
    ("OTEL_EXPORTER_OTLP_HEADERS", &["headers"], Headers),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", &["timeout_millis"], Number),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", &["compression"], Text),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", &["tls", "ca_file"], Text),
    (
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        &["tls", "cert_file"],
        Text,
    ),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &["tls", "key_file"], Text),
    ("OTEL_TRACES_EXPORTER", &["traces"], Exporter),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        &["traces", "otlp_endpoint"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        &["traces", "otlp_protocol"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
        &["traces", "insecure"],
        Boolean,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        &["traces", "headers"],
        Headers,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        &["traces", "timeout_millis"],
        Number,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        &["traces", "compression"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        &["traces", "tls", "ca_file"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
        &["traces", "tls", "cert_file"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
        &["traces", "tls", "key_file"],
        Text,
    ),
    ("OTEL_METRICS_EXPORTER", &["metrics"], Exporter),
    (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        &["metrics", "otlp_endpoint"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        &["metrics", "otlp_protocol"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_INSECURE",
        &["metrics", "insecure"],
        Boolean,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        &["metrics", "headers"],
        Headers,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
        &["metrics", "timeout_millis"],
        Number,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
        &["metrics", "compression"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        &["metrics", "tls", "ca_file"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
        &["metrics", "tls", "cert_file"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
        &["metrics", "tls", "key_file"],
        Text,
    ),
    (
        "OTEL_METRIC_EXPORT_INTERVAL",
        &["metrics", "export_interval_millis"],
        Number,
    ),
    (
        "OTEL_METRIC_EXPORT_TIMEOUT",
        &["metrics", "export_timeout_millis"],
        Number,
    ),
    ("OTEL_LOGS_EXPORTER", &["logs"], Exporter),
    (
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        &["logs", "otlp_endpoint"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
        &["logs", "otlp_protocol"],
        Text,
    ),
    ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", &["logs", "insecure"], Boolean),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", &["logs", "headers"], Headers),
    (
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
        &["logs", "timeout_millis"],
        Number,
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION",
        &["logs", "compression"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
        &["logs", "tls", "ca_file"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE",
        &["logs", "tls", "cert_file"],
        Text,
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY",
        &["logs", "tls", "key_file"],
        Text,
    ),
    (
        "OTEL_BSP_MAX_QUEUE_SIZE",
        &["traces", BATCH, "max_queue_size"],
        Number,
    ),
    (
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        &["traces", BATCH, "max_export_batch_size"],
        Number,
    ),
    (
        "OTEL_BSP_SCHEDULE_DELAY",
        &["traces", BATCH, "schedule_delay_millis"],
        Number,
    ),
    (
        "OTEL_BSP_EXPORT_TIMEOUT",
        &["traces", BATCH, "export_timeout_millis"],
        Number,
    ),
    (
        "OTEL_BLRP_MAX_QUEUE_SIZE",
        &["logs", BATCH, "max_queue_size"],
        Number,
    ),
    (
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        &["logs", BATCH, "max_export_batch_size"],
        Number,
    ),
    (
        "OTEL_BLRP_SCHEDULE_DELAY",
        &["logs", BATCH, "schedule_delay_millis"],
        Number,
    ),
    (
        "OTEL_BLRP_EXPORT_TIMEOUT",
        &["logs", BATCH, "export_timeout_millis"],
        Number,
    ),
    (EXCEPTIONS, &["exceptions", "signal"], Exceptions),
    ("FLOE_LOG_LEVEL", &["logging", "log_level"], Text),
    ("FLOE_LOG_JSON", &["logging", "json_output"], Boolean),
    (SAMPLER, &["sampling"], Sampler),
    // Read with the sampler.
    (SAMPLER_ARGUMENT, &[], Text),
];

/// How exceptions are told (OpenTelemetry, semantic conventions for exceptions in logs).
pub const EXCEPTIONS: &str = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN";
/// Names the environment.
pub const MODE: &str = "FLOE_MODE";
/// Names the one sampler of the process.
pub const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
/// Its argument.
pub const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Names of the variables that are taken.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = TABLE.iter().map(|(name, ..)| (*name).to_owned()).collect();
    names.dedup();
    names
}

/// The value of a variable that is set. An empty one counts as unset.
pub fn value<'a>(variables: &'a [Variable], name: &str) -> Option<&'a str> {
    let found = variables.iter().find(|variable| variable.name == name)?;
    Some(found.value.trim()).filter(|value| !value.is_empty())
}

/// Lays the variables over `observability.telemetry` of a manifest.
pub fn overlay(telemetry: &mut Node, variables: &[Variable], findings: &mut Findings) {
    for (name, path, form) in TABLE.iter().filter(|(_, path, _)| !path.is_empty()) {
        if let Some(text) = value(variables, name)
            && let Some(node) = read(name, text, *form, variables, findings)
        {
            telemetry.overlay_at(path, node);
        }
    }
}

fn read(
    name: &'static str,
    text: &str,
    form: Form,
    variables: &[Variable],
    findings: &mut Findings,
) -> Option<Node> {
    let of = |value| Some(Node::of(Layer::Variable(name), value));
    let lower = text.to_ascii_lowercase();
    let as_text = || Value::Text(text.to_owned());
    match form {
        Text => of(as_text()),
        Number => of(text.parse().map_or_else(|_| as_text(), Value::Integer)),
        Boolean => of(match lower.as_str() {
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            _ => as_text(),
        }),
        Disabled => match lower.as_str() {
            "true" => of(Value::Boolean(false)),
            "false" => None,
            _ => ignored(name, text, "`true` or `false`", findings),
        },
        Exporter => {
            let settings: &[(&str, bool)] = match lower.as_str() {
                "otlp" => &[("enabled", true), ("console", false)],
                "console" => &[("enabled", true), ("console", true)],
                "none" => &[("enabled", false)],
                _ => return ignored(name, text, "`otlp`, `console` or `none`", findings),
            };
            let node = |value| Node::of(Layer::Variable(name), Value::Boolean(value));
            let keyed = settings
                .iter()
                .map(|(key, value)| (Key::new((*key).to_owned()), node(*value)));
            of(Value::Mapping(keyed.collect()))
        }
        Headers => headers(name, text, findings),
        Attributes => attributes(name, text, findings),
        Sampler => sampler(name, text, variables, findings),
        // `logs/dup` takes precedence over `logs`, and what is not known says nothing (semantic conventions for exceptions).
        Exceptions => ["logs/dup", "logs"]
            .into_iter()
            .find(|word| lower.split(',').any(|found| found.trim() == *word))
            .and_then(|word| of(Value::Text(word.to_owned()))),
    }
}

fn ignored(name: &str, text: &str, wanted: &str, findings: &mut Findings) -> Option<Node> {
    findings.push(Place::named(name).warning(
        diagnostic::WRONG_VARIABLE,
        format!("{} is not {wanted}; the variable is ignored", shown(text)),
        format!("set it to {wanted}, or unset the variable"),
    ));
    None
}

/// The one sampler of the process: it takes the place of the manifest's ratios, rules and limit. Its probabilities are consistent ones, which
/// `TraceIdRatioBased` as it was first built is not with anybody else's.
fn sampler(name: &'static str, text: &str, variables: &[Variable], findings: &mut Findings) -> Option<Node> {
    let word = text.to_ascii_lowercase();
    let (sampler, parent) = match word.strip_prefix("parentbased_") {
        Some(sampler) => (sampler, "follow"),
        None => (word.as_str(), "ignore"),
    };
    let node = |value| Node::of(Layer::Variable(name), value);
    let ratio = match sampler {
        "always_on" => node(Value::Float(1.0)),
        "always_off" => node(Value::Float(0.0)),
        "traceidratio" => match value(variables, SAMPLER_ARGUMENT) {
            None => node(Value::Float(1.0)),
            Some(argument) => ratio(argument, findings),
        },
        _ => {
            findings.push(Place::named(name).warning(
                diagnostic::WRONG_VARIABLE,
                format!("{} is no sampler that is known; the variable is ignored", shown(text)),
                "set it to always_on, always_off, traceidratio, or one of these after parentbased_, or unset it",
            ));
            return None;
        }
    };
    let mut settings: Vec<(&str, Node)> = Mode::WORDS.map(|mode| (mode, ratio.clone())).to_vec();
    settings.push(("parent", node(Value::Text(parent.to_owned()))));
    settings.push(("rules", node(Value::List(Vec::new()))));
    settings.push(("max_traces_per_second", node(Value::Null)));
    if sampler == "always_off" {
        // No span is no span.
        settings.push(("keep_failed", node(Value::Boolean(false))));
    }
    let keyed = settings
        .into_iter()
        .map(|(key, node)| (Key::new(key.to_owned()), node));
    Some(node(Value::Mapping(keyed.collect())))
}

fn ratio(argument: &str, findings: &mut Findings) -> Node {
    let ratio = argument.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    if ratio.is_none() {
        findings.push(Place::named(SAMPLER_ARGUMENT).warning(
            diagnostic::WRONG_VARIABLE,
            format!(
                "{} is not a number from 0 to 1; every trace is kept",
                shown(argument)
            ),
            format!("set {SAMPLER_ARGUMENT} to a probability, or unset it"),
        ));
    }
    Node::of(
        Layer::Variable(SAMPLER_ARGUMENT),
        Value::Float(ratio.unwrap_or(1.0)),
    )
}

/// What a member of a variable holds, empty where it is not there.
pub fn member(variables: &[Variable], member: &Member) -> String {
    let pairs = value(variables, &member.variable).unwrap_or_default().split(',');
    let found = pairs
        .filter_map(|pair| pair.split_once('='))
        .rfind(|(key, _)| key.trim().eq_ignore_ascii_case(&member.key));
    found.map_or_else(String::new, |(_, value)| {
        percent_decode_str(value.trim()).decode_utf8_lossy().into_owned()
    })
}

/// Headers: names are read here; values stay in the variable. To ignore one would be to send without credentials, so that is an error.
fn headers(name: &'static str, text: &str, findings: &mut Findings) -> Option<Node> {
    let mut entries: Vec<(Key, Node)> = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let problem = match pair.split_once('=') {
            None => Some("a member has no `=`".to_owned()),
            Some((key, value)) => match (
                checked_name(key.trim()),
                percent_decode_str(value.trim()).decode_utf8(),
            ) {
                (Err(reason), _) => Some(format!("a member has no name of a header: {reason}")),
                (_, Ok(value)) if is_printable(&value) && !value.is_empty() => None,
                (Ok(key), _) => Some(format!(
                    "the value of {} is not one that a header can carry",
                    shown(&key)
                )),
            },
        };
        if let Some(problem) = problem {
            findings.push(Place::named(name).error(
                diagnostic::WRONG_HEADER,
                problem,
                "set it to name1=value1,name2=value2 with percent-encoded values, or unset the variable",
            ));
            return None;
        }
        let key = pair
            .split('=')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let member = Member {
            variable: name.to_owned(),
            key: key.clone(),
        };
        entries.retain(|(found, _)| found.name != key);
        entries.push((
            Key::new(key),
            Node::of(Layer::Variable(name), Value::Member(member)),
        ));
    }
    Some(Node::of(Layer::Variable(name), Value::Mapping(entries)))
}

/// Resource attributes: on any error the whole variable is discarded (Resource SDK, "Specifying resource information via an environment variable").
fn attributes(name: &'static str, text: &str, findings: &mut Findings) -> Option<Node> {
    let mut entries: Vec<(Key, Node)> = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let decoded = pair.split_once('=').and_then(|(key, value)| {
            let key = percent_decode_str(key.trim()).decode_utf8().ok()?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            (!key.is_empty()).then(|| (key.into_owned(), value.into_owned()))
        });
        let Some((key, value)) = decoded else {
            findings.push(Place::named(name).warning(
                diagnostic::WRONG_VARIABLE,
                "a member is not key=value, percent-encoded; the variable is ignored",
                "set it to key1=value1,key2=value2, percent-encoded, or unset the variable",
            ));
            return None;
        };
        entries.retain(|(found, _)| found.name != key);
        entries.push((Key::new(key), Node::of(Layer::Variable(name), Value::Text(value))));
    }
    Some(Node::of(Layer::Variable(name), Value::Mapping(entries)))
}
