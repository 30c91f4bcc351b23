//! `floe-telemetry doctor`: tries everything that telemetry needs, step by step, and says what is wrong and what to do.

mod advice;
mod certificate;
mod finding;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use floe_telemetry::{
    Component, Error, Exporter, Exporters, Header, Manifest, Plan, Policy, Protocol, Signal, destination,
    probe, render, resolve_header,
};
use floe_telemetry_otlp::{Reach, Runtime};

use crate::Failure;
use finding::{Finding, Report, Step};

/// A manifest to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The manifest file.
    manifest: PathBuf,
    /// Longest time for each step, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    timeout: f64,
    /// Prints the findings as JSON.
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number from 0.1 to 600".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut report = Report::new(arguments.json);
    examine(arguments, &mut report)?;
    report.finish();
    Ok(if report.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn examine(arguments: &Arguments, report: &mut Report) -> Result<(), Failure> {
    let file = arguments.manifest.display().to_string();
    report.part(&file);
    let manifest = match Manifest::read(&arguments.manifest) {
        Ok(manifest) => manifest,
        Err(problem) => {
            report.add(Finding::problem(Step::Manifest, "", &problem));
            return Ok(());
        }
    };
    let (policy, plan) = match Policy::configure(Component::load()?, &manifest) {
        Ok(configured) => configured,
        Err(Error::Manifest { file, diagnostics }) => {
            report.diagnostics(&diagnostics, &render(&file, &diagnostics));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    report.diagnostics(&plan.warnings, &render(&manifest.file, &plan.warnings));
    if !plan.enabled {
        report.add(Finding::good(
            Step::Manifest,
            "",
            "telemetry is off: nothing is sent, and context propagates",
        ));
        return Ok(());
    }
    report.add(Finding::good(
        Step::Manifest,
        "",
        format!("valid, for the environment {}", plan.environment),
    ));

    let limit = Duration::from_secs_f64(arguments.timeout);
    for signal in SIGNALS {
        if of(&plan, signal).is_none() {
            report.add(Finding::good(
                Step::Export,
                name(signal),
                "not exported: the manifest or a variable says so",
            ));
        }
    }
    let doctor = Doctor {
        runtime: Runtime::start()?,
        policy,
        plan: &plan,
        manifest: &manifest,
        limit,
    };
    for endpoint in endpoints(&plan) {
        doctor.examine(&endpoint, report);
    }
    Ok(())
}

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

fn of(plan: &Plan, signal: Signal) -> Option<&Exporter> {
    match signal {
        Signal::Traces => plan.exporters.traces.as_ref(),
        Signal::Metrics => plan.exporters.metrics.as_ref(),
        Signal::Logs => plan.exporters.logs.as_ref(),
    }
}

/// Signals that go the same way.
struct Endpoint<'a> {
    /// Scheme, host and port.
    origin: &'a str,
    /// The first of the signals' exporters: its protocol and its TLS are those of all.
    exporter: &'a Exporter,
    signals: Vec<Signal>,
}

fn endpoints(plan: &Plan) -> Vec<Endpoint<'_>> {
    let mut found: Vec<Endpoint<'_>> = Vec::new();
    for signal in SIGNALS {
        let Some(exporter) = of(plan, signal) else {
            continue;
        };
        let origin = origin(&exporter.endpoint);
        let same = found.iter_mut().find(|known| {
            (known.origin, known.exporter.protocol, &known.exporter.tls)
                == (origin, exporter.protocol, &exporter.tls)
        });
        match same {
            Some(known) => known.signals.push(signal),
            None => found.push(Endpoint {
                origin,
                exporter,
                signals: vec![signal],
            }),
        }
    }
    found
}

/// A URL without its path.
fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url
        .get(authority..)
        .and_then(|rest| rest.find('/'))
        .map_or(url.len(), |path| authority + path);
    url.get(..end).unwrap_or(url)
}

/// What every examination needs.
struct Doctor<'a> {
    runtime: Runtime,
    policy: Policy,
    plan: &'a Plan,
    manifest: &'a Manifest,
    limit: Duration,
}

