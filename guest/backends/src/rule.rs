//! Which settings of a backend go together.

use crate::diagnostic::{self, Findings, error};
use crate::settings::Settings;

/// A rule about several settings.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Just one of these.
    ExactlyOne(&'static [&'static str]),
    /// Not both.
    NotBoth(&'static str, &'static str),
    /// Where the first is, the second must be.
    Needs(&'static str, &'static str),
}

/// The rules of [`crate::setting::ACCESS`].
pub const ACCESS: &[Rule] = &[
    Rule::NotBoth("token", "username"),
    Rule::Needs("username", "password"),
    Rule::Needs("password", "username"),
];

impl Rule {
    /// Leaves a diagnostic where the settings break it.
    pub fn check(self, settings: &Settings, findings: &mut Findings) {
        let refused = match self {
            Self::ExactlyOne(names) => match names.iter().filter(|name| settings.is_given(name)).count() {
                1 => None,
                0 => Some((
                    diagnostic::MISSING_SETTING,
                    names.first(),
                    "is missing",
                    names.join(" or "),
                )),
                _ => Some((
                    diagnostic::CONFLICT,
                    names.last(),
                    "is one too many",
                    format!("just one of {}", names.join(", ")),
                )),
            }
            .and_then(|(code, name, what, help)| Some((code, *name?, what.to_owned(), help))),
            Self::NotBoth(one, other) => (settings.is_given(one) && settings.is_given(other)).then(|| {
                (
                    diagnostic::CONFLICT,
                    other,
                    format!("does not go with {one}"),
                    format!("just one of {one}, {other}"),
                )
            }),
            Self::Needs(one, other) => (settings.is_given(one) && !settings.is_given(other)).then(|| {
                (
                    diagnostic::MISSING_SETTING,
                    other,
                    format!("is missing, which goes with {one}"),
                    format!("{other}, or leave {one} out"),
                )
            }),
        };
        if let Some((code, name, what, help)) = refused {
            findings.push(error(
                code,
                name,
                format!("{name} {what}"),
                format!("write {help}"),
            ));
        }
    }
}
