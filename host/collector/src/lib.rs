//! A manifest's whole OpenTelemetry Collector configuration: receivers, checks, sampling, queues and the backends' parts, for an agent beside the applications or
//! for the gateway tier behind agents; as plain configuration, as values of the Collector's Helm chart, or as a resource of the OpenTelemetry Operator.
//!
//! Pure: the same [`Deployment`](floe_telemetry::Deployment) and the same backends make the same text. Nothing is read, written or asked for here, but for the
//! backends' components, which are pure themselves. docs/collector.md says what is made and by which rules it is sized.

pub mod component_id;
pub mod configuration;
mod diagnostic;
mod document;
mod fragment;
mod gateway;
mod kubernetes;
mod object;
mod outlet;
mod pipelines;
mod queue;
mod receiver;
mod service;
pub mod sizing;
mod tail;
mod target;
pub mod version;

pub use configuration::{Configuration, Site, Topology};
pub use document::{Format, Origin, network_policy};
pub use kubernetes::Label;
pub use target::{Target, Unrendered};
