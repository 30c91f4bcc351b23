//! What a backend declares of a setting.

use crate::bindings::exports::floe::telemetry::backends::{self, SettingType};
use crate::text::{Form, LINE};
use crate::url;

/// A setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub presence: Presence,
    /// What it is for.
    pub description: &'static str,
}

/// What a setting holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text of a form.
    Text(Form),
    /// A whole number from the first to the second.
    Integer(u32, u32),
    /// `true` or `false`.
    Boolean,
    /// A URL of one of these schemes.
    Url(&'static [&'static str]),
    /// The name of an environment variable of the Collector that holds a secret.
    Secret,
}

/// Whether a setting must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It need not.
    Optional,
    /// This, as JSON text, stands where it is not.
    Default(&'static str),
}

impl Setting {
    /// An optional setting.
    pub const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            presence: Presence::Optional,
            description,
        }
    }

    /// The same, required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    /// The same, with a default as JSON text.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.presence = Presence::Default(default);
        self
    }

    /// As the contract has it.
    pub fn described(&self) -> backends::Setting {
        let choices = match self.kind {
            Kind::Text(Form::Word(words)) => format!(" One of: {}.", words.join(", ")),
            Kind::Integer(least, most) => format!(" From {least} to {most}."),
            Kind::Text(Form::Of(..)) | Kind::Boolean | Kind::Url(_) | Kind::Secret => String::new(),
        };
        backends::Setting {
            name: self.name.to_owned(),
            type_: match self.kind {
                Kind::Text(_) | Kind::Secret => SettingType::Text,
                Kind::Integer(..) => SettingType::Integer,
                Kind::Boolean => SettingType::Boolean,
                Kind::Url(_) => SettingType::Url,
            },
            required: self.presence == Presence::Required,
            secret: matches!(self.kind, Kind::Secret),
            default: match self.presence {
                Presence::Default(default) => default.to_owned(),
                Presence::Required | Presence::Optional => String::new(),
            },
            description: format!("{}{choices}", self.description),
        }
    }
}

/// `endpoint` of a server that speaks HTTP or gRPC.
pub const ENDPOINT: Setting = Setting::new(
    "endpoint",
    Kind::Url(url::WEB),
    "URL of the server; `https` encrypts, `http` does not.",
);
/// `protocol` of OTLP.
pub const PROTOCOL: Setting = Setting::new(
    "protocol",
    Kind::Text(Form::Word(&["grpc", "http"])),
    "How OTLP is sent.",
);
/// `tenant` of a server of many tenants.
pub const TENANT: Setting = Setting::new(
    "tenant",
    Kind::Text(crate::text::TENANT),
    "Tenant, sent as the header X-Scope-OrgID.",
);
/// `ca_file` of an endpoint with TLS.
pub const CA_FILE: Setting = Setting::new(
    "ca_file",
    Kind::Text(LINE),
    "File, where the Collector runs, with the certificates of the authority that the server's certificate is from.",
);
/// What a server of one's own, or a proxy before it, may ask for.
pub const ACCESS: &[Setting] = &[
    Setting::new("token", Kind::Secret, "Variable with a bearer token."),
    Setting::new("username", Kind::Text(LINE), "User of HTTP Basic authentication."),
    Setting::new(
        "password",
        Kind::Secret,
        "Variable with the password of HTTP Basic authentication.",
    ),
    CA_FILE,
];
