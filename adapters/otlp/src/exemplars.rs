//! Exemplars of measurements: the points of the SDK for Rust (0.33) have none, so they are put on on the way out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue as ProtoKeyValue;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric};

/// Most points that have an exemplar between two exports: as many as an instrument has attribute sets at most in the SDK.
const MOST: usize = 2000;

/// The last measurement in a sampled span for each point, since the last export (specification/metrics/sdk.md, `TraceBased`). Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Exemplars {
    last: Arc<Mutex<HashMap<Point, Exemplar>>>,
}

/// An instrument with a set of attributes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Point {
    metric: String,
    attributes: Vec<String>,
}

impl Point {
    fn new(metric: &str, attributes: &[ProtoKeyValue]) -> Self {
        let mut attributes: Vec<String> = attributes
            .iter()
            .map(|pair| format!("{}={:?}", pair.key, pair.value))
            .collect();
        attributes.sort();
        Self {
            metric: metric.to_owned(),
            attributes,
        }
    }
}

impl Exemplars {
    /// A value was measured in a span.
    pub fn offer(
        &self,
        metric: &str,
        value: f64,
        attributes: &[KeyValue],
        span: &SpanContext,
        at: SystemTime,
    ) {
        if !span.is_valid() || !span.is_sampled() {
            return;
        }
        let attributes: Vec<ProtoKeyValue> = attributes.iter().map(Into::into).collect();
        let point = Point::new(metric, &attributes);
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let exemplar = Exemplar {
            time_unix_nano: u64::try_from(since.as_nanos()).unwrap_or_default(),
            span_id: span.span_id().to_bytes().to_vec(),
            trace_id: span.trace_id().to_bytes().to_vec(),
            value: Some(Value::AsDouble(value)),
            ..Exemplar::default()
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() < MOST || last.contains_key(&point) {
            last.insert(point, exemplar);
        }
    }

    /// Puts the exemplars on their points.
    pub(crate) fn fill(&self, request: &mut ExportMetricsServiceRequest) {
        let mut last = std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner));
        if last.is_empty() {
            return;
        }
        let resources = request.resource_metrics.iter_mut();
        let scopes = resources.flat_map(|resource| resource.scope_metrics.iter_mut());
        for metric in scopes.flat_map(|scope| scope.metrics.iter_mut()) {
            fill(metric, &mut last);
        }
    }
}

fn fill(metric: &mut Metric, last: &mut HashMap<Point, Exemplar>) {
    let name = &metric.name;
    match metric.data.as_mut() {
        Some(Data::Sum(sum)) => {
            for point in &mut sum.data_points {
                point
                    .exemplars
                    .extend(last.remove(&Point::new(name, &point.attributes)));
            }
        }
        Some(Data::Histogram(histogram)) => {
            for point in &mut histogram.data_points {
                point
                    .exemplars
                    .extend(last.remove(&Point::new(name, &point.attributes)));
            }
        }
        _ => {}
    }
}
