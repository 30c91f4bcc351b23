//! Where a signal goes: an exporter of the plan with all that it refers to.

use std::sync::Arc;
use std::time::Duration;

use floe_telemetry_otlp::{
    BuildError, Collector, Exporter as OtlpExporter, Logs, Metrics, Observer, Runtime, Signal, TlsSource,
    Traces, Transport,
};

use crate::bindings::exports::floe::telemetry::configuration::{Compression, Exporter, Exporters, Protocol};
use crate::error::Problem;
use crate::manifest::Manifest;
use crate::policy::Policy;
use crate::redaction::Redaction;
use crate::reference::ResolvedHeaders;
use crate::tls::TlsFiles;

/// What an exporter of a plan needs, under the manifest's variables. On problems all of them are returned; none holds a secret.
pub fn destination(exporter: &Exporter, manifest: &Manifest) -> Result<Collector, Vec<Problem>> {
    let (headers, tls) = match (
        ResolvedHeaders::new(&exporter.headers, manifest),
        TlsFiles::new(exporter),
    ) {
        (Ok(headers), Ok(tls)) => (headers, tls),
        (headers, tls) => {
            let mut problems = headers.err().unwrap_or_default();
            problems.extend(tls.err());
            return Err(problems);
        }
    };
    Ok(Collector {
        endpoint: exporter.endpoint.clone(),
        transport: match exporter.protocol {
            Protocol::Grpc => Transport::Grpc,
            Protocol::HttpProtobuf => Transport::HttpProtobuf,
        },
        timeout: Duration::from_millis(u64::from(exporter.timeout)),
        gzip: exporter.compression == Compression::Gzip,
        headers: Arc::new(headers),
        tls: tls.map(|files| Arc::new(files) as Arc<dyn TlsSource>),
    })
}

/// Why there is no exporter to a Collector, for people.
pub(crate) fn unbuilt(error: &BuildError) -> Problem {
    Problem::new(
        "FLOE-X002",
        format!("the OTLP exporter cannot be built: {error}"),
        "check the endpoint and the protocol in the manifest",
    )
}

/// The exporters of the signals that have one.
#[derive(Debug)]
pub(crate) struct SignalExporters {
    pub(crate) spans: Option<OtlpExporter<Traces>>,
    pub(crate) metrics: Option<OtlpExporter<Metrics>>,
    pub(crate) logs: Option<OtlpExporter<Logs>>,
}

/// Builds a plan's exporters, which redact by the policy, with who learns of their exports, in the order of the plan. On problems all of them are returned, each once.
pub(crate) fn exporters(
    plan: &Exporters,
    policy: &Policy,
    manifest: &Manifest,
    [spans, metrics, logs]: [Arc<dyn Observer>; 3],
) -> Result<SignalExporters, Vec<Problem>> {
    let runtime = runtime().map_err(|problem| vec![problem])?;
    match (
        exporter(plan.traces.as_ref(), (policy, manifest), &runtime, spans),
        exporter(plan.metrics.as_ref(), (policy, manifest), &runtime, metrics),
        exporter(plan.logs.as_ref(), (policy, manifest), &runtime, logs),
    ) {
        (Ok(spans), Ok(metrics), Ok(logs)) => Ok(SignalExporters { spans, metrics, logs }),
        (spans, metrics, logs) => {
            let mut problems = Vec::new();
            for problem in [spans.err(), metrics.err(), logs.err()]
                .into_iter()
                .flatten()
                .flatten()
            {
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
            Err(problems)
        }
    }
}

fn exporter<S: Signal>(
    plan: Option<&Exporter>,
    (policy, manifest): (&Policy, &Manifest),
    runtime: &Runtime,
    observer: Arc<dyn Observer>,
) -> Result<Option<OtlpExporter<S>>, Vec<Problem>> {
    let Some(plan) = plan else { return Ok(None) };
    let collector = destination(plan, manifest)?;
    OtlpExporter::new(&collector, runtime, observer, Arc::new(Redaction::new(policy)))
        .map(Some)
        .map_err(|error| vec![unbuilt(&error)])
}

/// A runtime for exporters.
pub(crate) fn runtime() -> Result<Runtime, Problem> {
    Runtime::start().map_err(|error| {
        Problem::new(
            "FLOE-X002",
            format!("the export threads cannot be started: {error}"),
            "check how many threads this process may have",
        )
    })
}
