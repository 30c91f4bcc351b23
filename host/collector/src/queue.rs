//! Queue, batches and retries of exporters, as far as each can have them.

use floe_telemetry::bindings::exports::floe::telemetry::types::Signal;
use serde_json::{Map, Value as Json, json};

use crate::component_id::kind;
use crate::fragment::Component;
use crate::object::object;
use crate::sizing::Sizes;
use crate::version::CollectorVersion;

const QUEUE: &str = "sending_queue";
const RETRY: &str = "retry_on_failure";
/// The minor version from which a queue says what it counts.
const SIZER: u64 = 124;

/// Which of the Collector's helpers an exporter is built with, as the sources of its type say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// It has a queue, which can be on disk and make the batches.
    pub(crate) queue: bool,
    retry: bool,
}

impl Abilities {
    /// Those of an exporter. One of a type that is not known here has what its own configuration mentions.
    pub(crate) fn of(exporter: &Component) -> Self {
        let (queue, retry) = match kind(&exporter.id) {
            "otlp" | "otlp_grpc" | "otlphttp" | "otlp_http" | "loadbalancing" | "load_balancing"
            | "clickhouse" | "datadog" | "signalfx" | "splunk_hec" => (true, true),
            "azuremonitor" | "azure_monitor" | "googlecloud" => (true, false),
            "prometheusremotewrite" | "prometheus_remote_write" => (false, true),
            "awsxray" | "debug" => (false, false),
            _ => (
                exporter.config.contains_key(QUEUE),
                exporter.config.contains_key(RETRY),
            ),
        };
        Self { queue, retry }
    }
}

/// Whether nothing is lost when an exporter has no queue: its output goes nowhere but into a log.
pub(crate) fn is_local(exporter: &Component) -> bool {
    kind(&exporter.id) == "debug"
}

/// Adds queue and retries to an exporter that takes these signals. What its backend says of them itself stays.
pub(crate) fn complete(
    exporter: &mut Component,
    signals: &[Signal],
    sizes: &Sizes,
    version: &CollectorVersion,
    storage: Option<&str>,
) {
    let abilities = Abilities::of(exporter);
    if abilities.queue {
        // One number holds for the queues of all its signals.
        let items = signals
            .iter()
            .map(|signal| sizes.queue(*signal))
            .max()
            .unwrap_or_default();
        let mut queue = Map::new();
        queue.insert("enabled".to_owned(), json!(true));
        queue.insert("num_consumers".to_owned(), json!(10));
        if let Some(storage) = storage {
            queue.insert("storage".to_owned(), json!(storage));
        }
        if version.batches_in_queue() {
            queue.insert("sizer".to_owned(), json!("items"));
            queue.insert("queue_size".to_owned(), json!(items));
            queue.insert(
                "batch".to_owned(),
                json!({
                    "flush_timeout": "1s",
                    "min_size": sizes.batch() / 2,
                    "max_size": sizes.batch(),
                }),
            );
        } else {
            queue.insert("queue_size".to_owned(), json!(items.div_ceil(sizes.batch())));
            if version.has(SIZER) {
                // Not every exporter has it as its default.
                queue.insert("sizer".to_owned(), json!("requests"));
            }
        }
        add(&mut exporter.config, QUEUE, queue);
    }
    if abilities.retry {
        // The queue is the bound of what is kept, not the time that something waited: a backend that is away for longer costs what comes last.
        let retry = json!({
            "enabled": true,
            "initial_interval": "1s",
            "max_interval": "30s",
            "max_elapsed_time": "0s",
        });
        add(&mut exporter.config, RETRY, object(retry));
    }
}

/// The processor `batch`, where queues do not make the batches.
pub(crate) fn batch_processor(sizes: &Sizes) -> Json {
    json!({
        "timeout": "1s",
        "send_batch_size": sizes.batch() / 2,
        "send_batch_max_size": sizes.batch(),
    })
}

fn add(config: &mut Map<String, Json>, key: &str, defaults: Map<String, Json>) {
    let own = config.entry(key).or_insert_with(|| Json::Object(Map::new()));
    if let Json::Object(own) = own {
        for (key, value) in defaults {
            own.entry(key).or_insert(value);
        }
    }
}
