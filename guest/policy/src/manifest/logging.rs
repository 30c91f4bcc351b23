//! `logging`: what is logged, and how.

use crate::bindings::exports::floe::telemetry::configuration::LoggerLevel;
use crate::kinds::{Boolean, Choice};
use crate::settings::{Names, Settings, Visitor};

/// Severity words, ascending.
const LEVELS: &[(&str, &str)] = &[
    ("DEBUG", "DEBUG"),
    ("INFO", "INFO"),
    ("WARNING", "WARNING"),
    ("ERROR", "ERROR"),
    ("CRITICAL", "CRITICAL"),
];

/// The section.
#[derive(Debug, Clone)]
pub struct LoggingSettings {
    /// Lowest severity.
    pub level: &'static str,
    /// JSON lines on the console.
    pub json: bool,
    levels: Levels,
}

impl Default for LoggingSettings {
    fn default() -> Self {
        Self {
            level: "INFO",
            json: true,
            levels: Levels::default(),
        }
    }
}

impl Settings for LoggingSettings {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        visitor.setting(
            "log_level",
            "Lowest severity that passes: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
            Choice(LEVELS),
            &mut self.level,
        );
        visitor.section(
            "loggers",
            "Loggers for which it is another, by name: `dagster: WARNING`. It holds for the loggers below as well.",
            &mut self.levels,
        );
        visitor.setting(
            "json_output",
            "Whether a process's console lines are JSON (true) or text for people.",
            Boolean,
            &mut self.json,
        );
    }
}

impl LoggingSettings {
    /// As the contract has it.
    pub fn levels(&self) -> Vec<LoggerLevel> {
        let level = |(name, level): &(String, &str)| LoggerLevel {
            name: name.clone(),
            level: (*level).to_owned(),
        };
        self.levels.0.iter().map(level).collect()
    }
}

/// `levels`.
#[derive(Debug, Default, Clone)]
struct Levels(Vec<(String, &'static str)>);

impl Settings for Levels {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        let names = Names {
            allow: |name, _| {
                let is_letter = |letter: char| !letter.is_whitespace() && !letter.is_control();
                !name.is_empty() && name.len() <= 256 && name.chars().all(is_letter)
            },
            pattern: "^\\S{1,256}$",
            help: "write the name of a logger, such as dagster.daemon",
        };
        visitor.others(names, "Lowest severity of a logger.", Choice(LEVELS), &mut self.0);
    }
}
