use std::fs;

use floe_telemetry_receiver::{Batch, JsonLines, Sink as _};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Metric, exponential_histogram_data_point::Buckets,
    metric::Data,
};
use serde_json::{Value as Json, json};

use crate::fixtures::*;

fn line(batch: &Batch) -> Json {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.jsonl");
    JsonLines::to_file(&path).unwrap().accept(batch).unwrap();
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one line");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_span_is_otlp_json() {
    let mut sent = failed(span(2, 1, "step", 0, 1), "no", &[]);
    let attribute = |key: &str, value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    sent.kind = 2;
    sent.attributes = vec![
        attribute("int", Value::IntValue(i64::MAX)),
        attribute("empty", Value::StringValue(String::new())),
        attribute("bytes", Value::BytesValue(vec![1, 2, 255])),
        attribute("infinite", Value::DoubleValue(f64::NEG_INFINITY)),
    ];
    let json = line(&spans(resource("s", "rust", 7), vec![sent]));
    let resource = &json["resourceSpans"][0];
    assert_eq!(
        resource["resource"]["attributes"][2],
        json!({"key": "process.pid", "value": {"intValue": "7"}})
    );
    assert_eq!(
        resource["scopeSpans"][0]["spans"][0],
        json!({
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
            "spanId": "0000000000000002",
            "parentSpanId": "0000000000000001",
            "name": "step",
            "kind": 2,
            "startTimeUnixNano": "1767268800000000000",
            "endTimeUnixNano": "1767268800001000000",
            "attributes": [
                {"key": "int", "value": {"intValue": "9223372036854775807"}},
                {"key": "empty", "value": {"stringValue": ""}},
                {"key": "bytes", "value": {"bytesValue": "AQL/"}},
                {"key": "infinite", "value": {"doubleValue": "-Infinity"}},
            ],
            "status": {"code": 2, "message": "no"},
        })
    );
}

#[test]
fn a_log_record_without_a_trace_has_no_ids() {
    let json = line(&logs(resource("s", "rust", 7), vec![log(0, 0, 1, 9, "hello")]));
    let record = &json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["timeUnixNano"], "1767268800001000000");
    assert_eq!(record["severityNumber"], 9);
    assert_eq!(record["body"], json!({"stringValue": "hello"}));
    assert_eq!((record.get("traceId"), record.get("spanId")), (None, None));
}

#[test]
fn a_data_point_keeps_what_json_has_no_number_for() {
    let point = ExponentialHistogramDataPoint {
        count: u64::MAX,
        sum: Some(f64::NAN),
        positive: Some(Buckets {
            offset: -3,
            bucket_counts: vec![1, 2],
        }),
        ..Default::default()
    };
    let histogram = ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: 2,
    };
    let sent = Metric {
        name: "m".to_owned(),
        data: Some(Data::ExponentialHistogram(histogram)),
        ..Metric::default()
    };
    let json = line(&metrics(resource("s", "rust", 7), vec![sent]));
    let metric = &json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["exponentialHistogram"];
    assert_eq!(metric["aggregationTemporality"], 2);
    let point = &metric["dataPoints"][0];
    assert_eq!(point["count"], "18446744073709551615");
    assert_eq!(point["sum"], "NaN");
    assert_eq!(point.get("min"), None);
    assert_eq!(
        point["positive"],
        json!({"offset": -3, "bucketCounts": ["1", "2"]})
    );
}

#[test]
fn each_signal_has_its_file_and_files_grow() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("new");
    for _ in 0..2 {
        let files = JsonLines::to_directory(&directory).unwrap();
        files
            .accept(&spans(resource("s", "rust", 7), vec![span(1, 0, "a", 0, 1)]))
            .unwrap();
        files
            .accept(&logs(resource("s", "rust", 7), vec![log(0, 0, 1, 9, "b")]))
            .unwrap();
    }
    let lines = |name: &str| fs::read_to_string(directory.join(name)).unwrap().lines().count();
    assert_eq!(
        [lines("traces.jsonl"), lines("logs.jsonl"), lines("metrics.jsonl")],
        [2, 2, 0]
    );
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("missing").join("all.jsonl");
    let error = JsonLines::to_file(&path).unwrap_err().to_string();
    assert!(error.contains("all.jsonl"), "{error}");
}
