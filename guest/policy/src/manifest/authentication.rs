//! `authentication`: how an application proves to the Collector who it is.

use super::header::HeaderName;
use super::reference::{Secret, Text};
use crate::bindings::exports::floe::telemetry::configuration::{Header, Reference};
use crate::diagnostic::{self, Place};
use crate::fields::Findings;
use crate::kinds::{Choice, Unshown};
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
    scheme: Option<Scheme>,
    header_name: Option<String>,
    api_key: Option<Vec<Reference>>,
    bearer_token: Option<Vec<Reference>>,
    username: Option<Vec<Reference>>,
    password: Option<Vec<Reference>>,
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
            Unshown(Choice(SCHEMES)),
            &mut self.scheme,
        );
        visitor.maybe(
            "header_name",
            "Header of the API key; `x-api-key` by default.",
            HeaderName,
            &mut self.header_name,
        );
        visitor.maybe(
            "api_key",
            "The API key, as a reference: `${env:NAME}` or `${file:/path}`.",
            Secret,
            &mut self.api_key,
        );
        visitor.maybe(
            "bearer_token",
            "The bearer token, as a reference.",
            Secret,
            &mut self.bearer_token,
        );
        visitor.maybe(
            "username",
            "User name of Basic authentication.",
            Text,
            &mut self.username,
        );
        visitor.maybe(
            "password",
            "Password of Basic authentication, as a reference.",
            Secret,
            &mut self.password,
        );
    }

    fn check(&self, place: &Place, findings: &mut Findings) {
        let settings = [
            ("header_name", self.header_name.is_some(), Scheme::ApiKey),
            ("api_key", self.api_key.is_some(), Scheme::ApiKey),
            ("bearer_token", self.bearer_token.is_some(), Scheme::Bearer),
            ("username", self.username.is_some(), Scheme::Basic),
            ("password", self.password.is_some(), Scheme::Basic),
        ];
        let Some(scheme) = self.scheme else {
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
        for (name, is_there, of) in settings {
            if of != scheme && is_there {
                findings.push(place.error(
                    diagnostic::CONFLICT,
                    format!("`{name}` does not go with this auth_type"),
                    format!("take `{name}` out, or choose another auth_type"),
                ));
            } else if of == scheme && !is_there && name != "header_name" && !place.is_refused(name, findings)
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
    /// The header that carries it, if the section is whole.
    pub fn header(&self) -> Option<Header> {
        let (name, prefix, value) = match self.scheme? {
            Scheme::ApiKey => {
                let name = self.header_name.as_deref().unwrap_or("x-api-key");
                (name, "", self.api_key.clone()?)
            }
            Scheme::Bearer => ("authorization", "Bearer ", self.bearer_token.clone()?),
            Scheme::Basic => {
                let mut value = self.username.clone()?;
                value.push(Reference::Text(":".to_owned()));
                value.extend(self.password.clone()?);
                ("authorization", "Basic ", value)
            }
        };
        Some(Header {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            value,
            base64: self.scheme == Some(Scheme::Basic),
        })
    }
}
