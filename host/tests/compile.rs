//! A compile and its stages: by closure, by future and by hand.

#[path = "common/provider.rs"]
mod provider;
#[path = "common/receiver.rs"]
mod receiver;

use std::collections::BTreeMap;
use std::num::ParseIntError;

use floe_telemetry::Outcome;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

fn parse(text: &str) -> Result<u32, ParseIntError> {
    text.parse()
}

#[test]
fn stages_are_below_their_compile_and_end_as_they_do() {
    let receiver = receiver::Running::start();
    let telemetry = provider::provider("enabled: true", &receiver.endpoint("grpc"), "grpc");
    let failed = telemetry.compile("closure").run(|compile| {
        compile.stage("load").run(|_| parse("42"))?;
        compile.stage("parse").run(|_| parse("x"))
    });
    assert!(failed.is_err());

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let done = telemetry
            .compile("future")
            .run_async(async |compile| {
                tokio::task::yield_now().await;
                compile
                    .stage("parse async")
                    .run_async(async |stage| {
                        tokio::task::yield_now().await;
                        stage.fact("bytes", 17);
                        parse("42")
                    })
                    .await
            })
            .await;
        assert_eq!(done, Ok(42));
        let never = telemetry
            .compile("cancelled")
            .run_async(async |_| std::future::pending::<Result<(), ParseIntError>>().await);
        let time = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(time, never).await.is_err());
    });

    let compile = telemetry.compile("guard").begin();
    assert_eq!(compile.stage("by hand").begin().end("success"), Outcome::Success);
    assert_eq!(compile.end("success"), Outcome::Success);
    telemetry.shutdown().unwrap();

    let received = receiver.stop();
    let spans = received.traces.iter().flat_map(|trace| trace.spans.values());
    let ids: BTreeMap<_, _> = spans
        .clone()
        .map(|record| (record.span.span_id.clone(), record.span.name.clone()))
        .collect();
    let found: BTreeMap<String, (String, String)> = spans
        .map(|record| {
            let outcome = record
                .span
                .attributes
                .iter()
                .find(|pair| pair.key == "floe.outcome");
            let outcome = match outcome.and_then(|pair| pair.value.clone()?.value) {
                Some(Value::StringValue(text)) => text,
                _ => String::new(),
            };
            let parent = ids.get(&record.span.parent_span_id).cloned().unwrap_or_default();
            (record.span.name.clone(), (parent, outcome))
        })
        .collect();
    let expected = [
        ("floe.compile closure", "", "error"),
        ("floe.compile.stage load", "floe.compile closure", "success"),
        ("floe.compile.stage parse", "floe.compile closure", "error"),
        ("floe.compile future", "", "success"),
        ("floe.compile.stage parse async", "floe.compile future", "success"),
        ("floe.compile cancelled", "", "cancelled"),
        ("floe.compile guard", "", "success"),
        ("floe.compile.stage by hand", "floe.compile guard", "success"),
    ];
    let expected: BTreeMap<String, (String, String)> = expected
        .into_iter()
        .map(|(name, parent, outcome)| (name.to_owned(), (parent.to_owned(), outcome.to_owned())))
        .collect();
    assert_eq!(found, expected);
}
