//! Laws that hold of any settings.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::collections::BTreeSet;

use floe_backends::bindings::exports::floe::telemetry::backends::{
    Backend, Fragment, Guest as _, SettingType,
};
use floe_backends::bindings::exports::floe::telemetry::types::{KeyValue, Severity};
use floe_backends::component::Component as Backends;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// A secret that somebody wrote where a variable's name belongs.
const SECRET: &str = "s3cret-";

fn backend() -> impl Strategy<Value = Backend> {
    select(Backends::list())
}

/// A value that a setting of some backend takes, or none does.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(vec![
            "http://a:4317", "https://a.io", "https://a.io/x", "tcp://a:9000", "grpc", "http", "otlp", "remote_write", "eu", "us1",
            "detailed", "eu-west-1", "acme-sales-1", "tenant-1", "x-api-key", "authorization", "floe", "/etc/ca.pem", "A_VARIABLE",
        ])
        .prop_map(|text| json!(text).to_string()),
        1 => "\\PC{0,20}".prop_map(|text| json!(text).to_string()),
        1 => any::<String>().prop_map(|text| json!(text).to_string()),
        1 => any::<String>(),
        1 => any::<bool>().prop_map(|truth| truth.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => Just("null".to_owned()),
    ]
}

/// A backend with any values of its settings, and of settings that it does not have.
fn anything() -> impl Strategy<Value = (String, Vec<KeyValue>)> {
    (
        backend(),
        prop::collection::vec((any::<Index>(), value(), any::<Option<String>>()), 0..8),
    )
        .prop_map(|(backend, entries)| {
            let settings = entries
                .into_iter()
                .map(|(index, value, other)| KeyValue {
                    key: match (backend.settings.is_empty(), other) {
                        (false, None) => index.get(&backend.settings).name.clone(),
                        (_, other) => other.unwrap_or_default(),
                    },
                    value,
                })
                .collect();
            (backend.name, settings)
        })
}

/// A backend with values that its settings' types allow, of which many make a fragment.
fn plausible() -> impl Strategy<Value = (String, Vec<KeyValue>)> {
    (
        backend(),
        prop::collection::vec((any::<bool>(), any::<Index>()), 16),
    )
        .prop_map(|(backend, choices)| {
            let settings = backend
                .settings
                .iter()
                .zip(choices)
                .filter(|(setting, (there, _))| setting.required || *there)
                .map(|(setting, (_, index))| KeyValue {
                    key: setting.name.clone(),
                    value: match (setting.secret, setting.type_, setting.name.as_str()) {
                        (true, ..) => "\"A_VARIABLE\"".to_owned(),
                        (_, SettingType::Boolean, _) => "true".to_owned(),
                        (_, SettingType::Integer, _) => "7".to_owned(),
                        (_, SettingType::Url, _) => {
                            (*index.get(&["\"http://a:4318\"", "\"https://a.io\"", "\"https://a.io/x\""]))
                                .to_owned()
                        }
                        (.., "region") => (*index.get(&["\"eu\"", "\"us\"", "\"eu-west-1\""])).to_owned(),
                        (.., "protocol") => {
                            (*index.get(&["\"grpc\"", "\"http\"", "\"remote_write\""])).to_owned()
                        }
                        (.., "site") => "\"datadoghq.eu\"".to_owned(),
                        (.., "verbosity") => "\"basic\"".to_owned(),
                        (.., "project") => "\"acme-sales-1\"".to_owned(),
                        _ => "\"acme\"".to_owned(),
                    },
                })
                .collect();
            (backend.name, settings)
        })
}

/// Ids and configurations.
fn components(fragment: &Fragment) -> impl Iterator<Item = (&str, &str)> {
    let connectors = fragment
        .connectors
        .iter()
        .map(|connector| (&*connector.id, &*connector.config));
    [&fragment.exporters, &fragment.processors, &fragment.extensions]
        .into_iter()
        .flatten()
        .map(|component| (&*component.id, &*component.config))
        .chain(connectors)
}

fn ids(fragment: &Fragment) -> Vec<&str> {
    components(fragment).map(|(id, _)| id).collect()
}

/// The references `${...}` in a text.
fn references(text: &str) -> BTreeSet<&str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect()
}

