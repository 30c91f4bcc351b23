use floe_telemetry_receiver::{
    Batch, Kind, Limits, Number, Reading, Sink as _, Store, Style, render_metrics,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, Sum, Summary, SummaryDataPoint, metric::Data, number_data_point::Value,
    summary_data_point::ValueAtQuantile,
};

use crate::fixtures::*;

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn point(start: u64, time: u64, value: Value, attributes: &[KeyValue]) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(value),
        attributes: attributes.to_vec(),
        ..NumberDataPoint::default()
    }
}

fn counter(temporality: i32, is_monotonic: bool, start: u64, time: u64, value: i64) -> Metric {
    let data_points = vec![point(
        start,
        time,
        Value::AsInt(value),
        &[attribute("asset", "orders")],
    )];
    let sum = Sum {
        data_points,
        aggregation_temporality: temporality,
        is_monotonic,
    };
    metric("floe.errors", "{error}", Data::Sum(sum))
}

fn histogram(temporality: i32, start: u64, time: u64, values: &[f64]) -> Metric {
    let point = HistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: values.len() as u64,
        sum: Some(values.iter().sum()),
        min: values.iter().copied().reduce(f64::min),
        max: values.iter().copied().reduce(f64::max),
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram {
        data_points: vec![point],
        aggregation_temporality: temporality,
    };
    metric("floe.pipeline.duration", "s", Data::Histogram(histogram))
}

fn reading(batches: impl IntoIterator<Item = Batch>) -> Reading {
    let rows = received(batches).metrics.rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].reading
}

fn one(pid: i64, sent: Metric) -> Batch {
    metrics(resource("floe", "python", pid), vec![sent])
}

fn whole(value: i128) -> Reading {
    Reading::Number(Number::Int(value))
}

#[test]
fn cumulative_counters_are_replaced_and_summed_over_processes() {
    let sent = [(1, 0, 1, 5), (1, 0, 2, 8), (2, 0, 1, 100)];
    let sent = sent.map(|(pid, start, time, value)| one(pid, counter(CUMULATIVE, true, start, time, value)));
    assert_eq!(reading(sent), whole(108));
}

#[test]
fn a_cumulative_counter_counts_on_after_a_reset() {
    let sent = [(10, 20, 5), (10, 30, 7), (40, 50, 2)];
    let sent = sent.map(|(start, time, value)| one(1, counter(CUMULATIVE, true, start, time, value)));
    assert_eq!(reading(sent), whole(9));
}

#[test]
fn an_older_cumulative_point_changes_nothing() {
    let sent = [(0, 9, 8), (0, 3, 2)]
        .map(|(start, time, value)| one(1, counter(CUMULATIVE, true, start, time, value)));
    assert_eq!(reading(sent), whole(8));
}

#[test]
fn delta_counters_add_up_and_a_repeated_request_counts_once() {
    let sent = [(0, 1, 5), (1, 2, 8), (1, 2, 8), (2, 3, 1)];
    let sent = sent.map(|(start, time, value)| one(1, counter(DELTA, true, start, time, value)));
    assert_eq!(reading(sent), whole(14));
}

#[test]
fn up_down_counters_and_gauges_have_a_reading_for_each_process() {
    let gauge = |pid, value| {
        let data_points = vec![point(0, 1, Value::AsDouble(value), &[])];
        one(pid, metric("queue", "", Data::Gauge(Gauge { data_points })))
    };
    let snapshot = received([
        one(1, counter(CUMULATIVE, false, 0, 1, 5)),
        one(2, counter(CUMULATIVE, false, 0, 1, -2)),
        gauge(1, 0.5),
        gauge(2, 1.5),
    ]);
    let rows = snapshot.metrics.rows();
    let kinds: Vec<_> = rows.iter().map(|row| (row.kind, row.reading)).collect();
    assert_eq!(
        kinds,
        [
            (Kind::UpDownCounter, whole(5)),
            (Kind::UpDownCounter, whole(-2)),
            (Kind::Gauge, Reading::Number(Number::Double(0.5))),
            (Kind::Gauge, Reading::Number(Number::Double(1.5))),
        ]
    );
}