impl Doctor<'_> {
    fn examine(&self, endpoint: &Endpoint<'_>, report: &mut Report) {
        let protocol = match endpoint.exporter.protocol {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
        };
        report.part(&format!("{} ({protocol})", endpoint.origin));
        let ready = self.headers(endpoint, report);
        certificate::examine(&endpoint.exporter.tls, report);
        let reach = self.connect(endpoint, report);
        for signal in &endpoint.signals {
            match &reach {
                Some(reach) if ready.contains(signal) => self.export(*signal, reach, report),
                _ => report.add(Finding::skipped(
                    Step::Export,
                    name(*signal),
                    "not tried, for the reason above",
                )),
            }
        }
    }

    /// Resolves each header once and answers the signals that have all of theirs.
    fn headers(&self, endpoint: &Endpoint<'_>, report: &mut Report) -> Vec<Signal> {
        let mut known: Vec<(&Header, bool)> = Vec::new();
        let mut ready = Vec::new();
        for signal in &endpoint.signals {
            let mut all = true;
            for header in of(self.plan, *signal)
                .into_iter()
                .flat_map(|exporter| &exporter.headers)
            {
                let found = known
                    .iter()
                    .find(|(other, _)| *other == header)
                    .map(|(_, found)| *found);
                all &= found.unwrap_or_else(|| {
                    let found = match resolve_header(header, self.manifest) {
                        Ok(origin) => {
                            report.add(Finding::good(
                                Step::Header,
                                &header.name,
                                format!("found: {origin}"),
                            ));
                            true
                        }
                        Err(problems) => {
                            for problem in &problems {
                                report.add(Finding::problem(Step::Header, &header.name, problem));
                            }
                            false
                        }
                    };
                    known.push((header, found));
                    found
                });
            }
            if all {
                ready.push(*signal);
            }
        }
        ready
    }

    /// Resolves the name, connects, and does the TLS handshake.
    fn connect(&self, endpoint: &Endpoint<'_>, report: &mut Report) -> Option<Connected> {
        let bare = Exporter {
            headers: Vec::new(),
            ..endpoint.exporter.clone()
        };
        let collector = match destination(&bare, self.manifest) {
            Ok(collector) => collector,
            Err(problems) => {
                for problem in &problems {
                    report.add(Finding::problem(Step::Tls, "", problem));
                }
                return None;
            }
        };
        let reach = match Reach::new(&collector, &self.runtime, self.limit) {
            Ok(reach) => reach,
            Err(error) => {
                report.add(Finding::bad(
                    Step::Name,
                    "",
                    "FLOE-X002",
                    error.to_string(),
                    "correct the endpoint in the manifest",
                ));
                return None;
            }
        };
        let failed = |step, unreached: &_, report: &mut Report| {
            report.add(advice::unreached(step, unreached, endpoint.exporter));
            None
        };
        let addresses = match reach.resolve() {
            Ok(addresses) => addresses,
            Err(unreached) => return failed(Step::Name, &unreached, report),
        };
        let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
        report.add(Finding::good(Step::Name, "", shown.join(", ")));
        let reached = match reach.connect(&addresses) {
            Ok(reached) => reached,
            Err(unreached) => return failed(Step::Connection, &unreached, report),
        };
        let address = reached.address;
        report.add(Finding::good(
            Step::Connection,
            "",
            format!("{address} accepts connections"),
        ));
        if reach.is_secure() {
            match reach.secure(reached) {
                Ok(secured) => report.add(Finding::good(
                    Step::Tls,
                    "",
                    format!("{}, and the certificate is trusted", secured.version),
                )),
                Err(unreached) => return failed(Step::Tls, &unreached, report),
            }
        }
        Some(Connected { reach, address })
    }

    /// Sends one item of a signal.
    fn export(&self, signal: Signal, connected: &Connected, report: &mut Report) {
        let Some(exporter) = of(self.plan, signal) else {
            return;
        };
        let mut plan = self.plan.clone();
        let all = std::mem::replace(
            &mut plan.exporters,
            Exporters {
                traces: None,
                metrics: None,
                logs: None,
            },
        );
        match signal {
            Signal::Traces => plan.exporters.traces = all.traces,
            Signal::Metrics => plan.exporters.metrics = all.metrics,
            Signal::Logs => plan.exporters.logs = all.logs,
        }
        match probe(&self.policy, &plan, self.manifest, self.limit) {
            Ok(probes) => {
                for result in [probes.traces, probes.metrics, probes.logs].into_iter().flatten() {
                    // Who speaks what is asked only where that may be the reason: it takes connections of its own.
                    let speech = || connected.reach.speech(connected.address);
                    report.add(advice::answer(name(signal), &result, exporter, speech));
                }
            }
            Err(problems) => {
                for problem in &problems {
                    report.add(Finding::problem(Step::Export, name(signal), problem));
                }
            }
        }
    }
}

/// An endpoint that answers.
struct Connected {
    reach: Reach,
    address: SocketAddr,
}
