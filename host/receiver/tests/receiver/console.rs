//! The console: the vectors, which both hosts print, and when it prints.

use floe_telemetry_receiver::{Batch, Console, Style, render_trace};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{from_value, json};

use crate::fixtures::*;

#[test]
fn vectors() {
    let count = floe_telemetry_vectors::run_console(|traces, logs| {
        let traces: ExportTraceServiceRequest = from_value(traces.clone())?;
        let logs: ExportLogsServiceRequest = from_value(logs.clone())?;
        let console = Console::new(Style::plain());
        let printed = console.logs(&logs) + &console.spans(&traces) + &console.rest();
        let received = trace([Batch::Traces(traces), Batch::Logs(logs)]);
        assert_eq!(
            printed,
            render_trace(&received, &Style::plain()) + "\n",
            "as `receive` prints"
        );
        Ok(json!(printed.trim_end().lines().collect::<Vec<_>>()))
    });
    assert!(count.expect("every case") >= 8);
}

fn request(all: Vec<Span>) -> ExportTraceServiceRequest {
    match spans(resource("s", "rust", 1), all) {
        Batch::Traces(request) => request,
        other => panic!("{other:?}"),
    }
}

fn records(all: Vec<opentelemetry_proto::tonic::logs::v1::LogRecord>) -> ExportLogsServiceRequest {
    match logs(resource("s", "rust", 1), all) {
        Batch::Logs(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trace_is_printed_when_its_first_span_ends() {
    let console = Console::new(Style::plain());
    assert_eq!(console.spans(&request(vec![span(2, 1, "child", 1, 2)])), "");
    assert_eq!(console.logs(&records(vec![log(TRACE, 2, 1, 9, "within")])), "");
    let other = of_trace(7, span(3, 0, "other", 0, 1));
    let text = console.spans(&request(vec![other]));
    assert!(text.contains("other") && !text.contains("child"), "{text}");
    let text = console.spans(&request(vec![span(1, 0, "root", 0, 3)]));
    assert!(
        text.contains("root") && text.contains("child") && text.contains("within"),
        "{text}"
    );
    // What comes later is printed at the end.
    assert_eq!(console.spans(&request(vec![span(4, 1, "late", 4, 5)])), "");
    assert!(console.rest().contains("late"));
    assert_eq!(console.rest(), "");
}

#[test]
fn a_trace_that_another_process_began_ends_here_as_well() {
    let console = Console::new(Style::plain());
    let remote = Span {
        flags: 0x301,
        ..span(2, 1, "served", 0, 1)
    };
    assert!(console.spans(&request(vec![remote])).contains("served"));
}

#[test]
fn log_records_of_no_trace_are_printed_at_once_and_metrics_at_the_end() {
    let console = Console::new(Style::plain());
    let text = console.logs(&records(vec![log(0, 0, 0, 13, "loose")]));
    assert!(text.contains("WARN   loose"), "{text}");
    console.metrics(&ExportMetricsServiceRequest::default());
    assert_eq!(console.rest(), "");
}

#[test]
fn what_is_held_is_bounded() {
    let console = Console::new(Style::plain());
    let mut printed = String::new();
    for trace in 1..=1_001 {
        printed += &console.spans(&request(vec![of_trace(
            trace,
            span(2, 1, &format!("child {trace}"), 0, 1),
        )]));
    }
    assert!(
        printed.contains("child 1\n") || printed.contains("child 1 "),
        "{printed}"
    );
    assert_eq!(printed.matches("child").count(), 1);
    let children = (2..=10_002).map(|id| span(id, 1, "many", 0, 1)).collect();
    let text = console.spans(&request(children));
    assert_eq!(text.matches("✓ many").count(), 10_001);
}
