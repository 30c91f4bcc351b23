//! Baggage: the SDK's members beside the text in which they came, and which of them become attributes.

use std::borrow::Cow;

use opentelemetry::baggage::{Baggage, BaggageExt, BaggageMetadata};
use opentelemetry::{Context, Key, KeyValue, StringValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::bindings::exports::floe::telemetry::configuration::Plan;

/// The text that the context's baggage came from. The SDK's baggage has no order and no duplicates.
struct Received {
    text: String,
    /// Keeps that baggage alive, so that no other has its address.
    context: Context,
}

/// The context with the members of canonical text.
pub(crate) fn with_text(context: &Context, text: String) -> Context {
    let mut baggage = Baggage::new();
    for member in text.split(',') {
        let (member, properties) = member.split_once(';').unwrap_or((member, ""));
        if let Some((key, value)) = member.split_once('=') {
            let value = match percent_decode_str(value).decode_utf8_lossy() {
                Cow::Borrowed(value) => value.to_owned(),
                Cow::Owned(value) => value,
            };
            baggage.insert_with_metadata(
                Key::from(key.to_owned()),
                StringValue::from(value),
                BaggageMetadata::from(properties.to_owned()),
            );
        }
    }
    let context = context.with_baggage(baggage);
    context.with_value(Received {
        text,
        context: context.clone(),
    })
}

/// The context's baggage as text: as it was received if nobody changed it since. The policy makes it canonical.
pub(crate) fn text(context: &Context) -> Cow<'_, str> {
    let baggage = context.baggage();
    if let Some(received) = context.get::<Received>()
        && std::ptr::eq(received.context.baggage(), baggage)
    {
        return Cow::Borrowed(&received.text);
    }
    let members: Vec<String> = baggage
        .iter()
        .map(|(key, (value, metadata))| {
            let value = utf8_percent_encode(value.as_str(), NON_ALPHANUMERIC);
            match metadata.as_str() {
                "" => format!("{key}={value}"),
                properties => format!("{key}={value};{properties}"),
            }
        })
        .collect();
    Cow::Owned(members.join(","))
}

/// Which members become attributes of spans and log records.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowList {
    /// Keys, or the starts of keys before a `*`.
    allowed: Vec<String>,
    /// Keys that say whose telemetry it is: they are never taken from what others sent.
    own: Vec<String>,
}

impl AllowList {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            allowed: plan.baggage.clone(),
            own: plan.attributes.iter().map(|own| own.key.clone()).collect(),
        }
    }

    /// Whether no member does.
    pub(crate) fn is_empty(&self) -> bool {
        self.allowed.is_empty()
    }

    /// The context's members that are allowed, as attributes.
    pub(crate) fn attributes<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = KeyValue> + 'a {
        let allowed = context
            .baggage()
            .iter()
            .filter(|(key, _)| self.allows(key.as_str()));
        allowed.map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone()))
    }

    fn allows(&self, key: &str) -> bool {
        let matches = |allowed: &String| match allowed.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => key == allowed,
        };
        self.allowed.iter().any(matches) && self.own.iter().all(|own| own != key)
    }
}
