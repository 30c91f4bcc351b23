//! W3C Baggage: members with their properties, within the limits.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::bindings::exports::floe::telemetry::types::Diagnostic;
use crate::diagnostic::{self, Place, shown};
use crate::tracestate::trim;

/// What propagates at least (W3C Baggage section 3.3.2, which guarantees 64 members besides), and here at most.
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

/// One member, canonical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    key: Cow<'a, str>,
    /// The whole member, key and properties included.
    text: Cow<'a, str>,
}

/// A canonical list and what was left out of it.
#[derive(Debug, Default, PartialEq)]
pub struct Canonical {
    /// The list.
    pub text: String,
    /// Why something was left out.
    pub problems: Vec<Diagnostic>,
}

/// Makes a list canonical, with `ours` appended where no member has their key. Over the limit, a member of each of our keys stays, then other
/// `floe.*` ones, then the first of the rest; never a part of a member. `ours` fit on their own: their values are names.
pub fn canonical<'a>(header: &'a str, ours: &'a [Member<'a>]) -> Canonical {
    let mut problems = Vec::new();
    let (mut members, mut malformed, mut bytes) = (Vec::new(), Vec::new(), 0);
    for text in header.split(',').map(trim).filter(|text| !text.is_empty()) {
        match Member::parse(text) {
            Some(member) => {
                bytes += member.text.len() + 1;
                members.push(member);
            }
            None => malformed.push(text),
        }
    }
    if !malformed.is_empty() {
        let starts: Vec<String> = malformed
            .iter()
            .take(MOST_REPORTED)
            .map(|text| shown(trim(text.split('=').next().unwrap_or_default())))
            .collect();
        problems.push(Place::named("baggage").warning(
            diagnostic::BAGGAGE,
            format!(
                "{} malformed members are left out, starting {}",
                malformed.len(),
                starts.join(", ")
            ),
            "send key=value members as W3C Baggage section 3.3 says",
        ));
    }
    for our in ours {
        if members.iter().all(|member| member.key != our.key) {
            bytes += our.text.len() + 1;
            members.push(our.borrowed());
        }
    }
    if bytes > MOST_BYTES + 1 {
        let before = members.len();
        members = within_limits(members, ours);
        problems.push(Place::named("baggage").warning(
            diagnostic::BAGGAGE_LIMIT,
            format!("{} members are left out", before - members.len()),
            format!("send at most {MOST_BYTES} bytes"),
        ));
    }
    let mut text = String::with_capacity(bytes);
    for member in &members {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&member.text);
    }
    Canonical { text, problems }
}

/// The members that fit; their order stays. Whoever sends them cannot push ours out: of our keys the first member stays, or our own where that one
/// leaves the others of ours no room.
fn within_limits<'a>(mut members: Vec<Member<'a>>, ours: &'a [Member<'a>]) -> Vec<Member<'a>> {
    let mut kept = vec![false; members.len()];
    let mut bytes: usize = ours.iter().map(|our| our.text.len() + 1).sum();
    for our in ours {
        let first = kept
            .iter_mut()
            .zip(&mut members)
            .find(|(_, member)| member.key == our.key);
        if let Some((keep, member)) = first {
            let with_theirs = bytes - our.text.len() + member.text.len();
            if with_theirs <= MOST_BYTES + 1 {
                bytes = with_theirs;
            } else {
                *member = our.borrowed();
            }
            *keep = true;
        }
    }
    for floe in [true, false] {
        for (keep, member) in kept.iter_mut().zip(&members) {
            let size = member.text.len() + 1;
            if !*keep && member.key.starts_with("floe.") == floe && bytes + size <= MOST_BYTES + 1 {
                (*keep, bytes) = (true, bytes + size);
            }
        }
    }
    let kept = members.into_iter().zip(kept);
    kept.filter(|(_, keep)| *keep).map(|(member, _)| member).collect()
}

