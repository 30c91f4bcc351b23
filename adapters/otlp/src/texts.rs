//! The texts of a request, wherever they stand, for who redacts them before they leave.

use std::fmt::Debug;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Who redacts what leaves. It is asked on the export thread and cannot fail: what it cannot judge it masks.
pub trait Redactor: Debug + Send + Sync {
    /// Redacts a request in place.
    fn redact(&self, request: &mut dyn Texts);
}

/// A request as the texts that it holds.
pub trait Texts {
    /// Shows each text to a visitor, always in the same order.
    fn visit(&mut self, visitor: &mut dyn Visitor);
}

/// Who looks at texts and may change them.
pub trait Visitor {
    /// A text: a name, a key, a message, or the value of an attribute.
    fn text(&mut self, text: &mut String);

    /// Whether the values of this key are secret. Each text in them then goes to [`Self::secret`].
    fn is_secret(&mut self, key: &str) -> bool;

    /// A text that is secret whatever it holds.
    fn secret(&mut self, text: &mut String);
}

impl Texts for ExportTraceServiceRequest {
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        for of_resource in &mut self.resource_spans {
            resource(&mut of_resource.resource, visitor);
            visitor.text(&mut of_resource.schema_url);
            for of_scope in &mut of_resource.scope_spans {
                scope(&mut of_scope.scope, visitor);
                visitor.text(&mut of_scope.schema_url);
                for span in &mut of_scope.spans {
                    visitor.text(&mut span.name);
                    if let Some(status) = &mut span.status {
                        visitor.text(&mut status.message);
                    }
                    attributes(&mut span.attributes, visitor);
                    for event in &mut span.events {
                        visitor.text(&mut event.name);
                        attributes(&mut event.attributes, visitor);
                    }
                    for link in &mut span.links {
                        attributes(&mut link.attributes, visitor);
                    }
                }
            }
        }
    }
}

impl Texts for ExportLogsServiceRequest {
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        for of_resource in &mut self.resource_logs {
            resource(&mut of_resource.resource, visitor);
            visitor.text(&mut of_resource.schema_url);
            for of_scope in &mut of_resource.scope_logs {
                scope(&mut of_scope.scope, visitor);
                visitor.text(&mut of_scope.schema_url);
                for record in &mut of_scope.log_records {
                    visitor.text(&mut record.event_name);
                    visitor.text(&mut record.severity_text);
                    if let Some(body) = &mut record.body {
                        value(body, false, visitor);
                    }
                    attributes(&mut record.attributes, visitor);
                }
            }
        }
    }
}

impl Texts for ExportMetricsServiceRequest {
    fn visit(&mut self, visitor: &mut dyn Visitor) {
        for of_resource in &mut self.resource_metrics {
            resource(&mut of_resource.resource, visitor);
            visitor.text(&mut of_resource.schema_url);
            for of_scope in &mut of_resource.scope_metrics {
                scope(&mut of_scope.scope, visitor);
                visitor.text(&mut of_scope.schema_url);
                for metric in &mut of_scope.metrics {
                    visitor.text(&mut metric.name);
                    visitor.text(&mut metric.description);
                    visitor.text(&mut metric.unit);
                    attributes(&mut metric.metadata, visitor);
                    points(metric, visitor);
                }
            }
        }
    }
}

