use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use floe_telemetry_receiver::{
    Batch, Options, Receiver, ReceiverError, Sink, Snapshot, Store, Style, render,
};
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
    WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Running {
    grpc: SocketAddr,
    http: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ReceiverError>>,
}

async fn start(sink: Arc<dyn Sink>) -> Running {
    let receiver = Receiver::bind(Options {
        grpc: Some(ANY_PORT),
        http: Some(ANY_PORT),
    })
    .await
    .unwrap();
    let (grpc, http) = (receiver.grpc_addr().unwrap(), receiver.http_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(receiver.serve(sink, async {
        let _ = stopped.await;
    }));
    Running {
        grpc,
        http,
        stop,
        ended,
    }
}

impl Running {
    async fn end(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

fn resource() -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "wire"),
            KeyValue::new("floe.mode", "dev"),
        ])
        .build()
}

fn trace_and_log(spans: SpanExporter, logs: LogExporter) {
    let tracers = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_simple_exporter(spans)
        .build();
    let loggers = SdkLoggerProvider::builder()
        .with_resource(resource())
        .with_simple_exporter(logs)
        .build();
    let tracer = tracers.tracer("test");
    let root = Context::new().with_span(tracer.start("root"));
    let mut child = tracer.start_with_context("child", &root);
    child.set_status(Status::error("it broke"));

    let logger = loggers.logger("test");
    let mut record = logger.create_log_record();
    record.set_severity_number(Severity::Warn);
    record.set_body(AnyValue::from("careful"));
    let of_child = child.span_context();
    record.set_trace_context(of_child.trace_id(), of_child.span_id(), None);
    logger.emit(record);

    child.end();
    root.span().end();
    tracers.shutdown().unwrap();
    loggers.shutdown().unwrap();
}

fn assert_shown(snapshot: &Snapshot) {
    let text = render(snapshot, &Style::plain());
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("trace ") && lines[0].contains("2 spans · wire"),
        "{text}"
    );
    assert!(lines[1].starts_with("✓ root"), "{text}");
    assert!(lines[2].starts_with("└─ ✗ child"), "{text}");
    assert!(lines[3].ends_with("  it broke"), "{text}");
    assert!(lines[4].ends_with("WARN   careful"), "{text}");
    assert_eq!(lines[5], "floe.mode=dev", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_with_gzip() {
    let store = Arc::new(Store::default());
    let running = start(store.clone()).await;
    let endpoint = format!("http://{}", running.grpc);
    let spans = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&endpoint)
        .with_compression(Compression::Gzip);
    let logs = LogExporter::builder()
        .with_tonic()
        .with_endpoint(&endpoint)
        .with_compression(Compression::Gzip);
    trace_and_log(spans.build().unwrap(), logs.build().unwrap());

    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(&endpoint)
        .build()
        .unwrap();
    let meters = SdkMeterProvider::builder()
        .with_resource(resource())
        .with_periodic_exporter(exporter)
        .build();
    let meter = meters.meter("test");
    meter
        .u64_counter("floe.errors")
        .build()
        .add(3, &[KeyValue::new("asset", "orders")]);
    meter
        .f64_histogram("floe.pipeline.duration")
        .with_unit("s")
        .build()
        .record(1.5, &[]);
    tokio::task::spawn_blocking(move || meters.shutdown())
        .await
        .unwrap()
        .unwrap();

    running.end().await;
    let snapshot = store.snapshot();
    assert_shown(&snapshot);
    let names: Vec<_> = snapshot.metrics.rows().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["floe.errors", "floe.pipeline.duration"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_with_gzip() {
    let store = Arc::new(Store::default());
    let running = start(store.clone()).await;
    let spans = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("http://{}/v1/traces", running.http))
        .with_compression(Compression::Gzip);
    let logs = LogExporter::builder()
        .with_http()
        .with_endpoint(format!("http://{}/v1/logs", running.http))
        .with_compression(Compression::Gzip);
    trace_and_log(spans.build().unwrap(), logs.build().unwrap());
    running.end().await;
    assert_shown(&store.snapshot());
}

#[tokio::test]
async fn a_port_in_use_says_what_to_do() {
    let taken = Receiver::bind(Options {
        grpc: None,
        http: Some(ANY_PORT),
    })
    .await
    .unwrap();
    assert_eq!(taken.grpc_addr(), None);
    let address = taken.http_addr().unwrap();
    let error = Receiver::bind(Options {
        grpc: Some(ANY_PORT),
        http: Some(address),
    })
    .await
    .unwrap_err();
    assert_eq!(error.code(), "FLOE-R001");
    let text = error.to_string();
    assert!(
        text.contains(&address.to_string()) && text.contains("--http-port"),
        "{text}"
    );
}

#[tokio::test]
async fn nothing_to_receive_is_an_error() {
    let error = Receiver::bind(Options {
        grpc: None,
        http: None,
    })
    .await
    .unwrap_err();
    assert_eq!(error.code(), "FLOE-R003");
}

struct Full;

impl Sink for Full {
    fn accept(&self, _: &Batch) -> io::Result<()> {
        Err(io::Error::other("disk full"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_ends_the_receiver() {
    let running = start(Arc::new(Full)).await;
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", running.grpc))
        .with_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let tracers = SdkTracerProvider::builder()
        .with_simple_exporter(exporter)
        .build();
    tracers.tracer("test").start("lost").end();
    let error = running.ended.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "FLOE-R004");
    assert!(error.to_string().contains("disk full"), "{error}");
}
