//! Metrics as they stand: the data points of every stream, aggregated to one reading for each metric and set
//! of attributes.
//!
//! Cumulative points replace one another and delta points add up, within the stream that they belong to:
//! a process, a scope and, for what counts from zero again after a reset, a start time. Counters and
//! distributions of several processes are one reading; a gauge or an up-down counter has one for each process.

use std::collections::{BTreeMap, HashMap};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, Metric, NumberDataPoint, SummaryDataPoint, metric::Data,
    number_data_point::Value,
};

use crate::model::{Origin, Process, pairs};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// The last of what was measured.
    Gauge,
    /// A distribution, in explicit or exponential buckets.
    Histogram,
    /// A distribution in quantiles, from older systems.
    Summary,
}

/// A number as it was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number; wide enough for any sum of what can be sent.
    Int(i128),
    /// Any other number.
    Double(f64),
}

impl Number {
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Self::Int(a.saturating_add(b)),
            (a, b) => Self::Double(a.as_f64() + b.as_f64()),
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// What a metric says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// Of a counter, an up-down counter or a gauge.
    Number(Number),
    /// Of a histogram or a summary.
    Distribution {
        /// How many measurements.
        count: u64,
        /// Their sum, if it was sent.
        sum: Option<f64>,
        /// The smallest, if it was sent.
        min: Option<f64>,
        /// The largest, if it was sent.
        max: Option<f64>,
    },
}

impl Reading {
    /// Both together; a metric that changed its kind keeps the later reading.
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a.plus(b)),
            (
                Self::Distribution { count, sum, min, max },
                Self::Distribution {
                    count: count_b,
                    sum: sum_b,
                    min: min_b,
                    max: max_b,
                },
            ) => Self::Distribution {
                count: count.saturating_add(count_b),
                sum: both(sum, sum_b, |a, b| a + b),
                min: both(min, min_b, f64::min),
                max: both(max, max_b, f64::max),
            },
            (_, later) => later,
        }
    }
}

/// What only one of two knows is not known of both.
fn both(a: Option<f64>, b: Option<f64>, join: impl Fn(f64, f64) -> f64) -> Option<f64> {
    Some(join(a?, b?))
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// The metric's name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What it is.
    pub kind: Kind,
    /// The attributes, as `key=value, key=value`.
    pub attributes: String,
    /// The process, where each has a reading of its own.
    pub process: Option<Process>,
    /// What it says.
    pub reading: Reading,
}

/// All metrics that were received, bounded.
#[derive(Debug, Clone)]
pub struct Metrics {
    series: BTreeMap<Series, HashMap<Stream, Point>>,
    streams: usize,
    limit: usize,
    dropped: u64,
}

/// What has one reading.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    name: String,
    attributes: String,
    process: Option<Process>,
    kind: Kind,
    unit: String,
}

/// What sends points that follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Stream {
    process: Process,
    scope: String,
    /// Where it matters: a cumulative count that starts anew counts on from what it was.
    start: u64,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    start: u64,
    time: u64,
    reading: Reading,
}

impl Metrics {
    /// Nothing yet, and never more than `limit` streams.
    pub fn new(limit: usize) -> Self {
        Self {
            series: BTreeMap::new(),
            streams: 0,
            limit,
            dropped: 0,
        }
    }

    /// How many data points belonged to streams beyond the limit.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the data points of one request.
    pub fn record(&mut self, request: &ExportMetricsServiceRequest) {
        for resource in &request.resource_metrics {
            let origin = Origin::new(resource.resource.as_ref());
            for scope in &resource.scope_metrics {
                let name = scope
                    .scope
                    .as_ref()
                    .map(|scope| scope.name.as_str())
                    .unwrap_or_default();
                for metric in &scope.metrics {
                    self.record_metric(&origin.process, name, metric);
                }
            }
        }
    }

    /// One row for each reading, by name and attributes.
    pub fn rows(&self) -> Vec<MetricRow> {
        let rows = self.series.iter().filter_map(|(series, streams)| {
            let reading = streams
                .values()
                .map(|point| point.reading)
                .reduce(Reading::plus)?;
            Some(MetricRow {
                name: series.name.clone(),
                unit: series.unit.clone(),
                kind: series.kind,
                attributes: series.attributes.clone(),
                process: series.process.clone(),
                reading,
            })
        });
        rows.collect()
    }

