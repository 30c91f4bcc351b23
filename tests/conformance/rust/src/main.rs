//! The service that W3C's trace-context harness calls, on floe's Rust host: `just w3c-service rust PORT`.

mod calls;
mod service;

use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use floe_telemetry::{MANIFEST_VARIABLE, Manifest, TelemetryProvider};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// The manifest where `FLOE_TELEMETRY_MANIFEST` names none.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifest.yaml");

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let port = std::env::args()
        .nth(1)
        .ok_or("usage: floe-telemetry-conformance PORT")?
        .parse()?;
    let manifest = std::env::var_os(MANIFEST_VARIABLE).unwrap_or_else(|| MANIFEST.into());
    let telemetry = TelemetryProvider::from_manifest(&Manifest::read(manifest)?)?;
    Runtime::new()?.block_on(serve(port))?;
    if let Err(undelivered) = telemetry.shutdown() {
        eprintln!("{undelivered}");
    }
    let spans = telemetry.counts().traces;
    println!(
        "spans: {} produced, {} delivered",
        spans.produced, spans.delivered
    );
    Ok(())
}

/// Serves until SIGINT or SIGTERM; requests that are under way are finished.
async fn serve(port: u16) -> Result<(), Box<dyn Error>> {
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, service::router()?)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        })
        .await?;
    Ok(())
}
