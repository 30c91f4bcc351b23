//! Reads a section's settings from the layers of a configuration, and notes where each effective value came from.

use serde_json::Value as Json;

use crate::bindings::exports::floe::telemetry::configuration::{Explained, Origin};
use crate::bindings::exports::floe::telemetry::types::{Diagnostic, Severity};
use crate::diagnostic::{self, Place};
use crate::fields::{Field, Findings, Section};
use crate::layers::Layer;
use crate::settings::{Kind, Names, Settings, Visitor};
use crate::variables::MODE;

/// Where each effective value came from, in the order of reading.
#[derive(Debug, Default)]
pub struct Journal(Vec<Explained>);

impl Journal {
    fn note(&mut self, path: &str, value: &Json, from: Option<(Place, Layer)>) {
        let (place, layer) = from.unzip();
        let (origin, source) = match layer {
            None => (Origin::Default, String::new()),
            Some(Layer::Manifest) => (Origin::Manifest, String::new()),
            Some(Layer::Elsewhere(path)) => (Origin::Manifest, path.to_owned()),
            Some(Layer::Environment(mode)) => (Origin::Environment, mode.word().to_owned()),
            Some(Layer::Variable(name)) => (Origin::Variable, name.to_owned()),
            Some(Layer::Code) => (Origin::Code, String::new()),
        };
        let place = place.unwrap_or_default();
        self.0.push(Explained {
            path: path.to_owned(),
            value: value.to_string(),
            origin,
            source,
            line: place.line,
            column: place.column,
        });
    }

    /// Says that a value that nobody set follows from another.
    pub fn derive(&mut self, path: &str, value: impl Into<Json>, source: &str) {
        let is_default =
            |found: &Explained, path: &str| found.path == path && found.origin == Origin::Default;
        let source_is_default = self.0.iter().any(|found| is_default(found, source));
        if source_is_default || source.is_empty() {
            if let Some(found) = self.0.iter_mut().find(|found| is_default(found, path)) {
                found.value = value.into().to_string();
            }
        } else if self.0.iter().any(|found| is_default(found, path)) {
            self.follow(path, value, source);
        }
    }

    /// Says that a value follows from another, whoever set it.
    pub fn follow(&mut self, path: &str, value: impl Into<Json>, source: &str) {
        if let Some(found) = self.0.iter_mut().find(|found| found.path == path) {
            *found = following(path, value, source);
        }
    }

    /// Says that a part of a section or a mapping, which nobody set there, follows from another value.
    pub fn add(&mut self, section: &str, part: &str, value: impl Into<Json>, source: &str) {
        let path = format!("{section}.{part}");
        let is_of_it = |found: &Explained| {
            found
                .path
                .strip_prefix(section)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let at = self
            .0
            .iter()
            .rposition(is_of_it)
            .map_or(self.0.len(), |at| at + 1);
        self.0.insert(at, following(&path, value, source));
        // What has parts is not nothing.
        self.0.retain(|found| found.path != section);
    }

    /// All of it.
    pub fn into_explained(self) -> Vec<Explained> {
        self.0
    }
}

fn following(path: &str, value: impl Into<Json>, source: &str) -> Explained {
    Explained {
        path: path.to_owned(),
        value: value.into().to_string(),
        origin: Origin::Derived,
        source: source.to_owned(),
        line: 0,
        column: 0,
    }
}

/// Where a field was written.
fn written(field: &Field<'_>) -> (Place, Layer) {
    (field.place(), field.layer())
}

/// Reads the settings of one section.
#[derive(Debug)]
pub struct Reader<'a> {
    path: String,
    /// Absent where the section is.
    section: Option<Section<'a>>,
    known: Vec<&'static str>,
    findings: &'a mut Findings,
    journal: &'a mut Journal,
}

/// Reads a section at a path; without a field all is default. False if the field is no mapping.
pub fn read<S: Settings>(
    section: &mut S,
    path: &str,
    field: Option<&Field<'_>>,
    findings: &mut Findings,
    journal: &mut Journal,
) -> bool {
    visit(section, path, field, false, findings, journal)
}

/// The same where other keys are somebody else's.
pub fn read_open<S: Settings>(
    section: &mut S,
    path: &str,
    field: Option<&Field<'_>>,
    findings: &mut Findings,
    journal: &mut Journal,
) {
    if field.is_none_or(|field| field.entries().is_some()) {
        visit(section, path, field, true, findings, journal);
    }
}

fn visit<S: Settings>(
    section: &mut S,
    path: &str,
    field: Option<&Field<'_>>,
    open: bool,
    findings: &mut Findings,
    journal: &mut Journal,
) -> bool {
    let found = match field {
        None => None,
        Some(field) => match field.entries() {
            Some(entries) => Some(entries),
            None => {
                // A visit without anything to read says which keys there are.
                let mut reader = Reader {
                    path: String::new(),
                    section: None,
                    known: Vec::new(),
                    findings: &mut Vec::new(),
                    journal: &mut Journal::default(),
                };
                section.visit(&mut reader);
                field.clone().unshown().wrong_type(
                    &format!("a mapping with keys of {}", reader.known.join(", ")),
                    findings,
                );
                return false;
            }
        },
    };
    let mut reader = Reader {
        path: path.to_owned(),
        section: found,
        known: Vec::new(),
        findings,
        journal,
    };
    section.visit(&mut reader);
    if !open {
        reader.finish();
    }
    let place = field.map_or_else(|| Place::named(path), Field::place);
    section.check(&place, findings);
    true
}

