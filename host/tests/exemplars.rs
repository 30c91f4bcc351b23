//! Measurements of operations lead to the spans that they were made in.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod receiver;

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

use floe_telemetry::OperationKind;
use floe_telemetry_receiver::{Batch, Sink};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

/// Span ids and values, by metric.
type Exemplars = HashMap<String, Vec<(Vec<u8>, Value)>>;

#[derive(Default)]
struct Found(Mutex<Exemplars>);

impl Sink for Found {
    fn accept(&self, batch: &Batch) -> io::Result<()> {
        let Batch::Metrics(request) = batch else {
            return Ok(());
        };
        let resources = request.resource_metrics.iter();
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let exemplars: Vec<_> = match metric.data.as_ref().unwrap() {
                Data::Sum(sum) => sum
                    .data_points
                    .iter()
                    .flat_map(|point| point.exemplars.clone())
                    .collect(),
                Data::Histogram(histogram) => histogram
                    .data_points
                    .iter()
                    .flat_map(|point| point.exemplars.clone())
                    .collect(),
                _ => Vec::new(),
            };
            let found = exemplars
                .into_iter()
                .map(|exemplar| (exemplar.span_id, exemplar.value.unwrap()));
            let mut all = self.0.lock().unwrap();
            all.entry(metric.name.clone()).or_default().extend(found);
        }
        Ok(())
    }
}

fn measured(sampling: &str) -> (Vec<Vec<u8>>, Exemplars) {
    let receiver = receiver::Running::giving(Found::default());
    let telemetry = provider::provider(sampling, &receiver.endpoint("grpc"), "grpc");
    let ids = ["first", "second", "third"].map(|name| {
        let operation = telemetry.operation(OperationKind::PipelineRun, name).begin();
        let id = operation.context().span().span_context().span_id();
        operation.end(if name == "third" { "failure" } else { "success" });
        id.to_bytes().to_vec()
    });
    telemetry.shutdown().unwrap();
    let found = receiver.end();
    let found = found.0.lock().unwrap().clone();
    (ids.to_vec(), found)
}

#[test]
fn a_point_has_the_last_span_that_it_was_measured_in() {
    let (ids, found) = measured("sampling: {dev: 1.0}");
    let durations = found.get("floe.pipeline.duration").unwrap();
    assert_eq!(durations.len(), 3);
    for id in &ids {
        assert!(durations.iter().any(|(found, _)| found == id));
    }
    let errors = found.get("floe.errors").unwrap();
    assert_eq!(errors, &[(ids.last().unwrap().clone(), Value::AsDouble(1.0))]);
}

#[test]
fn what_is_not_sampled_is_no_exemplar() {
    let (_, found) = measured("sampling: {dev: 0.0}");
    assert!(found.contains_key("floe.pipeline.duration"));
    assert!(found.values().all(Vec::is_empty));
}
