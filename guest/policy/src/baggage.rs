//! W3C Baggage: members with their properties, within the limits.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::diagnostic::{self, Place, shown};

/// What propagates at least (W3C Baggage section 3.3.2), and here at most.
const MOST_MEMBERS: usize = 64;
const MOST_BYTES: usize = 8192;
/// Most members that are reported one by one: whoever sends the header must not decide how much is logged.
const MOST_REPORTED: usize = 3;
/// Everything outside baggage-octet, and the percent sign itself (section 3.3.1).
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b',')
    .add(b';')
    .add(b'\\');

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member<'a> {
    key: &'a str,
    /// Decoded.
    value: String,
    /// Untouched, from the first `;` on; empty if there are none.
    properties: &'a str,
}

impl Member<'_> {
    fn format(&self) -> String {
        format!(
            "{}={}{}",
            self.key,
            utf8_percent_encode(&self.value, ENCODED),
            self.properties
        )
    }
}

/// A canonical list and what was left out of it.
#[derive(Debug, Default, PartialEq)]
pub struct Canonical {
    /// The list.
    pub text: String,
    /// Why something was left out.
    pub problems: Vec<Diagnostic>,
}

/// Makes a list canonical, with `ours` appended where no member has their key. Over the limits, `floe.*` members stay and
/// the first of the others; never a part of a member.
pub fn canonical(header: &str, ours: &[(&str, &str)]) -> Canonical {
    let mut problems = Vec::new();
    let (mut members, mut malformed) = (Vec::new(), Vec::new());
    for text in header.split(',').filter(|text| !text.trim().is_empty()) {
        match parse(text) {
            Some(member) => members.push(member),
            None => malformed.push(shown(text.split('=').next().unwrap_or_default().trim())),
        }
    }
    if !malformed.is_empty() {
        let count = malformed.len();
        malformed.truncate(MOST_REPORTED);
        problems.push(Place::named("baggage").warning(
            diagnostic::BAGGAGE,
            format!(
                "{count} malformed members are left out, starting {}",
                malformed.join(", ")
            ),
            "send key=value members as W3C Baggage section 3.3 says",
        ));
    }
    for (key, value) in ours {
        if members.iter().all(|member| member.key != *key) {
            members.push(Member {
                key,
                value: (*value).to_owned(),
                properties: "",
            });
        }
    }
    let (text, left_out) = within_limits(
        members
            .iter()
            .map(|member| (member.key, member.format()))
            .collect(),
        ours,
    );
    if left_out > 0 {
        problems.push(Place::named("baggage").warning(
            diagnostic::BAGGAGE_LIMIT,
            format!("{left_out} members are left out"),
            format!("send at most {MOST_MEMBERS} members and {MOST_BYTES} bytes"),
        ));
    }
    Canonical { text, problems }
}

/// This configuration's keys come first, then other `floe.*` ones, then the rest; their order stays.
fn within_limits(members: Vec<(&str, String)>, ours: &[(&str, &str)]) -> (String, usize) {
    let rank = |key: &str| match key {
        key if ours.iter().any(|(our, _)| *our == key) => 0,
        key if key.starts_with("floe.") => 1,
        _ => 2,
    };
    let mut kept = vec![false; members.len()];
    let (mut count, mut bytes) = (0, 0);
    for turn in 0..=2 {
        for (keep, (key, text)) in kept.iter_mut().zip(&members) {
            let size = text.len() + usize::from(count > 0);
            if rank(key) == turn && count < MOST_MEMBERS && bytes + size <= MOST_BYTES {
                (*keep, count, bytes) = (true, count + 1, bytes + size);
            }
        }
    }
    let texts: Vec<String> = members
        .into_iter()
        .zip(&kept)
        .filter(|(_, keep)| **keep)
        .map(|((_, text), _)| text)
        .collect();
    (texts.join(","), kept.len() - count)
}

/// `key OWS = OWS value *( OWS ; OWS property )`. A value that is not percent-encoded UTF-8 gets U+FFFD where it is broken.
fn parse(text: &str) -> Option<Member<'_>> {
    let (member, properties) = match text.find(';') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (key, value) = member.split_once('=')?;
    let key = key.trim();
    let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
    let printable = properties
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t');
    (is_token(key) && printable).then_some(Member {
        key,
        value,
        properties: properties.trim_end(),
    })
}

/// RFC 9110 section 5.6.2.
fn is_token(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_survive_a_flood() {
        let flood: Vec<String> = (0..500).map(|n| format!("k{n}={}", "x".repeat(100))).collect();
        let found = canonical(&flood.join(","), &[("floe.namespace", "acme.sales")]);
        assert!(found.text.ends_with(",floe.namespace=acme.sales"));
        assert!(found.text.len() <= MOST_BYTES);
        assert_eq!(found.problems.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn canonical_text_stays_as_it_is(text in "\\PC*") {
            let once = canonical(&text, &[]).text;
            proptest::prop_assert_eq!(&canonical(&once, &[]).text, &once);
        }

        #[test]
        fn any_value_comes_back(value in "\\PC*") {
            let text = canonical("", &[("key", value.as_str())]).text;
            let back: String = text.split_once('=').map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned()).unwrap_or_default();
            proptest::prop_assert_eq!(back, value);
        }
    }
}