#[test]
fn histograms_merge_in_both_temporalities() {
    let expected = Reading::Distribution {
        count: 4,
        sum: Some(10.0),
        min: Some(1.0),
        max: Some(4.0),
    };
    let delta = [
        histogram(DELTA, 0, 1, &[1.0, 2.0]),
        histogram(DELTA, 1, 2, &[3.0, 4.0]),
    ];
    assert_eq!(reading(delta.map(|sent| one(1, sent))), expected);
    let cumulative = [
        one(1, histogram(CUMULATIVE, 0, 1, &[2.0])),
        one(1, histogram(CUMULATIVE, 0, 2, &[2.0, 3.0])),
        one(2, histogram(CUMULATIVE, 0, 1, &[1.0, 4.0])),
    ];
    assert_eq!(reading(cumulative), expected);
}

#[test]
fn exponential_histograms_and_summaries_are_distributions() {
    let point = ExponentialHistogramDataPoint {
        count: 3,
        sum: Some(6.0),
        ..Default::default()
    };
    let exponential = ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: DELTA,
    };
    let sent = one(1, metric("m", "s", Data::ExponentialHistogram(exponential)));
    assert_eq!(
        reading([sent]),
        Reading::Distribution {
            count: 3,
            sum: Some(6.0),
            min: None,
            max: None
        }
    );

    let quantile_values = vec![ValueAtQuantile {
        quantile: 1.0,
        value: 4.0,
    }];
    let point = SummaryDataPoint {
        count: 3,
        sum: 6.0,
        quantile_values,
        ..Default::default()
    };
    let sent = one(
        1,
        metric(
            "m",
            "s",
            Data::Summary(Summary {
                data_points: vec![point],
            }),
        ),
    );
    assert_eq!(
        reading([sent]),
        Reading::Distribution {
            count: 3,
            sum: Some(6.0),
            min: None,
            max: Some(4.0)
        }
    );
}

#[test]
fn extreme_values_do_not_overflow() {
    let sent = [1, 2].map(|pid| one(pid, counter(CUMULATIVE, true, 0, 1, i64::MAX)));
    assert_eq!(reading(sent), whole(2 * i128::from(i64::MAX)));
}

#[test]
fn streams_are_bounded_and_what_is_dropped_is_counted() {
    let store = Store::new(Limits {
        streams: 2,
        ..Limits::default()
    });
    for pid in 0..5 {
        store.accept(&one(pid, counter(DELTA, true, 0, 1, 1))).unwrap();
    }
    assert_eq!(store.dropped().points, 3);
}

#[test]
fn the_table() {
    let data_points = vec![point(
        0,
        1,
        Value::AsDouble(0.25),
        &[attribute("pool", "a\u{1b}b")],
    )];
    let snapshot = received([
        one(1, counter(DELTA, true, 0, 1, 3)),
        one(1, histogram(DELTA, 0, 1, &[1.0, 2.5])),
        one(1, metric("queue", "", Data::Gauge(Gauge { data_points }))),
    ]);
    let expected = r"
┌────────────────────────┬─────────┬───────────────────────────────┬───────┬───────┬─────┬─────┬─────┬──────┐
│ metric                 ┆ unit    ┆ attributes                    ┆ value ┆ count ┆ sum ┆ min ┆ max ┆  avg │
╞════════════════════════╪═════════╪═══════════════════════════════╪═══════╪═══════╪═════╪═════╪═════╪══════╡
│ floe.errors            ┆ {error} ┆ asset=orders                  ┆     3 ┆       ┆     ┆     ┆     ┆      │
│ floe.pipeline.duration ┆ s       ┆                               ┆       ┆     2 ┆ 3.5 ┆   1 ┆ 2.5 ┆ 1.75 │
│ queue                  ┆         ┆ pool=a\u{1b}b [floe python 1] ┆  0.25 ┆       ┆     ┆     ┆     ┆      │
└────────────────────────┴─────────┴───────────────────────────────┴───────┴───────┴─────┴─────┴─────┴──────┘
";
    let text = render_metrics(&snapshot.metrics, &Style::plain());
    assert_eq!(text, expected.trim_start());
    let narrow = render_metrics(
        &snapshot.metrics,
        &Style {
            width: Some(80),
            ..Style::plain()
        },
    );
    for line in narrow.lines() {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{narrow}");
    }
}
