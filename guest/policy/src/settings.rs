//! What a setting is: a name, what it is for, a type and a default. A section of the manifest names its settings once, and whoever visits it reads
//! them, explains them or writes the JSON Schema.

use serde_json::Value as Json;

use crate::diagnostic::Place;
use crate::fields::{Field, Findings};
use crate::kinds::Written;
use crate::layers::Layer;

/// A type of setting.
pub trait Kind {
    /// What it is read to.
    type Value;
    /// Whether a variable that does not hold one is ignored (OpenTelemetry, environment variable specification). Where it is not, to ignore it
    /// would send telemetry elsewhere or without its credentials.
    const IGNORABLE: bool = true;

    /// Reads a value, or leaves diagnostics.
    fn read(&self, field: &Field<'_>, findings: &mut Findings) -> Option<Self::Value>;

    /// A value as the manifest writes it.
    fn json(&self, value: &Self::Value) -> Json;

    /// Where a value has parts that layers are laid over one by one: each by its name.
    fn parts(&self, value: &Self::Value) -> Vec<(String, Written<Json>)> {
        let _ = value;
        Vec::new()
    }

    /// The JSON Schema of a value.
    fn schema(&self) -> Json;
}

/// A section of the manifest. Before it is read it holds the defaults.
pub trait Settings {
    /// Names the settings, in the order of the documentation.
    fn visit<V: Visitor>(&mut self, visitor: &mut V);

    /// Checks what a single setting does not show. `place` is the section's.
    fn check(&self, place: &Place, findings: &mut Findings) {
        let _ = (place, findings);
    }
}

/// Somebody who goes through the settings.
pub trait Visitor {
    /// A setting whose default is what `value` holds.
    fn setting<K: Kind>(&mut self, name: &'static str, about: &'static str, kind: K, value: &mut K::Value);

    /// A setting without default.
    fn maybe<K: Kind>(
        &mut self,
        name: &'static str,
        about: &'static str,
        kind: K,
        value: &mut Option<K::Value>,
    );

    /// A section.
    fn section<S: Settings>(&mut self, name: &'static str, about: &'static str, section: &mut S);

    /// A section that is there or not.
    fn presence<S: Settings + Default>(
        &mut self,
        name: &'static str,
        about: &'static str,
        section: &mut Option<S>,
    );

    /// A list of at most so many sections.
    fn list<S: Settings + Default>(
        &mut self,
        name: &'static str,
        about: &'static str,
        most: usize,
        sections: &mut Vec<S>,
    );

    /// All other keys. `names` says which they may be: as a function, and as a pattern of JSON Schema.
    fn others<K: Kind>(
        &mut self,
        names: Names,
        about: &'static str,
        kind: K,
        values: &mut Vec<(String, K::Value)>,
    );
}

/// Which keys a section of free keys may have.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Whether this is one, in this layer.
    pub allow: fn(&str, Layer) -> bool,
    /// The same as a regular expression of ECMA-262.
    pub pattern: &'static str,
    /// What to do about another one.
    pub help: &'static str,
}
