//! What the targets share: readers of the formats, written from the grammars of their specifications and not from the policy's code, and checks of what
//! must hold of every answer.
//!
//! Inputs are text: its first lines are a target's numbers and names, so that a corpus can be read and written by hand.

use floe_policy::bindings::exports::floe::telemetry::configuration::{Batches, Exporters, Reference};
use floe_policy::bindings::exports::floe::telemetry::types::{Diagnostic, KeyValue, Severity};

/// 2^56, the threshold that keeps nothing.
pub const NONE: u64 = 1 << 56;

/// A manifest of which `floe.*` baggage comes.
pub const MANIFEST: &str = "metadata: {name: sales, version: 1.2.0, namespace: acme.sales}\nobservability:\n  telemetry:\n    resource_attributes: {floe.mode: staging}\n";

/// The first line, and what is after it.
pub fn line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// A number written in hexadecimal digits; 0 if it is none.
pub fn number(text: &str) -> u64 {
    u64::from_str_radix(text.get(..16).unwrap_or(text), 16).unwrap_or(0)
}

/// The codes of some diagnostics, which are all warnings.
pub fn warnings(found: &[Diagnostic]) -> Vec<&str> {
    for diagnostic in found {
        assert!(matches!(diagnostic.severity, Severity::Warning));
        well_said(diagnostic);
    }
    found.iter().map(|diagnostic| diagnostic.code.as_str()).collect()
}

/// A diagnostic has a code, says something and shows no control characters.
pub fn well_said(diagnostic: &Diagnostic) {
    let code = diagnostic.code.strip_prefix("FLOE-").expect("a code of ours");
    assert!(code.len() == 4 && code.bytes().skip(1).all(|byte| byte.is_ascii_digit()));
    for text in [&diagnostic.message, &diagnostic.help] {
        assert!(
            !text.is_empty() && !text.chars().any(char::is_control),
            "{text:?}"
        );
        assert!(text.len() < 4_096);
    }
}

/// Every attribute has a name and a value that is JSON.
pub fn are_attributes(attributes: &[KeyValue]) {
    for attribute in attributes {
        assert!(!attribute.key.is_empty());
        serde_json::from_str::<serde_json::Value>(&attribute.value).expect("JSON");
    }
}

fn without_white_space(text: &str) -> &str {
    text.trim_matches(|character| character == ' ' || character == '\t')
}

/// What a `traceparent` says: trace id, parent id, known flags (W3C Trace Context Level 2, section 3.2).
pub fn traceparent(text: &str) -> Option<(u128, u64, u8)> {
    let fields: Vec<&str> = without_white_space(text).splitn(5, '-').collect();
    let [version, trace, span, flags, rest @ ..] = fields.as_slice() else {
        return None;
    };
    for (field, length) in [(version, 2), (trace, 32), (span, 16), (flags, 2)] {
        let lower_hex = |character| matches!(character, '0'..='9' | 'a'..='f');
        if field.len() != length || !field.chars().all(lower_hex) {
            return None;
        }
    }
    let allowed = match *version {
        "ff" => false,
        "00" => rest.is_empty(),
        // Several headers joined are none.
        _ => rest.iter().all(|field| !field.contains(',')),
    };
    let trace = u128::from_str_radix(trace, 16).ok()?;
    let span = u64::from_str_radix(span, 16).ok()?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    (allowed && trace != 0 && span != 0).then_some((trace, span, flags & 3))
}

/// The members of a `tracestate` (W3C Trace Context Level 2, section 3.3).
pub fn tracestate(text: &str) -> Option<Vec<(String, String)>> {
    let mut members: Vec<(String, String)> = Vec::new();
    for member in text.split(',') {
        let member = without_white_space(member);
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        let start = |character| matches!(character, 'a'..='z' | '0'..='9');
        let inside = |character| start(character) || matches!(character, '_' | '-' | '*' | '/' | '@');
        let printable = |character| matches!(character, ' '..='~') && character != ',' && character != '=';
        let key_is_one = key.starts_with(start) && key.chars().all(inside) && key.len() <= 256;
        let value_is_one = !value.is_empty() && value.len() <= 256 && value.chars().all(printable);
        if !key_is_one || !value_is_one || value.ends_with(' ') {
            return None;
        }
        if !members.iter().any(|(known, _)| known == key) {
            members.push((key.to_owned(), value.to_owned()));
        }
    }
    (members.len() <= 32).then_some(members)
}

