//! `floe-telemetry receive`

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use floe_telemetry_receiver::{
    BANNER, JsonLines, Limits, LiveOptions, LivePrinter, Options, Receiver, Sink, Store, Style,
};
use tokio::sync::oneshot;

use crate::Failure;
use crate::child::terminate;

/// Where to listen and what to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port for OTLP/gRPC; 0 takes a free one.
    #[arg(long, default_value_t = 4317)]
    grpc_port: u16,
    /// Port for OTLP/HTTP; 0 takes a free one.
    #[arg(long, default_value_t = 4318)]
    http_port: u16,
    /// Also writes what arrives as OTLP JSON lines: traces.jsonl, metrics.jsonl and logs.jsonl in this directory.
    #[arg(long, value_name = "DIR")]
    json: Option<PathBuf>,
    /// Seconds between prints of the metrics; without it they are printed at the end.
    #[arg(long, value_name = "SECONDS")]
    metrics_every: Option<u64>,
    #[command(flatten)]
    style: StyleArguments,
}

/// How things are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct StyleArguments {
    /// Shows attributes and stack traces as well.
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Shows no log records.
    #[arg(long)]
    no_logs: bool,
}

impl StyleArguments {
    pub(crate) fn style(&self) -> Style {
        Style {
            verbose: self.verbose,
            logs: !self.no_logs,
            ..Style::for_stdout()
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    tokio::runtime::Runtime::new()?.block_on(receive(arguments))?;
    Ok(ExitCode::SUCCESS)
}

async fn receive(arguments: &Arguments) -> Result<(), Failure> {
    let address = |port| Some(SocketAddr::new(arguments.host, port));
    let receiver = Receiver::bind(Options {
        grpc: address(arguments.grpc_port),
        http: address(arguments.http_port),
    })
    .await?;
    crate::say(BANNER);
    for (name, address) in [
        ("OTLP/gRPC", receiver.grpc_addr()),
        ("OTLP/HTTP", receiver.http_addr()),
    ] {
        crate::say(format_args!(
            "{name}: http://{}",
            address.map(|address| address.to_string()).unwrap_or_default()
        ));
    }
    crate::say(format_args!("Ctrl-C ends it and prints what is left.\n"));

    let store = Arc::new(Store::new(Limits::default()));
    let mut sinks: Vec<Arc<dyn Sink>> = vec![store.clone()];
    if let Some(directory) = &arguments.json {
        sinks.push(Arc::new(JsonLines::to_directory(directory)?));
    }
    let options = LiveOptions {
        metrics_every: arguments.metrics_every.map(Duration::from_secs),
        ..LiveOptions::default()
    };
    let printer = LivePrinter::new(store, options, arguments.style.style());
    let (ended, end) = oneshot::channel();
    let mut printing = tokio::spawn(async move {
        let end = async {
            let _ = end.await;
        };
        printer.run(&mut anstream::stdout(), end).await
    });
    let mut terminate = terminate()?;
    let mut printed = None;
    let result = receiver
        .serve(Arc::new(sinks), async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                () = terminate.next() => {}
                // Who reads it wants no more of it.
                result = &mut printing => printed = Some(result),
            }
        })
        .await;
    let _ = ended.send(());
    let printed = match printed {
        Some(printed) => printed,
        None => printing.await,
    };
    match printed? {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    Ok(result?)
}
