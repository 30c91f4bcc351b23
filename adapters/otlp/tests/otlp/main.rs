//! The exporters against servers in this process.

mod certificates;
mod export;
mod server;
mod tls;
mod wire;