/// Members as they are written.
pub fn written(members: &[(String, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    members.join(",")
}

/// The value of the member `ot`, read (OpenTelemetry, "TraceState Handling").
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Otel {
    /// T.
    pub threshold: Option<u64>,
    /// `rv`.
    pub randomness: Option<u64>,
    /// The fields but `th`, as they are written.
    pub others: Vec<String>,
}

/// Reads the value of the member `ot`.
pub fn otel(value: &str) -> Option<Otel> {
    let mut read = Otel::default();
    let mut keys = Vec::new();
    for field in value.split(';') {
        let (key, value) = field.split_once(':')?;
        let mut letters = key.chars();
        let is_key = matches!(letters.next(), Some('a'..='z'))
            && letters.all(|letter| matches!(letter, 'a'..='z' | '0'..='9'));
        let is_value = value
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
        if !is_key || !is_value || keys.contains(&key) {
            return None;
        }
        keys.push(key);
        let digits = |least: usize| {
            let lower_hex = |letter: char| matches!(letter, '0'..='9' | 'a'..='f');
            let is_one = (least..=14).contains(&value.len()) && value.chars().all(lower_hex);
            is_one.then(|| u64::from_str_radix(&format!("{value:0<14}"), 16).expect("14 digits"))
        };
        match key {
            "th" => read.threshold = Some(digits(1)?),
            "rv" => read.randomness = Some(digits(14)?),
            _ => {}
        }
        if key != "th" {
            read.others.push(field.to_owned());
        }
    }
    (value.len() <= 256).then_some(read)
}

/// A member of a `baggage` header.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Key.
    pub key: String,
    /// Value, decoded, with U+FFFD where it is broken.
    pub value: String,
    /// What follows the first semicolon.
    pub properties: Option<String>,
}

/// The members of a `baggage` header that are members (W3C Baggage, section 3.3).
pub fn baggage(text: &str) -> Vec<Member> {
    text.split(',')
        .filter_map(|text| member(without_white_space(text)))
        .collect()
}

fn member(text: &str) -> Option<Member> {
    let (member, properties) = match text.split_once(';') {
        Some((member, properties)) => (member, Some(properties)),
        None => (text, None),
    };
    let (key, value) = member.split_once('=')?;
    let (key, value) = (without_white_space(key), without_white_space(value));
    let token = |letter: char| letter.is_ascii_graphic() && !"(),/:;<=>?@[\\]{}\"".contains(letter);
    let printable = |letter| matches!(letter, ' '..='~' | '\t');
    let is_one = !key.is_empty()
        && key.chars().all(token)
        && properties.is_none_or(|properties| properties.chars().all(printable));
    is_one.then(|| Member {
        key: key.to_owned(),
        value: decoded(value),
        properties: properties.map(str::to_owned),
    })
}

/// Percent-decoded, with U+FFFD where it is broken.
pub fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after
            .get(..2)
            .filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        match escape.and_then(|digits| std::str::from_utf8(digits).ok()) {
            Some(digits) => {
                bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A `baggage` header is strictly of the grammar, canonical and within the limits.
pub fn is_canonical_baggage(text: &str) {
    assert!(text.len() <= 8_192, "{} bytes", text.len());
    if text.is_empty() {
        return;
    }
    for text in text.split(',') {
        let member = member(text).unwrap_or_else(|| panic!("{text:?} is no member"));
        let value = text
            .split(';')
            .next()
            .and_then(|text| text.split_once('='))
            .expect("a value")
            .1;
        let octet = |byte| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
        assert!(value.bytes().all(octet), "{value:?}");
        assert!(
            text.starts_with(&format!("{}={value}", member.key)),
            "white space is left in {text:?}"
        );
        assert!(!text.ends_with([' ', '\t']), "white space is left after {text:?}");
        // Every escape is one, and what they stand for is UTF-8: nothing more is lost by whoever reads it next.
        let mut after = value.split('%').skip(1);
        let hex = |text: &str| text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
        assert!(after.all(hex), "a lone percent sign in {value:?}");
        if value.contains('%') && !member.value.contains('\u{fffd}') {
            assert_eq!(decoded(&encoded(&member.value)), member.value);
        }
    }
}

fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Checks the batching of a plan.
pub fn batches(batches: &Batches) {
    for batch in [&batches.spans, &batches.logs] {
        assert!(batch.size <= batch.queue && batch.size >= 1 && batch.delay >= 1);
    }
}

/// Checks the exporters of a plan: each could be built, if what it refers to is there.
pub fn exporters(exporters: &Exporters) {
    for exporter in [&exporters.traces, &exporters.metrics, &exporters.logs]
        .into_iter()
        .flatten()
    {
        let endpoint = exporter.endpoint.as_str();
        assert!(endpoint.starts_with("http://") || endpoint.starts_with("https://"));
        assert!(!endpoint.contains(['@', '?', '#', ' ', '\n']) && exporter.timeout >= 1);
        let mut names: Vec<&str> = exporter
            .headers
            .iter()
            .map(|header| header.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), exporter.headers.len());
        for header in &exporter.headers {
            assert!(
                header
                    .name
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
            );
            assert!(!header.value.is_empty());
            for part in &header.value {
                if let Reference::Text(text) = part {
                    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                }
            }
        }
    }
}
