//! The JSON Schema of a manifest, for editors: what `validate` checks, as far as a schema can say it.

use serde_json::{Map, Value as Json, json};

use crate::manifest::{self, Mode, telemetry::Telemetry};
use crate::settings::{Kind, Names, Settings, Visitor};

/// The schema (JSON Schema 2020-12).
pub fn manifest() -> Json {
    let mut definitions = Map::new();
    let telemetry = section(&mut Telemetry::default(), &mut definitions);
    let mut own = telemetry.clone();
    let environments: Map<String, Json> = Mode::WORDS
        .iter()
        .map(|mode| ((*mode).to_owned(), json!({"$ref": "#/$defs/override"})))
        .collect();
    insert(
        &mut own,
        "environments",
        nullable(json!({
            "type": "object",
            "description": "By environment, what is other there than is written above.",
            "additionalProperties": false,
            "properties": environments,
        })),
    );
    let mut over = telemetry;
    insert(&mut over, "telemetry_backend", nullable(backends()));
    let older = |properties: Json| {
        nullable(
            json!({"type": "object", "deprecated": true, "additionalProperties": false, "properties": properties}),
        )
    };
    definitions.insert("override".to_owned(), nullable(over));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://floe.dev/schemas/telemetry-manifest.json",
        "title": "Telemetry of a floe manifest",
        "description": "What floe-telemetry reads of a manifest. Other keys of the top level and of `plugins` are other parts' of floe.",
        "type": "object",
        "properties": {
            "metadata": nullable(json!({"type": "object", "properties": {
                "name": nullable(json!({"type": "string", "description": "Name of the data product."})),
                "version": nullable(json!({"type": "string", "description": "Version of the data product."})),
                "namespace": nullable(json!({"type": "string", "description": "Namespace that owns the data product."})),
            }})),
            "plugins": nullable(json!({"type": "object", "properties": {"telemetry_backend": nullable(backends())}})),
            "observability": nullable(json!({"type": "object", "additionalProperties": false, "properties": {
                "telemetry": nullable(own),
                "tracing": older(json!({"enabled": {}, "exporter": {}, "endpoint": {}})),
                "logging": older(json!({"level": {}, "format": {}})),
                "lineage": {},
            }})),
        },
        "$defs": definitions,
    })
}

fn backends() -> Json {
    let mut schema = manifest::backends_schema();
    insert_into(
        &mut schema,
        "description",
        json!("The backends that the Collector sends to: a name, a mapping, or a list of these."),
    );
    schema
}

/// Nothing at all is as good as no key.
pub fn nullable(schema: Json) -> Json {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn insert_into(schema: &mut Json, key: &str, value: Json) {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn insert(schema: &mut Json, name: &str, value: Json) {
    if let Some(properties) = schema.get_mut("properties") {
        insert_into(properties, name, value);
    }
}

/// The schema of a section, whose own sections are definitions.
fn section<S: Settings>(section: &mut S, definitions: &mut Map<String, Json>) -> Json {
    let mut writer = Writer {
        properties: Map::new(),
        others: None,
        definitions,
    };
    section.visit(&mut writer);
    let mut schema =
        json!({"type": "object", "properties": writer.properties, "additionalProperties": false});
    if let Some((pattern, others)) = writer.others {
        let known: Vec<&String> = writer.properties.keys().collect();
        insert_into(
            &mut schema,
            "propertyNames",
            json!({"anyOf": [{"enum": known}, {"pattern": pattern}]}),
        );
        insert_into(&mut schema, "additionalProperties", others);
    }
    schema
}

/// A section as a definition, by the name of its type.
fn defined<S: Settings>(value: &mut S, definitions: &mut Map<String, Json>) -> Json {
    let name = std::any::type_name::<S>().rsplit("::").next().unwrap_or_default();
    let schema = section(value, definitions);
    definitions.insert(name.to_owned(), schema);
    json!({"$ref": format!("#/$defs/{name}")})
}

struct Writer<'a> {
    properties: Map<String, Json>,
    others: Option<(&'static str, Json)>,
    definitions: &'a mut Map<String, Json>,
}

impl Writer<'_> {
    fn property(&mut self, name: &str, about: &str, default: Option<Json>, schema: Json) {
        let mut schema = nullable(schema);
        insert_into(&mut schema, "description", json!(about));
        if let Some(default) = default {
            insert_into(&mut schema, "default", default);
        }
        self.properties.insert(name.to_owned(), schema);
    }
}

impl Visitor for Writer<'_> {
    fn setting<K: Kind>(&mut self, name: &'static str, about: &'static str, kind: K, value: &mut K::Value) {
        self.property(name, about, Some(kind.json(value)), kind.schema());
    }

    fn maybe<K: Kind>(&mut self, name: &'static str, about: &'static str, kind: K, _: &mut Option<K::Value>) {
        self.property(name, about, None, kind.schema());
    }

    fn section<S: Settings>(&mut self, name: &'static str, about: &'static str, value: &mut S) {
        let schema = defined(value, self.definitions);
        self.property(name, about, None, schema);
    }

    fn presence<S: Settings + Default>(
        &mut self,
        name: &'static str,
        about: &'static str,
        _: &mut Option<S>,
    ) {
        let schema = defined(&mut S::default(), self.definitions);
        self.property(name, about, None, schema);
    }

    fn list<S: Settings + Default>(
        &mut self,
        name: &'static str,
        about: &'static str,
        most: usize,
        _: &mut Vec<S>,
    ) {
        let items = nullable(defined(&mut S::default(), self.definitions));
        self.property(
            name,
            about,
            None,
            json!({"type": "array", "maxItems": most, "items": items}),
        );
    }

    fn others<K: Kind>(
        &mut self,
        names: Names,
        about: &'static str,
        kind: K,
        _: &mut Vec<(String, K::Value)>,
    ) {
        let mut schema = nullable(kind.schema());
        insert_into(&mut schema, "description", json!(about));
        self.others = Some((names.pattern, schema));
    }
}