    fn record_metric(&mut self, process: &Process, scope: &str, metric: &Metric) {
        let mut add = |kind, delta, attributes: &[KeyValue], point| {
            let shared = matches!(kind, Kind::Counter | Kind::Histogram | Kind::Summary);
            let series = Series {
                name: metric.name.clone(),
                attributes: pairs(attributes),
                process: (!shared).then(|| process.clone()),
                kind,
                unit: metric.unit.clone(),
            };
            self.add(series, process, scope, delta, point);
        };
        match &metric.data {
            None => {}
            Some(Data::Gauge(gauge)) => {
                for point in &gauge.data_points {
                    let Some(read) = number_point(point) else { continue };
                    add(Kind::Gauge, false, &point.attributes, read);
                }
            }
            Some(Data::Sum(sum)) => {
                let kind = if sum.is_monotonic {
                    Kind::Counter
                } else {
                    Kind::UpDownCounter
                };
                for point in &sum.data_points {
                    let Some(read) = number_point(point) else { continue };
                    add(
                        kind,
                        is_delta(sum.aggregation_temporality),
                        &point.attributes,
                        read,
                    );
                }
            }
            Some(Data::Histogram(histogram)) => {
                for point in histogram.data_points.iter().filter(|point| recorded(point.flags)) {
                    let reading = distribution(point.count, point.sum, point.min, point.max);
                    let read = Point {
                        start: point.start_time_unix_nano,
                        time: point.time_unix_nano,
                        reading,
                    };
                    let delta = is_delta(histogram.aggregation_temporality);
                    add(Kind::Histogram, delta, &point.attributes, read);
                }
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                for point in histogram.data_points.iter().filter(|point| recorded(point.flags)) {
                    let reading = distribution(point.count, point.sum, point.min, point.max);
                    let read = Point {
                        start: point.start_time_unix_nano,
                        time: point.time_unix_nano,
                        reading,
                    };
                    let delta = is_delta(histogram.aggregation_temporality);
                    add(Kind::Histogram, delta, &point.attributes, read);
                }
            }
            Some(Data::Summary(summary)) => {
                for point in summary.data_points.iter().filter(|point| recorded(point.flags)) {
                    add(Kind::Summary, false, &point.attributes, summary_point(point));
                }
            }
        }
    }

    fn add(&mut self, series: Series, process: &Process, scope: &str, delta: bool, point: Point) {
        let resets = !delta && matches!(series.kind, Kind::Counter | Kind::Histogram | Kind::Summary);
        let stream = Stream {
            process: process.clone(),
            scope: scope.to_owned(),
            start: if resets { point.start } else { 0 },
        };
        let known = self
            .series
            .get_mut(&series)
            .and_then(|streams| streams.get_mut(&stream));
        match known {
            // A request that was sent again, because its answer was lost, counts once.
            Some(last) if delta && (last.start, last.time) == (point.start, point.time) => {}
            Some(last) if delta => {
                *last = Point {
                    reading: last.reading.plus(point.reading),
                    ..point
                }
            }
            Some(last) if point.time >= last.time => *last = point,
            Some(_) => {}
            None if self.streams >= self.limit => self.dropped += 1,
            None => {
                self.streams += 1;
                self.series.entry(series).or_default().insert(stream, point);
            }
        }
    }
}

fn is_delta(temporality: i32) -> bool {
    temporality == AggregationTemporality::Delta as i32
}

fn recorded(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 == 0
}

fn number_point(point: &NumberDataPoint) -> Option<Point> {
    let value = match point.value.filter(|_| recorded(point.flags))? {
        Value::AsInt(value) => Number::Int(value.into()),
        Value::AsDouble(value) => Number::Double(value),
    };
    Some(Point {
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        reading: Reading::Number(value),
    })
}

fn distribution(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> Reading {
    Reading::Distribution { count, sum, min, max }
}

fn summary_point(point: &SummaryDataPoint) -> Point {
    let quantile = |wanted: f64| {
        let found = point
            .quantile_values
            .iter()
            .find(|quantile| quantile.quantile == wanted);
        found.map(|quantile| quantile.value)
    };
    Point {
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        reading: distribution(point.count, Some(point.sum), quantile(0.0), quantile(1.0)),
    }
}
