//! `authentication`: how an application proves to the Collector who it is.

use super::header::HeaderName;
use super::reference::{Secret, Text};
use crate::bindings::exports::floe::telemetry::configuration::{Header, Reference};
use crate::diagnostic::{self, Place};
use crate::fields::Findings;
use crate::kinds::{Choice, Unshown, WithPlace, Written};
use crate::settings::{Settings, Visitor};

/// A scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A header of its own.
    ApiKey,
    /// `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// `Authorization: Basic` (RFC 7617).
    Basic,
}

/// The section. What belongs to another scheme must not be there.
#[derive(Debug, Default, Clone)]
pub struct Authentication {
    scheme: Option<Written<Scheme>>,
    header_name: Option<Written<String>>,
    api_key: Option<Written<Vec<Reference>>>,
    bearer_token: Option<Written<Vec<Reference>>>,
    username: Option<Written<Vec<Reference>>>,
    password: Option<Written<Vec<Reference>>>,
}

impl Settings for Authentication {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) {
        const SCHEMES: &[(&str, Scheme)] = &[
            ("api_key", Scheme::ApiKey),
            ("bearer", Scheme::Bearer),
            ("basic", Scheme::Basic),
        ];
        visitor.maybe(
            "auth_type",
            "How the Collector tells who sends: `api_key`, `bearer` or `basic`.",
            WithPlace(Unshown(Choice(SCHEMES))),
            &mut self.scheme,
        );
        visitor.maybe(
            "header_name",
            "Header of the API key; `x-api-key` by default.",
            WithPlace(HeaderName),
            &mut self.header_name,
        );
        visitor.maybe(
            "api_key",
            "The API key, as a reference: `${env:NAME}` or `${file:/path}`.",
            WithPlace(Secret),
            &mut self.api_key,
        );
        visitor.maybe(
            "bearer_token",
            "The bearer token, as a reference.",
            WithPlace(Secret),
            &mut self.bearer_token,
        );
        visitor.maybe(
            "username",
            "User name of Basic authentication.",
            WithPlace(Text),
            &mut self.username,
        );
        visitor.maybe(
            "password",
            "Password of Basic authentication, as a reference.",
            WithPlace(Secret),
            &mut self.password,
        );
    }

    fn check(&self, place: &Place, findings: &mut Findings) {
        fn layer<T>(found: &Option<Written<T>>) -> Option<u8> {
            found.as_ref().map(|found| found.layer.precedence())
        }
        let settings = [
            ("header_name", layer(&self.header_name), Scheme::ApiKey),
            ("api_key", layer(&self.api_key), Scheme::ApiKey),
            ("bearer_token", layer(&self.bearer_token), Scheme::Bearer),
            ("username", layer(&self.username), Scheme::Basic),
            ("password", layer(&self.password), Scheme::Basic),
        ];
        let Some(scheme) = &self.scheme else {
            if place.is_refused("auth_type", findings) {
                return;
            }
            findings.push(place.error(
                diagnostic::MISSING_VALUE,
                "the authentication has no `auth_type`",
                "write auth_type: api_key, bearer or basic",
            ));
            return;
        };
        let (scheme, over) = (scheme.value, scheme.layer.precedence());
        for (name, layer, of) in settings {
            // What a lower layer says of another scheme went with that scheme.
            if of != scheme && layer.is_some_and(|layer| layer >= over) {
                findings.push(place.error(
                    diagnostic::CONFLICT,
                    format!("`{name}` does not go with this auth_type"),
                    format!("take `{name}` out, or choose another auth_type"),
                ));
            } else if of == scheme
                && layer.is_none()
                && name != "header_name"
                && !place.is_refused(name, findings)
            {
                findings.push(place.error(
                    diagnostic::MISSING_VALUE,
                    format!("the authentication has no `{name}`"),
                    format!("write `{name}`: ${{env:NAME}} for a variable of the process, or ${{file:/path}} for a file"),
                ));
            }
        }
    }
}

impl Authentication {
    /// The header that carries it, if the section is whole. It is of the uppermost layer that any of it is of.
    pub fn header(&self) -> Option<Written<Header>> {
        let of = self.scheme.as_ref()?;
        let (name, prefix, parts) = match of.value {
            Scheme::ApiKey => {
                let name = self.header_name.as_ref().map(|found| found.value.as_str());
                (name.unwrap_or("x-api-key"), "", vec![self.api_key.as_ref()?])
            }
            Scheme::Bearer => ("authorization", "Bearer ", vec![self.bearer_token.as_ref()?]),
            Scheme::Basic => (
                "authorization",
                "Basic ",
                vec![self.username.as_ref()?, self.password.as_ref()?],
            ),
        };
        let name_from = self.header_name.iter().filter(|_| of.value == Scheme::ApiKey);
        let written = std::iter::once((&of.place, of.layer))
            .chain(parts.iter().map(|part| (&part.place, part.layer)))
            .chain(name_from.map(|name| (&name.place, name.layer)));
        let (place, layer) = written.max_by_key(|(_, layer)| layer.precedence())?;
        let mut value = Vec::new();
        for part in &parts {
            if !value.is_empty() {
                value.push(Reference::Text(":".to_owned()));
            }
            value.extend(part.value.iter().cloned());
        }
        Some(Written {
            place: place.clone(),
            layer,
            value: Header {
                name: name.to_owned(),
                prefix: prefix.to_owned(),
                value,
                base64: of.value == Scheme::Basic,
            },
        })
    }
}