/// What is true of every fragment.
fn check(name: &str, fragment: &Fragment) {
    let ids = ids(fragment);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    let mut used = BTreeSet::new();
    for (id, text) in components(fragment) {
        let (_, instance) = id.split_once('/').unwrap();
        assert!(
            instance == name || instance.starts_with(&format!("{name}-")),
            "{}",
            id
        );
        let config: Value = serde_json::from_str(text).unwrap();
        assert!(config.is_object());
        assert_eq!(text.matches('$').count(), references(text).len());
        used.extend(
            references(text)
                .into_iter()
                .map(|reference| reference.strip_prefix("env:").unwrap().to_owned()),
        );
        if let Some(authenticator) = config.pointer("/auth/authenticator") {
            assert!(
                fragment
                    .extensions
                    .iter()
                    .any(|extension| authenticator == &extension.id)
            );
        }
    }
    // What is needed is what is named.
    assert_eq!(fragment.variables, used.into_iter().collect::<Vec<_>>());
    let mut signals = BTreeSet::new();
    for pipeline in &fragment.pipelines {
        assert!(signals.insert(pipeline.signal as u8), "two pipelines of a signal");
        assert!(!pipeline.exporters.is_empty());
        for id in pipeline.processors.iter().chain(&pipeline.exporters) {
            assert!(ids.contains(&id.as_str()), "{id}");
        }
    }
    assert!(!signals.is_empty());
    assert!(
        fragment
            .warnings
            .iter()
            .all(|warning| warning.severity == Severity::Warning)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_settings_are_answered((name, settings) in anything(), collector in prop_oneof![Just(String::new()), any::<String>(), Just("0.110.0".to_owned())]) {
        match Backends::render(name.clone(), settings, collector) {
            Ok(fragment) => check(&name, &fragment),
            Err(found) => {
                prop_assert!(found.iter().any(|finding| finding.severity == Severity::Error));
                // No diagnostic is two lines, and none is about us.
                for finding in &found {
                    let text = [finding.path.as_str(), &finding.message, &finding.help].concat();
                    prop_assert!(!text.chars().any(char::is_control), "{finding:?}");
                    prop_assert!(!finding.help.starts_with("report this"), "{finding:?}");
                }
            }
        }
    }

    #[test]
    fn a_secret_is_never_shown((name, mut settings) in anything(), secret in "[a-zA-Z0-9/+=@:?$ {}-]{0,20}", nested in any::<bool>()) {
        let secret = format!("{SECRET}{secret}");
        let wrong = if nested { json!({"value": secret}) } else { json!(secret) };
        for backend in Backends::list().iter().filter(|backend| backend.name == name) {
            for setting in backend.settings.iter().filter(|setting| setting.secret) {
                settings.push(KeyValue { key: setting.name.clone(), value: wrong.to_string() });
            }
        }
        settings.push(KeyValue { key: "passwd".to_owned(), value: wrong.to_string() });
        settings.push(KeyValue { key: "endpoint".to_owned(), value: json!(format!("https://u:{secret}@a.io/")).to_string() });
        let answer = Backends::render(name, settings, String::new());
        prop_assert!(answer.is_err());
        let text = format!("{answer:?}");
        prop_assert!(!text.contains(SECRET), "{text}");
    }

    // But for what the older one does not have, which is refused.
    #[test]
    fn versions_differ_in_ids_only((name, settings) in plausible()) {
        let of = |collector: &str| Backends::render(name.clone(), settings.clone(), collector.to_owned());
        let (old, new) = (of("0.110.0"), of("0.161.0"));
        prop_assert_eq!(&new, &of(""));
        match (old, new) {
            (Ok(old), Ok(new)) => {
                check(&name, &old);
                check(&name, &new);
                let (before, after) = (ids(&old), ids(&new));
                prop_assert_eq!(before.len(), after.len());
                let mut text = serde_json::to_string(&old).unwrap();
                for (before, after) in before.iter().zip(&after) {
                    text = text.replace(&format!("\"{before}\""), &format!("\"{after}\""));
                }
                prop_assert_eq!(text, serde_json::to_string(&new).unwrap());
            }
            (old, new) => {
                let findings = |answer: Result<Fragment, _>| answer.map_or_else(|findings| findings, |fragment| fragment.warnings);
                let (too_old, others): (Vec<_>, Vec<_>) =
                    findings(old).into_iter().partition(|finding| finding.code == "FLOE-B010");
                prop_assert!(too_old.iter().all(|finding| name == "clickhouse" && finding.path == "ca_file"));
                prop_assert_eq!(others, findings(new));
            }
        }
    }
}

/// The laws above are about fragments: of every backend there are some.
#[test]
fn every_backend_is_rendered() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut rendered = BTreeSet::new();
    for _ in 0..5_000 {
        let (name, settings) = plausible().new_tree(&mut runner).unwrap().current();
        if Backends::render(name.clone(), settings, String::new()).is_ok() {
            rendered.insert(name);
        }
    }
    let all: BTreeSet<String> = Backends::list().into_iter().map(|backend| backend.name).collect();
    assert_eq!(rendered, all);
}

#[test]
fn what_is_listed_is_sound() {
    let backends = Backends::list();
    let names: Vec<&str> = backends.iter().map(|backend| backend.name.as_str()).collect();
    assert!(names.is_sorted() && names.len() == names.iter().collect::<BTreeSet<_>>().len());
    for backend in &backends {
        assert!(!backend.signals.is_empty() && !backend.description.is_empty());
        let settings: BTreeSet<&str> = backend
            .settings
            .iter()
            .map(|setting| setting.name.as_str())
            .collect();
        assert_eq!(settings.len(), backend.settings.len(), "{}", backend.name);
        for setting in &backend.settings {
            assert!(!setting.description.is_empty());
            assert!(!setting.secret || (setting.type_ == SettingType::Text && setting.default.is_empty()));
            assert!(!setting.required || setting.default.is_empty());
            if setting.default.is_empty() {
                continue;
            }
            // A default may be written out: alone, it is never what is refused.
            let written = KeyValue {
                key: setting.name.clone(),
                value: setting.default.clone(),
            };
            if let Err(found) = Backends::render(backend.name.clone(), vec![written], String::new()) {
                assert!(
                    found.iter().all(|finding| finding.path != setting.name),
                    "{found:?}"
                );
            }
        }
    }
}
