//! `floe-telemetry demo`: the example pipeline, from a compile in Rust through Dagster to dbt, as one trace.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use floe_telemetry::{Error, Manifest, OperationKind, Outcome, Problem, TelemetryProvider};
use floe_telemetry_receiver::{BANNER, Limits, Options, Receiver, Store, render};
use tokio::process::Command;
use tokio::sync::oneshot;

use crate::receive::StyleArguments;
use crate::{Failure, compile, exec};

/// What to run and where its telemetry goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Lets one dbt test fail, and the run with it.
    #[arg(long)]
    fail: bool,
    /// Sends to this Collector and prints no trace; without it a development receiver is started for the time of the run.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// OTLP transport.
    #[arg(long, value_enum, default_value_t = Protocol::Http)]
    protocol: Protocol,
    /// Directory of the example.
    #[arg(long, value_name = "DIR", default_value = "examples/pipeline")]
    pipeline: PathBuf,
    /// Python with the example's packages.
    #[arg(long, value_name = "FILE", env = "FLOE_PYTHON", default_value = "python3")]
    python: PathBuf,
    /// Directory for what the run writes.
    #[arg(long, value_name = "DIR", env = "FLOE_EXAMPLE_STATE")]
    state: Option<PathBuf>,
    #[command(flatten)]
    style: StyleArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    fn variable(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let manifest = arguments.pipeline.join("manifest.yaml");
    let state = arguments
        .state
        .clone()
        .unwrap_or_else(|| arguments.pipeline.join("state"));
    let (endpoint, receiver) = match &arguments.endpoint {
        Some(endpoint) => (endpoint.clone(), None),
        None => {
            crate::say(BANNER);
            let receiver = Running::start(arguments.protocol)?;
            (receiver.endpoint.clone(), Some(receiver))
        }
    };
    crate::say(format_args!(
        "telemetry goes to {endpoint} by {}",
        arguments.protocol.variable()
    ));

    let configured = Manifest::read(&manifest)?
        .with_setting("otlp_endpoint", endpoint.as_str())
        .with_setting("otlp_protocol", arguments.protocol.variable());
    let telemetry = TelemetryProvider::from_manifest(&configured)?;
    crate::log(&telemetry);
    let outcome = pipeline(&telemetry, arguments, &manifest, &state, &endpoint);
    let undelivered = telemetry.shutdown();

    if let Some(receiver) = receiver {
        let store = receiver.stop()?;
        crate::say(format_args!(
            "\n{}",
            render(&store.snapshot(), &arguments.style.style())
        ));
    }
    if let Err(undelivered) = undelivered {
        crate::complain(&telemetry, undelivered);
    }
    let outcome = outcome?;
    let expected = if arguments.fail {
        Outcome::Failure
    } else {
        Outcome::Success
    };
    Ok(if outcome == expected {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Compile, and then the run that it starts.
fn pipeline(
    telemetry: &TelemetryProvider,
    arguments: &Arguments,
    manifest: &Path,
    state: &Path,
    endpoint: &str,
) -> Result<Outcome, Failure> {
    let mut launched = None;
    telemetry.compile("sales").run(|operation| {
        compile::compile(operation, manifest, state)?;
        launched = Some(operation.context().clone());
        Ok::<_, Error>(())
    })?;
    let parent = launched.unwrap_or_default();
    let mut operation = telemetry
        .operation(OperationKind::PipelineRun, "daily_sales")
        .parent(&parent)
        .begin();
    let log = state.join("pipeline.log");
    let output = File::create(&log)?;
    crate::say(format_args!(
        "Dagster runs the job daily_sales; its own output is in {}",
        log.display()
    ));

    let mut command = Command::new(&arguments.python);
    command
        .args(["-m", "sales_pipeline"])
        .args(arguments.fail.then_some("--fail"))
        .current_dir(&arguments.pipeline)
        .env("FLOE_EXAMPLE_STATE", state.canonicalize()?)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", arguments.protocol.variable())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let started = Instant::now();
    match exec::run_child(command, false, manifest, telemetry, &mut operation) {
        Ok(ended) => {
            crate::say(format_args!(
                "it ended with {} after {:.0} s",
                ended.status,
                started.elapsed().as_secs_f64()
            ));
            Ok(operation.end(&ended.word()))
        }
        Err(error) => {
            let problem = Problem::new(
                "FLOE-E001",
                format!("{} cannot be started: {error}", arguments.python.display()),
                "name a Python that has the example's packages with --python, or run `./justw demo`",
            );
            operation.fail("error", &problem);
            Err(problem.into())
        }
    }
}

/// A development receiver on a thread of its own.
struct Running {
    endpoint: String,
    store: Arc<Store>,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<Result<(), floe_telemetry_receiver::ReceiverError>>,
}

impl Running {
    fn start(protocol: Protocol) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Runtime::new()?;
        let free = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let options = match protocol {
            Protocol::Grpc => Options {
                grpc: free,
                http: None,
            },
            Protocol::Http => Options {
                grpc: None,
                http: free,
            },
        };
        let receiver = runtime.block_on(Receiver::bind(options))?;
        let address = receiver
            .grpc_addr()
            .or(receiver.http_addr())
            .ok_or("the receiver has no address")?;
        let store = Arc::new(Store::new(Limits::default()));
        let (stop, stopped) = oneshot::channel();
        let sink = store.clone();
        let thread = thread::spawn(move || {
            runtime.block_on(receiver.serve(sink, async move {
                let _ = stopped.await;
                // Child processes flush before they end, so what is on its way comes within moments.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }))
        });
        Ok(Self {
            endpoint: format!("http://{address}"),
            store,
            stop,
            thread,
        })
    }

    fn stop(self) -> Result<Arc<Store>, Failure> {
        let _ = self.stop.send(());
        self.thread.join().map_err(|_| "the receiver ended early")??;
        Ok(self.store)
    }
}