impl<'a> Member<'a> {
    /// A member with a value that is not encoded.
    pub fn new(key: &'a str, value: &str) -> Self {
        let text = format!("{key}={}", utf8_percent_encode(value, ENCODED));
        Self {
            key: key.into(),
            text: text.into(),
        }
    }

    fn borrowed(&self) -> Member<'_> {
        Member {
            key: Cow::Borrowed(&self.key),
            text: Cow::Borrowed(&self.text),
        }
    }

    /// `key OWS = OWS value *( OWS ; OWS property )`. A value that is not percent-encoded UTF-8 gets U+FFFD where it is broken;
    /// any other stays as it came.
    fn parse(text: &'a str) -> Option<Self> {
        let (member, properties) = match text.find(';') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let (key, value) = member.split_once('=')?;
        let (key, value) = (trim(key), trim(value));
        let printable = properties
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t');
        if !is_token(key) || !printable {
            return None;
        }
        if !is_encoded(value) {
            let value = percent_decode_str(value).decode_utf8_lossy();
            let Self { key, text } = Self::new(key, &value);
            return Some(Self {
                key,
                text: (text.into_owned() + properties).into(),
            });
        }
        let compact = key.len() + 1 + value.len() + properties.len() == text.len();
        Some(Self {
            key: key.into(),
            text: if compact {
                text.into()
            } else {
                format!("{key}={value}{properties}").into()
            },
        })
    }
}

/// Whether a value is of baggage-octets, and percent-encoded UTF-8 (section 3.3.1).
fn is_encoded(value: &str) -> bool {
    let octets = value
        .bytes()
        .all(|byte| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e));
    if !octets || !value.contains('%') {
        return octets;
    }
    let mut after = value.split('%');
    after.next();
    let escaped = |text: &str| text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    after.all(escaped) && percent_decode_str(value).decode_utf8().is_ok()
}

/// Whether a key is a token (RFC 9110 section 5.6.2).
pub fn is_token(key: &str) -> bool {
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
        let found = canonical(&flood.join(","), &[Member::new("floe.namespace", "acme.sales")]);
        assert!(found.text.ends_with(",floe.namespace=acme.sales"));
        assert!(found.text.len() <= MOST_BYTES);
        assert_eq!(found.problems.len(), 1);
    }

    #[test]
    fn ours_survive_members_of_their_keys() {
        let ours = [
            Member::new("floe.namespace", "acme.sales"),
            Member::new("floe.mode", "dev"),
        ];
        for header in [
            vec!["floe.mode=x"; 2_000].join(","),
            format!("floe.mode={}", "x".repeat(8_178)),
            format!("floe.mode={}", "x".repeat(9_000)),
        ] {
            let once = canonical(&header, &ours).text;
            assert!(once.len() <= MOST_BYTES);
            assert!(once.contains("floe.namespace=acme.sales") && once.contains("floe.mode="));
            assert_eq!(canonical(&once, &ours).text, once);
        }
    }

    proptest::proptest! {
        #[test]
        fn canonical_text_stays_as_it_is(text in "[a-zé%0-9=;, \t\"]{0,60}") {
            let once = canonical(&text, &[]).text;
            proptest::prop_assert_eq!(&canonical(&once, &[]).text, &once);
        }

        #[test]
        fn what_is_well_formed_is_not_touched(members in proptest::collection::vec("[a-z]{1,5}=([!#-+\\--:<-\\[\\]-~&&[^%]]|%[2-7][0-9A-F]|%C3%A9){0,9}(;[a-z ]{0,3}=[ -+]{0,3}[a-z])?", 0..64)) {
            let text = members.join(",");
            proptest::prop_assert_eq!(&canonical(&text, &[]).text, &text);
        }

        #[test]
        fn any_value_comes_back(value in "\\PC*") {
            let text = canonical("", &[Member::new("key", &value)]).text;
            let back: String = text.split_once('=').map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned()).unwrap_or_default();
            proptest::prop_assert_eq!(back, value);
        }
    }
}
