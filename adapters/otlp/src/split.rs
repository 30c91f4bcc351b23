//! Requests in parts: what is too large for one request goes in several.

use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// A part of a request that holds items, or is one.
pub(crate) trait Part: Sized {
    /// Spans, data points or log records.
    fn items(&self) -> u64;

    /// Keeps so many items, of more, and answers a part with the rest, which is of the same resource, scope and metric.
    fn split_off(&mut self, at: u64) -> Self;
}

/// The items of all parts.
pub(crate) fn items<P: Part>(parts: &[P]) -> u64 {
    parts.iter().map(P::items).sum()
}

/// Keeps so many items and answers the rest.
pub(crate) fn split_off<P: Part>(parts: &mut Vec<P>, at: u64) -> Vec<P> {
    let mut left = at;
    let mut whole = 0;
    for part in parts.iter() {
        let items = part.items();
        if items > left {
            break;
        }
        left -= items;
        whole += 1;
    }
    let mut rest = parts.split_off(whole);
    if left > 0
        && let Some(first) = rest.first_mut()
    {
        let behind = first.split_off(left);
        parts.push(std::mem::replace(first, behind));
    }
    rest
}

macro_rules! leaf {
    ($($item:ty),* $(,)?) => { $(
        impl Part for $item {
            fn items(&self) -> u64 {
                1
            }

            /// An item is not split: it goes as a whole with what comes behind.
            fn split_off(&mut self, _: u64) -> Self {
                std::mem::take(self)
            }
        }
    )* };
}

macro_rules! branch {
    ($($group:ident . $parts:ident),* $(,)?) => { $(
        impl Part for $group {
            fn items(&self) -> u64 {
                items(&self.$parts)
            }

            fn split_off(&mut self, at: u64) -> Self {
                let rest = split_off(&mut self.$parts, at);
                let kept = std::mem::replace(&mut self.$parts, rest);
                let behind = self.clone();
                self.$parts = kept;
                behind
            }
        }
    )* };
}

leaf!(
    Span,
    LogRecord,
    NumberDataPoint,
    HistogramDataPoint,
    ExponentialHistogramDataPoint,
    SummaryDataPoint,
);
branch!(
    ResourceSpans.scope_spans,
    ScopeSpans.spans,
    ResourceLogs.scope_logs,
    ScopeLogs.log_records,
    ResourceMetrics.scope_metrics,
    ScopeMetrics.metrics,
    Gauge.data_points,
    Sum.data_points,
    Histogram.data_points,
    ExponentialHistogram.data_points,
    Summary.data_points,
);

impl Part for Metric {
    fn items(&self) -> u64 {
        match &self.data {
            Some(Data::Gauge(gauge)) => gauge.items(),
            Some(Data::Sum(sum)) => sum.items(),
            Some(Data::Histogram(histogram)) => histogram.items(),
            Some(Data::ExponentialHistogram(histogram)) => histogram.items(),
            Some(Data::Summary(summary)) => summary.items(),
            None => 0,
        }
    }

    fn split_off(&mut self, at: u64) -> Self {
        let data = self.data.as_mut().map(|data| match data {
            Data::Gauge(gauge) => Data::Gauge(gauge.split_off(at)),
            Data::Sum(sum) => Data::Sum(sum.split_off(at)),
            Data::Histogram(histogram) => Data::Histogram(histogram.split_off(at)),
            Data::ExponentialHistogram(histogram) => Data::ExponentialHistogram(histogram.split_off(at)),
            Data::Summary(summary) => Data::Summary(summary.split_off(at)),
        });
        let kept = std::mem::replace(&mut self.data, data);
        let behind = self.clone();
        self.data = kept;
        behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Vec<ResourceMetrics> {
        let point = |time| NumberDataPoint {
            time_unix_nano: time,
            ..NumberDataPoint::default()
        };
        let metric = |name: &str, times: std::ops::Range<u64>| Metric {
            name: name.to_owned(),
            data: Some(Data::Gauge(Gauge {
                data_points: times.map(point).collect(),
            })),
            ..Metric::default()
        };
        vec![ResourceMetrics {
            schema_url: "resource".to_owned(),
            scope_metrics: vec![
                ScopeMetrics {
                    schema_url: "a".to_owned(),
                    metrics: vec![metric("x", 0..3), metric("y", 3..5)],
                    ..ScopeMetrics::default()
                },
                ScopeMetrics {
                    schema_url: "b".to_owned(),
                    metrics: vec![metric("z", 5..6)],
                    ..ScopeMetrics::default()
                },
            ],
            ..ResourceMetrics::default()
        }]
    }

    /// Resource, scope, metric and time of each point, in order.
    fn points(parts: &[ResourceMetrics]) -> Vec<(String, u64)> {
        let scopes = parts
            .iter()
            .flat_map(|resource| resource.scope_metrics.iter().map(move |scope| (resource, scope)));
        let metrics = scopes.flat_map(|(resource, scope)| {
            let where_ = format!("{} {}", resource.schema_url, scope.schema_url);
            scope.metrics.iter().map(move |metric| (where_.clone(), metric))
        });
        metrics
            .flat_map(|(where_, metric)| {
                let Some(Data::Gauge(gauge)) = &metric.data else {
                    return Vec::new();
                };
                let of =
                    |point: &NumberDataPoint| (format!("{where_} {}", metric.name), point.time_unix_nano);
                gauge.data_points.iter().map(of).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn nothing_is_lost_wherever_it_is_split() {
        let all = points(&metrics());
        for at in 0..=7 {
            let mut kept = metrics();
            let rest = split_off(&mut kept, at);
            assert_eq!(items(&kept), at.min(6));
            let mut both = points(&kept);
            both.extend(points(&rest));
            assert_eq!(both, all, "{at}");
        }
    }
}