impl<'a> Reader<'a> {
    fn field(&mut self, name: &'static str) -> (String, Option<Field<'a>>) {
        self.known.push(name);
        let path = match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        };
        (path, self.section.as_ref().and_then(|section| section.get(name)))
    }

    /// The value of the uppermost layer that has one, and the field that it is of. What a variable holds in vain is said and ignored.
    fn value<K: Kind>(&mut self, kind: &K, field: Option<Field<'a>>) -> Option<(K::Value, Field<'a>)> {
        let mut next = field;
        while let Some(field) = next {
            let mut found = Findings::new();
            let value = kind.read(&field, &mut found);
            // Another environment than was meant would send telemetry elsewhere.
            let ignored = K::IGNORABLE
                && value.is_none()
                && matches!(field.layer(), Layer::Variable(name) if name != MODE);
            if ignored {
                found.iter_mut().for_each(ignore);
            }
            self.findings.append(&mut found);
            match value {
                Some(value) => return Some((value, field)),
                None if ignored => next = field.under(),
                None => return None,
            }
        }
        None
    }

    /// Refuses the keys that nobody asked for.
    fn finish(self) {
        let Some(section) = &self.section else { return };
        for (key, field) in section.fields() {
            if !self.known.contains(&key.name.as_str()) {
                self.findings.push(section.unknown(key, &field, &self.known, ""));
            }
        }
    }
}

/// Makes what is wrong with a variable a warning.
fn ignore(found: &mut Diagnostic) {
    diagnostic::WRONG_VARIABLE.clone_into(&mut found.code);
    found.severity = Severity::Warning;
    found.message.push_str("; the variable is ignored");
    found.help.push_str(", or unset the variable");
}

impl Visitor for Reader<'_> {
    fn setting<K: Kind>(&mut self, name: &'static str, _: &'static str, kind: K, value: &mut K::Value) {
        let (path, field) = self.field(name);
        let found = self.value(&kind, field);
        let from = found.map(|(read, field)| {
            *value = read;
            field
        });
        self.journal
            .note(&path, &kind.json(value), from.as_ref().map(written));
    }

    fn maybe<K: Kind>(&mut self, name: &'static str, _: &'static str, kind: K, value: &mut Option<K::Value>) {
        let (path, field) = self.field(name);
        let found = self.value(&kind, field);
        let from = found.map(|(read, field)| {
            *value = Some(read);
            field
        });
        let parts = value.as_ref().map(|value| kind.parts(value)).unwrap_or_default();
        for (name, part) in &parts {
            let from = Some((part.place.clone(), part.layer));
            self.journal.note(&format!("{path}.{name}"), &part.value, from);
        }
        if parts.is_empty() {
            let json = value.as_ref().map_or(Json::Null, |value| kind.json(value));
            self.journal.note(&path, &json, from.as_ref().map(written));
        }
    }

    fn section<S: Settings>(&mut self, name: &'static str, _: &'static str, section: &mut S) {
        let (path, field) = self.field(name);
        read(section, &path, field.as_ref(), self.findings, self.journal);
    }

    fn presence<S: Settings + Default>(
        &mut self,
        name: &'static str,
        _: &'static str,
        section: &mut Option<S>,
    ) {
        let (path, field) = self.field(name);
        let Some(field) = field else {
            self.journal.note(&path, &Json::Null, None);
            return;
        };
        let mut found = S::default();
        if read(&mut found, &path, Some(&field), self.findings, self.journal) {
            *section = Some(found);
        }
    }

    fn list<S: Settings + Default>(
        &mut self,
        name: &'static str,
        _: &'static str,
        most: usize,
        sections: &mut Vec<S>,
    ) {
        let (path, field) = self.field(name);
        let Some(field) = field else {
            self.journal.note(&path, &Json::Array(Vec::new()), None);
            return;
        };
        sections.clear();
        for (at, element) in field.list(most, self.findings).iter().enumerate() {
            let mut section = S::default();
            if read(
                &mut section,
                &format!("{path}[{at}]"),
                Some(element),
                self.findings,
                self.journal,
            ) {
                sections.push(section);
            }
        }
    }

    fn others<K: Kind>(
        &mut self,
        names: Names,
        _: &'static str,
        kind: K,
        values: &mut Vec<(String, K::Value)>,
    ) {
        let Some(section) = self.section.take() else {
            return;
        };
        for (key, field) in section.fields() {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            if !(names.allow)(&key.name, field.layer()) {
                let mut found = section.unknown(key, &field, &self.known, names.help);
                if matches!(field.layer(), Layer::Variable(_)) {
                    ignore(&mut found);
                }
                self.findings.push(found);
            } else if !field.is_null()
                && let Some((value, field)) = self.value(&kind, Some(field))
            {
                self.journal
                    .note(field.path(), &kind.json(&value), Some(written(&field)));
                values.push((key.name.clone(), value));
            }
        }
    }
}
