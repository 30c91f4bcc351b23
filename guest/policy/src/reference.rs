//! The reference of the manifest's settings, as Markdown: every setting with its default and what it is for.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::manifest::telemetry::Telemetry;
use crate::settings::{Kind, Names, Settings, Visitor};

/// A table of all settings below `observability.telemetry`.
pub fn markdown() -> String {
    let mut writer = Writer {
        rows: "| setting | default | what it is for |\n|---|---|---|\n".to_owned(),
        path: String::new(),
    };
    Telemetry::default().visit(&mut writer);
    writer.rows
}

struct Writer {
    rows: String,
    path: String,
}

impl Writer {
    fn row(&mut self, name: &str, default: &Json, about: &str) {
        let default = match default {
            Json::Null => String::new(),
            value => format!("`{value}`"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.rows, "| `{}{name}` | {default} | {about} |", self.path);
    }

    fn below<S: Settings>(&mut self, name: &str, section: &mut S) {
        let length = self.path.len();
        self.path.push_str(name);
        section.visit(self);
        self.path.truncate(length);
    }
}

impl Visitor for Writer {
    fn setting<K: Kind>(&mut self, name: &'static str, about: &'static str, kind: K, value: &mut K::Value) {
        self.row(name, &kind.json(value), about);
    }

    fn maybe<K: Kind>(&mut self, name: &'static str, about: &'static str, _: K, _: &mut Option<K::Value>) {
        self.row(name, &Json::Null, about);
    }

    fn section<S: Settings>(&mut self, name: &'static str, about: &'static str, section: &mut S) {
        self.row(name, &Json::Null, about);
        self.below(&format!("{name}."), section);
    }

    fn presence<S: Settings + Default>(
        &mut self,
        name: &'static str,
        about: &'static str,
        _: &mut Option<S>,
    ) {
        self.row(name, &Json::Null, about);
        self.below(&format!("{name}."), &mut S::default());
    }

    fn list<S: Settings + Default>(
        &mut self,
        name: &'static str,
        about: &'static str,
        _: usize,
        _: &mut Vec<S>,
    ) {
        self.row(name, &Json::Null, about);
        self.below(&format!("{name}[]."), &mut S::default());
    }

    fn others<K: Kind>(&mut self, _: Names, about: &'static str, _: K, _: &mut Vec<(String, K::Value)>) {
        self.row("<name>", &Json::Null, about);
    }
}
