//! `floe-telemetry doctor`: tries everything that telemetry needs, step by step, and says what is wrong and what to do.

mod advice;
mod certificate;
mod finding;

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use floe_telemetry::{
    Component, Error, Exporter, Exporters, Header, Manifest, Plan, Policy, Protocol, Signal, destination,
    probe, render, resolve_header,
};
use floe_telemetry_otlp::{Reach, Runtime, Speech};

use crate::Failure;
use finding::{Finding, Report, Step};

/// A manifest to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The manifest file.
    manifest: PathBuf,
    /// Longest time for the way to the Collector and the answers from it, in seconds.
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
        deadline: Instant::now() + limit,
    };
    // All endpoints at once: one that does not answer takes no time from the others.
    thread::scope(|scope| {
        let endpoints: Vec<_> = endpoints(&plan)
            .into_iter()
            .map(|endpoint| {
                let title = endpoint.title();
                let doctor = &doctor;
                (title, scope.spawn(move || doctor.examine(&endpoint)))
            })
            .collect();
        for (title, examined) in endpoints {
            report.part(&title);
            for finding in examined
                .join()
                .map_err(|_| "the examination of an endpoint ended early")?
            {
                report.add(finding);
            }
        }
        Ok(())
    })
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

impl Endpoint<'_> {
    fn title(&self) -> String {
        let protocol = match self.exporter.protocol {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
        };
        format!("{} ({protocol})", self.origin)
    }
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
    deadline: Instant,
}

impl Doctor<'_> {
    fn examine(&self, endpoint: &Endpoint<'_>) -> Vec<Finding> {
        let (mut found, ready) = self.headers(endpoint);
        found.extend(certificate::examine(&endpoint.exporter.tls));
        let connected = self.connect(endpoint, &mut found);
        let (tried, left): (Vec<_>, Vec<_>) = endpoint
            .signals
            .iter()
            .partition(|signal| connected.is_some() && ready.contains(signal));
        if let Some(connected) = connected {
            found.extend(self.export(&tried, &connected));
        }
        found.extend(
            left.into_iter().map(|signal| {
                Finding::skipped(Step::Export, name(signal), "not tried, for the reason above")
            }),
        );
        found
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Resolves each header once and answers what came of it, and the signals that have all of theirs.
    fn headers(&self, endpoint: &Endpoint<'_>) -> (Vec<Finding>, Vec<Signal>) {
        let mut known: Vec<(&Header, bool)> = Vec::new();
        let (mut findings, mut ready) = (Vec::new(), Vec::new());
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
                    let resolved = resolve_header(header, self.manifest);
                    known.push((header, resolved.is_ok()));
                    let is_found = resolved.is_ok();
                    match resolved {
                        Ok(origin) => findings.push(Finding::good(
                            Step::Header,
                            &header.name,
                            format!("found: {origin}"),
                        )),
                        Err(problems) => findings.extend(
                            problems
                                .iter()
                                .map(|problem| Finding::problem(Step::Header, &header.name, problem)),
                        ),
                    }
                    is_found
                });
            }
            if all {
                ready.push(*signal);
            }
        }
        (findings, ready)
    }

    /// Resolves the name, connects, and does the TLS handshake, all of it as the exporter does.
    fn connect(&self, endpoint: &Endpoint<'_>, found: &mut Vec<Finding>) -> Option<Connected> {
        let bare = Exporter {
            headers: Vec::new(),
            ..endpoint.exporter.clone()
        };
        let collector = match destination(&bare, self.manifest) {
            Ok(collector) => collector,
            Err(problems) => {
                found.extend(
                    problems
                        .iter()
                        .map(|problem| Finding::problem(Step::Tls, "", problem)),
                );
                return None;
            }
        };
        let reach = match Reach::new(&collector, &self.runtime, self.deadline) {
            Ok(reach) => reach,
            Err(error) => {
                found.push(Finding::bad(
                    Step::Name,
                    "",
                    "FLOE-X002",
                    error.to_string(),
                    "correct the endpoint in the manifest",
                ));
                return None;
            }
        };
        if let Some(proxy) = reach.proxy() {
            found.push(Finding::good(
                Step::Connection,
                "",
                format!("goes through the proxy {proxy}, which the environment names"),
            ));
        }
        let failed =
            |step, unreached: &_| self.redacted(advice::unreached(step, unreached, endpoint.exporter));
        match reach.resolve() {
            Ok(addresses) => {
                let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                found.push(Finding::good(Step::Name, "", shown.join(", ")));
            }
            Err(unreached) => {
                found.push(failed(Step::Name, &unreached));
                return None;
            }
        }
        let reached = match reach.connect() {
            Ok(reached) => reached,
            Err(unreached) => {
                found.push(failed(Step::Connection, &unreached));
                return None;
            }
        };
        let address = reached.address;
        found.push(Finding::good(
            Step::Connection,
            "",
            format!("{address} accepts connections"),
        ));
        if reach.is_secure() {
            match reach.secure(reached) {
                Ok(secured) => found.push(Finding::good(
                    Step::Tls,
                    "",
                    format!("{}, and the certificate is trusted", secured.version),
                )),
                Err(unreached) => {
                    found.push(failed(Step::Tls, &unreached));
                    return None;
                }
            }
        }
        Some(Connected {
            reach,
            address,
            speech: OnceCell::new(),
        })
    }

    /// Sends one item of each of these signals, all at once.
    fn export(&self, signals: &[Signal], connected: &Connected) -> Vec<Finding> {
        let only = |signal| {
            of(self.plan, signal)
                .filter(|_| signals.contains(&signal))
                .cloned()
        };
        let plan = Plan {
            exporters: Exporters {
                traces: only(Signal::Traces),
                metrics: only(Signal::Metrics),
                logs: only(Signal::Logs),
            },
            ..self.plan.clone()
        };
        let left = self.left();
        let (answered, answers) = mpsc::channel();
        let (policy, plan, manifest) = (&self.policy, &plan, self.manifest);
        let result = thread::scope(|scope| {
            scope.spawn(move || {
                // Whoever waits for it is in this scope.
                let _ = answered.send(probe(policy, plan, manifest, left));
            });
            // A server that is slow may be one that does not understand what it is sent: it is asked meanwhile.
            answers.recv_timeout(left / 2).or_else(|_| {
                connected.speech();
                answers.recv()
            })
        });
        let probes = match result {
            Ok(Ok(probes)) => probes,
            Ok(Err(problems)) => {
                let each = signals.iter().flat_map(|signal| {
                    let of = |problem| Finding::problem(Step::Export, name(*signal), problem);
                    problems.iter().map(of)
                });
                return each.collect();
            }
            Err(_) => return Vec::new(),
        };
        SIGNALS
            .into_iter()
            .zip([probes.traces, probes.metrics, probes.logs])
            .filter_map(|(signal, result)| {
                let exporter = of(self.plan, signal)?;
                // Who speaks what is asked only where that may be the reason: it takes connections of its own.
                let speech = || connected.speech();
                let finding = advice::answer(name(signal), &result?, exporter, speech);
                Some(self.redacted(finding))
            })
            .collect()
    }

    /// A finding that holds words of others.
    fn redacted(&self, finding: Finding) -> Finding {
        finding.with_message(|message| self.policy.without_secrets(message))
    }
}

/// An endpoint that answers.
struct Connected {
    reach: Reach,
    address: SocketAddr,
    speech: OnceCell<Speech>,
}

impl Connected {
    /// What the server speaks. It is asked once.
    fn speech(&self) -> Speech {
        *self.speech.get_or_init(|| self.reach.speech(self.address))
    }
}
