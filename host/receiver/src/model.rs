//! What was received, grouped as it is shown: traces of spans and log records, each with where it came from.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use opentelemetry::{SpanId, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

use crate::logs::counted;

/// All that was received of one trace.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The trace's id.
    pub id: TraceId,
    /// Its spans; one that was sent twice is here once, as it was sent last.
    pub spans: HashMap<SpanId, Arc<SpanRecord>>,
    /// Its log records, in the order they came.
    pub logs: Vec<Arc<LogEntry>>,
}

impl Trace {
    /// A trace of which nothing is known yet.
    pub fn new(id: TraceId) -> Self {
        Self {
            id,
            spans: HashMap::new(),
            logs: Vec::new(),
        }
    }

    /// When its first span started.
    pub(crate) fn start(&self) -> u64 {
        let first_span = self
            .spans
            .values()
            .map(|record| record.span.start_time_unix_nano)
            .min();
        first_span
            .or_else(|| self.logs.iter().map(|entry| entry.time()).min())
            .unwrap_or(0)
    }

    /// From the start of its first span to the end of its last.
    pub(crate) fn duration(&self) -> u64 {
        let end = self
            .spans
            .values()
            .map(|record| record.span.end_time_unix_nano)
            .max()
            .unwrap_or(0);
        end.saturating_sub(self.start())
    }
}

/// A span and where it came from.
#[derive(Debug)]
pub struct SpanRecord {
    /// The span as it was sent.
    pub span: Span,
    /// The process that sent it.
    pub origin: Arc<Origin>,
}

impl SpanRecord {
    /// The spans of a request whose ids are valid, each with its ids.
    pub(crate) fn all(
        request: &ExportTraceServiceRequest,
    ) -> impl Iterator<Item = (TraceId, SpanId, Arc<Self>)> {
        request.resource_spans.iter().flat_map(|resource| {
            let origin = Arc::new(Origin::new(resource.resource.as_ref()));
            let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.filter_map(move |span| {
                let ids = trace_id(&span.trace_id).zip(span_id(&span.span_id));
                ids.map(|(trace, id)| {
                    let (span, origin) = (span.clone(), Arc::clone(&origin));
                    (trace, id, Arc::new(Self { span, origin }))
                })
            })
        })
    }

    pub(crate) fn id(&self) -> SpanId {
        span_id(&self.span.span_id).unwrap_or(SpanId::INVALID)
    }

    /// The parent's id, if it has a parent.
    pub(crate) fn parent(&self) -> Option<SpanId> {
        span_id(&self.span.parent_span_id).filter(|id| *id != SpanId::INVALID)
    }

    pub(crate) fn duration(&self) -> u64 {
        self.span
            .end_time_unix_nano
            .saturating_sub(self.span.start_time_unix_nano)
    }

    pub(crate) fn failed(&self) -> bool {
        self.span
            .status
            .as_ref()
            .is_some_and(|status| status.code == StatusCode::Error as i32)
    }
}

/// A log record and where it came from.
#[derive(Debug)]
pub struct LogEntry {
    /// The record as it was sent.
    pub record: LogRecord,
    /// The process that sent it.
    pub origin: Arc<Origin>,
}

impl LogEntry {
    /// The log records of a request, each with its trace if it belongs to one.
    pub(crate) fn all(
        request: &ExportLogsServiceRequest,
    ) -> impl Iterator<Item = (Option<TraceId>, Arc<Self>)> {
        request.resource_logs.iter().flat_map(|resource| {
            let origin = Arc::new(Origin::new(resource.resource.as_ref()));
            let records = resource.scope_logs.iter().flat_map(|scope| &scope.log_records);
            records.map(move |record| {
                let (record, origin) = (record.clone(), Arc::clone(&origin));
                (trace_id(&record.trace_id), Arc::new(Self { record, origin }))
            })
        })
    }

    /// When it happened, or was first seen.
    pub(crate) fn time(&self) -> u64 {
        match self.record.time_unix_nano {
            0 => self.record.observed_time_unix_nano,
            time => time,
        }
    }
}

/// The resource that telemetry came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The process, as far as the resource names it.
    pub process: Process,
    /// All of the resource's attributes.
    pub attributes: Vec<KeyValue>,
}

impl Origin {
    /// What a resource says about itself.
    pub fn new(resource: Option<&Resource>) -> Self {
        let attributes = resource
            .map(|resource| resource.attributes.clone())
            .unwrap_or_default();
        let text = |key| attribute(&attributes, key).map(text).unwrap_or_default();
        let process = Process {
            service: text("service.name"),
            language: text("telemetry.sdk.language"),
            pid: text("process.pid"),
            instance: text("service.instance.id"),
        };
        Self { process, attributes }
    }
}

/// The process that telemetry came from; what its resource does not say is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// `service.name`.
    pub service: String,
    /// `telemetry.sdk.language`.
    pub language: String,
    /// `process.pid`.
    pub pid: String,
    /// `service.instance.id`.
    pub instance: String,
}

impl Process {
    /// `[service language pid]`, without what `parent` has said already; empty if nothing is left to say.
    pub(crate) fn hint(&self, parent: Option<&Process>) -> String {
        let same_service = parent.is_some_and(|parent| parent.service == self.service);
        let same_process =
            parent.is_some_and(|parent| parent.language == self.language && parent.pid == self.pid);
        let mut words = Vec::new();
        if !same_service {
            words.push(self.service.as_str());
        }
        if !same_process {
            words.extend([self.language.as_str(), self.pid.as_str()]);
        }
        words.retain(|word| !word.is_empty());
        if words.is_empty() {
            String::new()
        } else {
            format!("[{}]", words.join(" "))
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = if self.service.is_empty() {
            "unknown service"
        } else {
            &self.service
        };
        let process = Self {
            service: String::new(),
            ..self.clone()
        }
        .hint(None);
        if process.is_empty() {
            f.write_str(service)
        } else {
            write!(f, "{service} {process}")
        }
    }
}

/// A trace id of the right length that is not zero.
pub(crate) fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(TraceId::from_bytes)
        .filter(|id| *id != TraceId::INVALID)
}

/// A span id of the right length.
pub(crate) fn span_id(bytes: &[u8]) -> Option<SpanId> {
    <[u8; 8]>::try_from(bytes).ok().map(SpanId::from_bytes)
}

/// The value of an attribute.
pub(crate) fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a AnyValue> {
    attributes
        .iter()
        .find(|attribute| attribute.key == key)?
        .value
        .as_ref()
}

/// A value as text: strings as they are, the rest much like JSON.
pub(crate) fn text(value: &AnyValue) -> String {
    match &value.value {
        None => String::new(),
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::BytesValue(bytes)) => format!("<{}>", counted(bytes.len(), "byte")),
        Some(Value::ArrayValue(array)) => {
            let values: Vec<_> = array.values.iter().map(text).collect();
            format!("[{}]", values.join(", "))
        }
        Some(Value::KvlistValue(list)) => format!("{{{}}}", pairs(&list.values)),
        // A reference into the string table of a profile; traces, metrics and logs have none.
        Some(Value::StringValueStrindex(index)) => format!("<string {index}>"),
    }
}

/// Attributes as `key=value`, in the order of their names.
pub(crate) fn pairs(attributes: &[KeyValue]) -> String {
    let mut pairs: Vec<_> = attributes
        .iter()
        .map(|attribute| {
            let value = attribute.value.as_ref().map(text).unwrap_or_default();
            format!("{}={value}", attribute.key)
        })
        .collect();
    pairs.sort_unstable();
    pairs.join(", ")
}
