//! Context between processes, with and without configuration.

#[path = "common/provider.rs"]
mod provider;

use std::collections::HashMap;

use floe_telemetry::{OperationKind, TelemetryProvider};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::global;
use opentelemetry::trace::{TraceContextExt, TraceId};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn context_crosses_processes() {
    // Without configuration: what came in goes out.
    let idle = TelemetryProvider::disabled();
    let headers = HashMap::from([
        ("traceparent".to_owned(), TRACEPARENT.to_owned()),
        ("tracestate".to_owned(), "foo=1".to_owned()),
        ("baggage".to_owned(), "a=%C3%A9;p=%20x".to_owned()),
    ]);
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
    assert_eq!(
        context.baggage().get("a").map(ToString::to_string).as_deref(),
        Some("é")
    );
    let operation = idle
        .operation(OperationKind::Custom, "work")
        .parent(&context)
        .begin();
    let mut out = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(operation.context(), &mut out));
    assert_eq!(out["traceparent"], TRACEPARENT);
    assert_eq!(
        (out["tracestate"].as_str(), out["baggage"].as_str()),
        ("foo=1", "a=%C3%A9;p=%20x")
    );
    drop(operation);

    // With it: floe's baggage goes along, and a child's environment continues the operation.
    let telemetry = provider::provider("enabled: true", "http://127.0.0.1:9", "grpc");
    let operation = telemetry
        .operation(OperationKind::Custom, "work")
        .parent(&context)
        .begin();
    let environment = telemetry.environment(operation.context());
    let environment: HashMap<_, _> = environment.iter().collect();
    let value = |name: &str| {
        environment[std::ffi::OsStr::new(name)]
            .to_string_lossy()
            .into_owned()
    };
    let span = operation.context().span().span_context().clone();
    assert_eq!(
        span.trace_id(),
        TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736)
    );
    assert_eq!(
        value("TRACEPARENT"),
        format!("00-{}-{}-01", span.trace_id(), span.span_id())
    );
    assert!(value("BAGGAGE").contains("floe.namespace=acme.sales"));
    operation.end("success");
    // There is no Collector.
    assert!(telemetry.shutdown().is_err());
}
