//! `batch_processor`: batching between the application and the exporter.

use super::{ITEMS, MILLISECONDS};
use crate::bindings::exports::floe::telemetry::configuration::Batch;
use crate::diagnostic::{self, Place};
use crate::fields::Findings;
use crate::kinds::Integer;
use crate::layers::TELEMETRY;
use crate::reader::Journal;
use crate::settings::{Settings, Visitor};

/// Settings of batching, for all signals and for each. OpenTelemetry's defaults.
#[derive(Debug, Default, Clone)]
pub struct BatchProcessor {
    queue: Option<u32>,
    size: Option<u32>,
    delay: Option<u32>,
    timeout: Option<u32>,
}

impl Settings for BatchProcessor {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.maybe(
            "max_queue_size",
            "Most items that wait; above it items are dropped and counted. 2048 by default.",
            Integer(ITEMS),
            &mut self.queue,
        );
        visitor.maybe(
            "max_export_batch_size",
            "Most items in one export, at most those that may wait. 512 by default.",
            Integer(ITEMS),
            &mut self.size,
        );
        visitor.maybe(
            "schedule_delay_millis",
            "Longest wait of an item before an export, in milliseconds. 5000 by default.",
            Integer(MILLISECONDS),
            &mut self.delay,
        );
        visitor.maybe("export_timeout_millis", "Longest time for one export, in milliseconds; where timeout_millis is written as well, the shorter holds.", Integer(MILLISECONDS), &mut self.timeout);
    }

    fn check(&self, place: &Place, findings: &mut Findings) {
        if let (Some(queue), Some(size)) = (self.queue, self.size)
            && size > queue
        {
            findings.push(place.warning(
                diagnostic::CONFLICT,
                format!("an export cannot take {size} items where {queue} may wait; it takes {queue}"),
                "write a max_export_batch_size of at most max_queue_size",
            ));
        }
    }
}

impl BatchProcessor {
    /// The batching of a signal: what it does not say, all signals' settings (`common`) do.
    pub fn batch(&self, common: &Self, signal: &str, delay: u32, journal: &mut Journal) -> Batch {
        let queue = self.queue.or(common.queue).unwrap_or(2_048);
        let size = self.size.or(common.size).unwrap_or(512);
        let own = format!("{TELEMETRY}.{signal}.batch_processor");
        let batch = Batch {
            queue,
            size: size.min(queue),
            delay: self.delay.or(common.delay).unwrap_or(delay),
        };
        for (name, value) in [
            ("max_queue_size", batch.queue),
            ("max_export_batch_size", batch.size),
            ("schedule_delay_millis", batch.delay),
        ] {
            journal.derive(
                &format!("{own}.{name}"),
                value,
                &format!("{TELEMETRY}.batch_processor.{name}"),
            );
        }
        if size > queue {
            journal.follow(
                &format!("{own}.max_export_batch_size"),
                queue,
                &format!("{own}.max_queue_size"),
            );
        }
        batch
    }

    /// Longest time for one export, in milliseconds, and the path of the setting below the telemetry settings.
    pub fn limit(&self, common: &Self, signal: &str) -> Option<(u32, String)> {
        let path = "batch_processor.export_timeout_millis";
        let own = self.timeout.map(|timeout| (timeout, format!("{signal}.{path}")));
        own.or(common.timeout.map(|timeout| (timeout, path.to_owned())))
    }
}