fn points(metric: &mut Metric, visitor: &mut dyn Visitor) {
    let mut point = |own: &mut Vec<KeyValue>, exemplars: &mut [Exemplar]| {
        attributes(own, visitor);
        for exemplar in exemplars {
            attributes(&mut exemplar.filtered_attributes, visitor);
        }
    };
    match &mut metric.data {
        Some(Data::Gauge(gauge)) => {
            for found in &mut gauge.data_points {
                point(&mut found.attributes, &mut found.exemplars);
            }
        }
        Some(Data::Sum(sum)) => {
            for found in &mut sum.data_points {
                point(&mut found.attributes, &mut found.exemplars);
            }
        }
        Some(Data::Histogram(histogram)) => {
            for found in &mut histogram.data_points {
                point(&mut found.attributes, &mut found.exemplars);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            for found in &mut histogram.data_points {
                point(&mut found.attributes, &mut found.exemplars);
            }
        }
        Some(Data::Summary(summary)) => {
            for found in &mut summary.data_points {
                point(&mut found.attributes, &mut []);
            }
        }
        None => {}
    }
}

fn resource(resource: &mut Option<Resource>, visitor: &mut dyn Visitor) {
    if let Some(resource) = resource {
        attributes(&mut resource.attributes, visitor);
    }
}

fn scope(scope: &mut Option<InstrumentationScope>, visitor: &mut dyn Visitor) {
    if let Some(scope) = scope {
        visitor.text(&mut scope.name);
        visitor.text(&mut scope.version);
        attributes(&mut scope.attributes, visitor);
    }
}

fn attributes(attributes: &mut [KeyValue], visitor: &mut dyn Visitor) {
    pairs(attributes, false, visitor);
}

fn pairs(pairs: &mut [KeyValue], secret: bool, visitor: &mut dyn Visitor) {
    for pair in pairs {
        if let Some(found) = &mut pair.value {
            let secret = secret || visitor.is_secret(&pair.key);
            value(found, secret, visitor);
        }
        visitor.text(&mut pair.key);
    }
}

fn value(found: &mut AnyValue, secret: bool, visitor: &mut dyn Visitor) {
    match &mut found.value {
        Some(Value::StringValue(text)) if secret => visitor.secret(text),
        Some(Value::StringValue(text)) => visitor.text(text),
        Some(Value::BytesValue(bytes)) => {
            // Bytes may be text, and then go out as what is left of it.
            let mut text = String::from_utf8_lossy(bytes).into_owned();
            if secret {
                visitor.secret(&mut text);
            } else if std::str::from_utf8(bytes).is_ok() {
                visitor.text(&mut text);
            } else {
                return;
            }
            *bytes = text.into_bytes();
        }
        Some(Value::ArrayValue(array)) => {
            for each in &mut array.values {
                value(each, secret, visitor);
            }
        }
        Some(Value::KvlistValue(list)) => pairs(&mut list.values, secret, visitor),
        // Numbers and booleans are no text.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    use super::*;

    /// Puts a letter before each text, by what it is said to be.
    struct Marking;

    impl Visitor for Marking {
        fn text(&mut self, text: &mut String) {
            text.insert(0, 't');
        }

        fn is_secret(&mut self, key: &str) -> bool {
            key == "secret"
        }

        fn secret(&mut self, text: &mut String) {
            text.insert(0, 's');
        }
    }

    fn of(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn pair(key: &str, value: AnyValue) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(value),
            ..KeyValue::default()
        }
    }

    #[test]
    fn what_is_below_a_secret_key_is_secret() {
        let text = |text: &str| of(Value::StringValue(text.to_owned()));
        let inner = Value::KvlistValue(KeyValueList {
            values: vec![pair("plain", text("1")), pair("secret", text("2"))],
        });
        let list = Value::ArrayValue(ArrayValue {
            values: vec![
                of(inner.clone()),
                of(Value::BytesValue(b"3".to_vec())),
                of(Value::BytesValue(vec![255])),
                of(Value::IntValue(4)),
            ],
        });
        let mut found = vec![pair("open", of(list.clone())), pair("secret", of(list))];
        attributes(&mut found, &mut Marking);
        let shown = format!("{found:?}");
        for (expected, times) in [
            ("\"topen\"", 1),
            ("\"tsecret\"", 3),
            ("\"t1\"", 1),
            ("\"s1\"", 1),
            ("\"s2\"", 2),
            ("BytesValue([116, 51])", 1),
            ("BytesValue([115, 51])", 1),
            ("BytesValue([255])", 1),
            ("IntValue(4)", 2),
        ] {
            assert_eq!(shown.matches(expected).count(), times, "{expected}: {shown}");
        }
    }
}
