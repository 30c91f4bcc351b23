//! The vectors of the carriers, by the propagator.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::error::Error;

use floe_telemetry::carrier::{
    EnvList, EnvVar, Environment, HeaderExtractor, HeaderInjector, MetadataExtractor, MetadataInjector,
    RunTags,
};
use floe_telemetry::{Component, FloePropagator, Policy};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use serde_json::{Map, Value, json};
use tonic::metadata::MetadataMap;

#[test]
fn vectors() {
    let propagator = FloePropagator::new(Policy::unconfigured(Component::built_in().unwrap()));
    let count = floe_telemetry_vectors::run_carriers(|function, carrier, argument| match function {
        "carriers.inject" => {
            let headers = argument.as_object().ok_or("an object")?;
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect();
            inject(&propagator, carrier, &extracted(&propagator, "http", &headers)?)
        }
        _ => {
            let entries: Vec<(String, String)> = serde_json::from_value(argument.clone())?;
            let context = extracted(&propagator, carrier, &entries)?;
            let headers = inject(&propagator, "http", &context)?;
            let header = |name: &str| headers.get(name).cloned().unwrap_or(json!(""));
            Ok(json!({
                "traceparent": header("traceparent"),
                "tracestate": header("tracestate"),
                "baggage": header("baggage"),
            }))
        }
    });
    assert!(count.unwrap() > 100);
}

fn inject(propagator: &FloePropagator, carrier: &str, context: &Context) -> Result<Value, Box<dyn Error>> {
    Ok(match carrier {
        "http" => {
            let mut headers = HeaderMap::new();
            propagator.inject_context(context, &mut HeaderInjector(&mut headers));
            let pairs = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
            object(pairs)
        }
        "grpc" => {
            let mut metadata = MetadataMap::new();
            propagator.inject_context(context, &mut MetadataInjector(&mut metadata));
            let headers = metadata.into_headers();
            let pairs = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
            object(pairs)
        }
        "environment" => {
            let mut environment = Environment::default();
            propagator.inject_context(context, &mut environment);
            object(
                environment
                    .iter()
                    .map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap())),
            )
        }
        "run-tags" => {
            let mut tags = RunTags::default();
            propagator.inject_context(context, &mut tags);
            json!(tags.0)
        }
        "env-list" => {
            let mut list = EnvList::default();
            propagator.inject_context(context, &mut list);
            json!(list)
        }
        other => return Err(format!("no carrier {other}").into()),
    })
}

fn object<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    Value::Object(
        pairs
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect::<Map<_, _>>(),
    )
}

fn extracted(
    propagator: &FloePropagator,
    carrier: &str,
    entries: &[(String, String)],
) -> Result<Context, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    if matches!(carrier, "http" | "grpc") {
        for (name, value) in entries {
            headers.append(
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_str(value)?,
            );
        }
    }
    let from = |carrier: &dyn Extractor| propagator.extract_with_context(&Context::new(), carrier);
    Ok(match carrier {
        "http" => from(&HeaderExtractor(&headers)),
        "grpc" => from(&MetadataExtractor(&MetadataMap::from_headers(headers))),
        "environment" => from(&entries.iter().cloned().collect::<Environment>()),
        "run-tags" => from(&RunTags(entries.iter().cloned().collect())),
        "env-list" => {
            let entries = entries.iter().map(|(name, value)| EnvVar {
                name: name.clone(),
                value: Some(value.clone()),
                ..EnvVar::default()
            });
            from(&EnvList(entries.collect()).environment())
        }
        other => return Err(format!("no carrier {other}").into()),
    })
}

#[test]
fn a_line_that_is_not_utf8_is_there_all_the_same() {
    let propagator = FloePropagator::new(Policy::unconfigured(Component::built_in().unwrap()));
    let mut headers = HeaderMap::new();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    headers.append("traceparent", HeaderValue::from_static(traceparent));
    headers.append("tracestate", HeaderValue::from_static("foo=1"));
    headers.append("tracestate", HeaderValue::from_bytes(b"bar=\xe9").unwrap());
    headers.append("baggage", HeaderValue::from_bytes(b"a=1,b=\xff,c=3").unwrap());
    let context = propagator.extract_with_context(&Context::new(), &HeaderExtractor(&headers));
    let out = inject(&propagator, "http", &context).unwrap();
    assert_eq!(out, json!({"traceparent": traceparent, "baggage": "a=1,c=3"}));
}

#[test]
fn what_a_container_takes_from_elsewhere_stays() {
    let from_secret = json!({"name": "TRACESTATE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    let mut list: EnvList = serde_json::from_value(json!([
        {"name": "TRACEPARENT", "value": "old"},
        from_secret,
        {"name": "TRACEPARENT", "value": "older"},
    ]))
    .unwrap();
    list.set("traceparent", "new".to_owned());
    list.set("tracestate", "new".to_owned());
    // Whoever sends baggage does not get the container's secrets by it.
    list.set("baggage", "a=$(DB_PASSWORD)".to_owned());
    assert_eq!(list.environment().get("baggage"), Some("a=$(DB_PASSWORD)"));
    assert_eq!(
        json!(list),
        json!([
            {"name": "TRACEPARENT", "value": "new"},
            from_secret,
            {"name": "BAGGAGE", "value": "a=$$(DB_PASSWORD)"},
        ])
    );
}
