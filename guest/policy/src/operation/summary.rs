//! What a failed operation's status says: the words that a person wants who looks at it for the first time.

use super::{ABANDONED, BATCH, assets, bad_data, fact, number, outcome_word};
use crate::bindings::exports::floe::telemetry::operations::OperationKind;
use crate::bindings::exports::floe::telemetry::types::{Exception, KeyValue};
use crate::error;
use crate::redaction::Redactor;

/// Most bytes of a status.
const MOST: usize = 4 * 1024;
/// Most bytes of a name or of a tool's word in a sentence.
const MOST_NAME: usize = 128;
/// Most names in a sentence.
const MOST_NAMES: usize = 5;

/// What is known of an operation that failed, or that ended with a warning.
#[derive(Debug)]
pub(super) struct Failed<'a> {
    pub(super) kind: OperationKind,
    pub(super) name: &'a str,
    /// The tool's own word.
    pub(super) status: &'a str,
    pub(super) seconds: f64,
    pub(super) facts: &'a [KeyValue],
    /// Classified.
    pub(super) exception: Option<&'a Exception>,
    pub(super) redactor: &'a Redactor,
}

impl Failed<'_> {
    /// The description of the span's status.
    pub(super) fn description(&self) -> String {
        let text = match self.status {
            ABANDONED => Some(format!(
                "{} did not end: given up after {}",
                self.subject(),
                time(self.seconds)
            )),
            _ => self.stale().or_else(|| self.counted()),
        };
        let text = text
            .or_else(|| self.message().map(|message| self.of_batch(message)))
            .or_else(|| self.thrown())
            .unwrap_or_else(|| self.plain());
        error::clean(&text, MOST, self.redactor)
    }

    /// What the tool said of a warning.
    pub(super) fn remark(&self) -> Option<String> {
        let text = self.stale().or_else(|| self.message().map(str::to_owned))?;
        Some(error::clean(&text, MOST, self.redactor))
    }

    /// `source orders is stale: 3 days old, 1 day allowed`.
    fn stale(&self) -> Option<String> {
        let resource = self.resource();
        let is_late = self.status.trim().eq_ignore_ascii_case("warn");
        if self.kind != OperationKind::DbtNode
            || resource != "source"
            || !(is_late || bad_data(&resource, self.status).is_some())
        {
            return None;
        }
        let of = |key| number(self.facts, key);
        Some(
            match (of("freshness_age_seconds"), of("freshness_limit_seconds")) {
                (Some(age), Some(limit)) => format!(
                    "{} is stale: {} old, {} allowed",
                    self.subject(),
                    time(age),
                    time(limit)
                ),
                (Some(age), None) => format!("{} is stale: {} old", self.subject(), time(age)),
                (None, _) => format!("{} is stale", self.subject()),
            },
        )
    }

    /// `1 of 20 tests failed: assert_no_negative_revenue; 5 nodes skipped`.
    fn counted(&self) -> Option<String> {
        let node = match self.kind {
            OperationKind::DagsterRun => "step",
            _ => "node",
        };
        let count = |key| self.count(key).unwrap_or_default();
        let (tests_failed, tests) = (count("tests_failed"), count("tests_total"));
        // The tests are among the nodes.
        let nodes_failed = count("nodes_failed").saturating_sub(tests_failed);
        let nodes = count("nodes_total").saturating_sub(tests);
        let failed = nodes_failed.saturating_add(tests_failed);
        let parts: Vec<String> = [(node, nodes_failed, nodes), ("test", tests_failed, tests)]
            .into_iter()
            .filter(|(_, some, _)| *some > 0)
            .map(|(word, some, total)| match total >= some {
                true => format!("{some} of {} failed", counted(total, word)),
                false => format!("{} failed", counted(some, word)),
            })
            .collect();
        if parts.is_empty() {
            return None;
        }
        let mut text = parts.join(", ");
        let names = assets(self.facts, "failed_nodes");
        let shown: Vec<String> = names
            .iter()
            .take(MOST_NAMES)
            .map(|name| self.short(name))
            .collect();
        if !shown.is_empty() {
            text = format!("{text}: {}", shown.join(", "));
            let more = failed.saturating_sub(shown.len() as u64);
            if more > 0 {
                text = format!("{text} and {more} more");
            }
        }
        if let Some(skipped) = self.count("nodes_skipped") {
            text = format!("{text}; {} skipped", counted(skipped, node));
        }
        Some(text)
    }

    /// The tool's message, if it says more than that something failed.
    fn message(&self) -> Option<&str> {
        let message = self.exception?.message.as_str();
        (!says_nothing(message)).then_some(message)
    }

    /// A message about one batch of a microbatch model says which.
    fn of_batch(&self, message: &str) -> String {
        match self.batch() {
            Some(batch) => format!("batch {batch}: {message}"),
            None => message.to_owned(),
        }
    }

    /// What was thrown says more than that something was.
    fn thrown(&self) -> Option<String> {
        let type_ = &self.exception?.type_;
        (!type_.is_empty() && type_ != error::OTHER).then(|| self.of_batch(type_))
    }

    fn plain(&self) -> String {
        let (subject, status) = (self.subject(), self.status.trim());
        if status.parse::<i64>().is_ok() {
            return format!("{subject} exited with {status}");
        }
        if let Some(signal) = status.strip_prefix("signal ") {
            return format!("{subject} was ended by signal {}", self.short(signal));
        }
        match self
            .count("failures")
            .filter(|_| self.kind == OperationKind::DbtNode)
        {
            Some(rows) => format!("{subject} failed: {}", counted(rows, "bad row")),
            None if says_nothing(status) => format!("{subject} failed"),
            None => format!("{subject} failed: {}", self.short(status)),
        }
    }

    /// What failed, as a person calls it.
    fn subject(&self) -> String {
        let name = self.short(self.name);
        let what = match self.kind {
            OperationKind::PipelineRun => "pipeline",
            OperationKind::Compile => "compile of",
            OperationKind::CompileStage => "compile stage",
            OperationKind::DbtInvocation => "dbt",
            OperationKind::DbtNode => match self.batch() {
                Some(batch) => return format!("batch {batch} of {name}"),
                None => match self.resource().as_str() {
                    "" => "node",
                    "operation" => "hook",
                    resource => return format!("{} {name}", self.short(resource).replace('_', " ")),
                },
            },
            OperationKind::DagsterRun => "job",
            OperationKind::DagsterStep => "step",
            OperationKind::AssetMaterialization | OperationKind::AssetObservation => {
                match assets(self.facts, "assets").as_slice() {
                    [asset] => return format!("asset {}", self.short(asset)),
                    _ => "step",
                }
            }
            OperationKind::AssetCheck => "check",
            OperationKind::SensorTick => "sensor",
            OperationKind::ScheduleTick => "schedule",
            OperationKind::Command | OperationKind::Custom => return name,
        };
        format!("{what} {name}")
    }

    /// Text of one line that has a place in a sentence. What is secret in it is seen only while its lines and colours are there.
    fn short(&self, text: &str) -> String {
        error::clean(text.trim(), MOST_NAME, self.redactor)
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect()
    }

    fn resource(&self) -> String {
        fact(self.facts, "resource_type").unwrap_or_default()
    }

    fn batch(&self) -> Option<String> {
        (self.resource() == BATCH)
            .then(|| fact(self.facts, "batch"))
            .flatten()
            .map(|batch| self.short(&batch))
    }

    /// A count that is there and not 0.
    fn count(&self, key: &str) -> Option<u64> {
        number(self.facts, key)
            .map(|count| count as u64)
            .filter(|count| *count > 0)
    }
}

/// Whether a text is no more than a word for a failure, or a number.
fn says_nothing(text: &str) -> bool {
    let text = text.trim();
    let word = outcome_word(text);
    text.is_empty()
        || matches!(word.as_str(), "failure" | "fail" | "failed" | "error")
        || text.parse::<f64>().is_ok()
}

fn counted(count: u64, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

/// A time in the largest unit of which there are two, or just one: a limit of 24 hours is 1 day, and an age of 36 is 36 hours.
fn time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (unit, word) = [(86_400, "day"), (3_600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(unit, _)| seconds >= 2 * unit || seconds == *unit)
        .unwrap_or((1, "second"));
    counted(seconds / unit, word)
}
