//! Telemetry made by hand.

use floe_telemetry_receiver::{Batch, Sink as _, Snapshot, Store, Trace};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event};

pub(crate) const MS: u64 = 1_000_000;
/// 2026-01-01T12:00:00Z.
pub(crate) const NOON: u64 = 1_767_268_800_000 * MS;
pub(crate) const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

pub(crate) fn resource(service: &str, language: &str, pid: i64) -> Resource {
    let pid = AnyValue {
        value: Some(Value::IntValue(pid)),
    };
    let attributes = vec![
        attribute("service.name", service),
        attribute("telemetry.sdk.language", language),
        KeyValue {
            key: "process.pid".to_owned(),
            value: Some(pid),
            ..KeyValue::default()
        },
        attribute("floe.namespace", "sales"),
        attribute("floe.product.name", "orders"),
        attribute("floe.mode", "dev"),
    ];
    Resource {
        attributes,
        ..Resource::default()
    }
}

/// A span of [`TRACE`], its times in milliseconds after [`NOON`]; parent 0 is none.
pub(crate) fn span(id: u64, parent: u64, name: &str, start: u64, end: u64) -> Span {
    Span {
        trace_id: TRACE.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if parent == 0 {
            Vec::new()
        } else {
            parent.to_be_bytes().to_vec()
        },
        name: name.to_owned(),
        start_time_unix_nano: NOON + start * MS,
        end_time_unix_nano: NOON + end * MS,
        ..Span::default()
    }
}

pub(crate) fn of_trace(trace: u128, span: Span) -> Span {
    Span {
        trace_id: trace.to_be_bytes().to_vec(),
        ..span
    }
}

pub(crate) fn failed(span: Span, description: &str, exceptions: &[(&str, &str)]) -> Span {
    let events = exceptions.iter().map(|(kind, message)| Event {
        name: "exception".to_owned(),
        attributes: vec![
            attribute("exception.type", kind),
            attribute("exception.message", message),
            attribute(
                "exception.stacktrace",
                "Traceback:\n  a\n  b\n  c\n  d\n  e\n  f\n  g\n",
            ),
        ],
        ..Event::default()
    });
    let status = Status {
        code: 2,
        message: description.to_owned(),
    };
    Span {
        status: Some(status),
        events: events.collect(),
        ..span
    }
}

pub(crate) fn with_outcome(span: Span, outcome: &str) -> Span {
    Span {
        attributes: vec![attribute("floe.outcome", outcome)],
        ..span
    }
}

/// A log record, its time in milliseconds after [`NOON`]; span 0 is none.
pub(crate) fn log(trace: u128, span: u64, at: u64, severity: i32, body: &str) -> LogRecord {
    let id = |bytes: &[u8]| {
        if bytes.iter().all(|byte| *byte == 0) {
            Vec::new()
        } else {
            bytes.to_vec()
        }
    };
    LogRecord {
        trace_id: id(&trace.to_be_bytes()),
        span_id: id(&span.to_be_bytes()),
        time_unix_nano: NOON + at * MS,
        severity_number: severity,
        body: Some(AnyValue {
            value: Some(Value::StringValue(body.to_owned())),
        }),
        ..LogRecord::default()
    }
}

pub(crate) fn spans(resource: Resource, spans: Vec<Span>) -> Batch {
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    let resource_spans = ResourceSpans {
        resource: Some(resource),
        scope_spans,
        ..ResourceSpans::default()
    };
    Batch::Traces(ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    })
}

pub(crate) fn logs(resource: Resource, log_records: Vec<LogRecord>) -> Batch {
    let scope_logs = vec![ScopeLogs {
        log_records,
        ..ScopeLogs::default()
    }];
    let resource_logs = ResourceLogs {
        resource: Some(resource),
        scope_logs,
        ..ResourceLogs::default()
    };
    Batch::Logs(ExportLogsServiceRequest {
        resource_logs: vec![resource_logs],
    })
}

pub(crate) fn metrics(resource: Resource, metrics: Vec<Metric>) -> Batch {
    let scope = Some(InstrumentationScope {
        name: "floe".to_owned(),
        ..InstrumentationScope::default()
    });
    let scope_metrics = vec![ScopeMetrics {
        scope,
        metrics,
        ..ScopeMetrics::default()
    }];
    let resource_metrics = ResourceMetrics {
        resource: Some(resource),
        scope_metrics,
        ..ResourceMetrics::default()
    };
    Batch::Metrics(ExportMetricsServiceRequest {
        resource_metrics: vec![resource_metrics],
    })
}

pub(crate) fn received(batches: impl IntoIterator<Item = Batch>) -> Snapshot {
    let store = Store::default();
    for batch in batches {
        store.accept(&batch).expect("a store takes everything");
    }
    store.snapshot()
}

/// The only trace of `batches`.
pub(crate) fn trace(batches: impl IntoIterator<Item = Batch>) -> Trace {
    let mut traces = received(batches).traces;
    assert_eq!(traces.len(), 1);
    traces.remove(0)
}
