//! The backends that have exporters of their own, or more than one.

pub mod aws_xray;
pub mod azure_monitor;
pub mod clickhouse;
pub mod datadog;
pub mod debug;
pub mod google_cloud;
pub mod prometheus;
pub mod splunk;
