//! What configurations hold. Whether the Collector agrees, tests/backends asks a real one.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up fails"
)]

use floe_telemetry::bindings::exports::floe::telemetry::collector::{
    Destination, Load, Server, Setting, TailSampling,
};
use floe_telemetry::{Backends, Deployment, Diagnostic, Signal};
use floe_telemetry_collector::{
    Configuration, Format, Label, Origin, Site, Target, Topology, Unrendered, network_policy,
};
use serde_json::{Value, json};

const ORIGIN: Origin<'static> = Origin {
    command: "a test",
    version: "0",
};

fn destination(backend: &str, settings: &[(&str, &str)]) -> Destination {
    Destination {
        backend: backend.to_owned(),
        version: String::new(),
        signals: Vec::new(),
        settings: settings
            .iter()
            .zip(21..)
            .map(|((name, value), line)| Setting {
                name: (*name).to_owned(),
                value: json!(value).to_string(),
                path: format!("plugins.telemetry_backend.config.{name}"),
                line,
                column: 7,
            })
            .collect(),
        secret: String::new(),
        path: "plugins.telemetry_backend".to_owned(),
        line: 20,
        column: 5,
    }
}

fn deployment(destinations: Vec<Destination>) -> Deployment {
    Deployment {
        version: "0.161.0".to_owned(),
        environment: "prod".to_owned(),
        destinations,
        directory: String::new(),
        gateway: String::new(),
        tail: None,
        storage: String::new(),
        load: Load {
            spans: 1000,
            logs: 1000,
            points: 1000,
            outage: 300,
        },
        tls: None,
        warnings: Vec::new(),
    }
}

fn targets(deployment: &Deployment) -> Result<Vec<Target>, Vec<Diagnostic>> {
    let backends = Backends::load(None).expect("the built-in backends");
    Target::render(&deployment.destinations, &backends, &deployment.version).map_err(|unrendered| {
        match unrendered {
            Unrendered::Refused(found) => found,
            Unrendered::Problem(problem) => panic!("{problem}"),
        }
    })
}

fn configured(deployment: &Deployment, topology: Topology) -> (Value, Configuration) {
    let targets = targets(deployment).expect("accepted");
    let configuration = Configuration::new(deployment, targets, topology, Site::Machine);
    (json!(configuration), configuration)
}

fn refused(destination: Destination) -> Vec<(String, String, u32, u32)> {
    targets(&deployment(vec![destination]))
        .expect_err("refused")
        .into_iter()
        .map(|found| (found.code, found.path, found.line, found.column))
        .collect()
}

fn codes(configuration: &Configuration) -> Vec<&str> {
    configuration
        .warnings
        .iter()
        .map(|found| found.code.as_str())
        .collect()
}

fn tail() -> Option<TailSampling> {
    Some(TailSampling {
        wait: 30,
        errors: true,
        slow: 5000,
        ratio: 0.1,
    })
}

#[test]
fn every_pipeline_begins_with_the_memory_limiter_or_behind_one_that_does() {
    let mut deployment = deployment(vec![
        destination("datadog", &[("api_key", "DD_API_KEY")]),
        destination("dynatrace", &[("environment", "abc"), ("token", "DT")]),
        destination("jaeger", &[]),
        destination("debug", &[]),
    ]);
    deployment.tail = tail();
    for version in ["0.161.0", "0.120.0"] {
        version.clone_into(&mut deployment.version);
        let (config, _) = configured(&deployment, Topology::Gateway);
        for (name, pipeline) in config["service"]["pipelines"].as_object().expect("pipelines") {
            let from_outside = pipeline["receivers"]
                .as_array()
                .expect("receivers")
                .contains(&json!("otlp"));
            assert_eq!(
                from_outside,
                pipeline["processors"][0] == "memory_limiter",
                "{name}: {pipeline}"
            );
        }
    }
}

#[test]
fn a_connector_sees_every_span_and_its_output_goes_to_its_backend_alone() {
    let mut deployment = deployment(vec![
        destination("datadog", &[("api_key", "DD_API_KEY")]),
        destination("prometheus", &[]),
    ]);
    let (config, _) = configured(&deployment, Topology::Gateway);
    let pipelines = &config["service"]["pipelines"];
    assert_eq!(
        pipelines["traces"]["exporters"],
        json!(["datadog/datadog-apm-stats", "datadog/datadog"])
    );
    assert_eq!(
        pipelines["metrics"]["exporters"],
        json!(["forward/datadog", "otlp_http/prometheus"])
    );
    assert_eq!(
        pipelines["metrics/datadog"],
        json!({
            "receivers": ["forward/datadog", "datadog/datadog-apm-stats"],
            "processors": [],
            "exporters": ["datadog/datadog"],
        })
    );
    deployment.tail = tail();
    let (config, _) = configured(&deployment, Topology::Gateway);
    let pipelines = &config["service"]["pipelines"];
    assert_eq!(
        pipelines["traces/all"],
        json!({
            "receivers": ["otlp"],
            "processors": ["memory_limiter", "transform/floe"],
            "exporters": ["datadog/datadog-apm-stats"],
        })
    );
    assert_eq!(
        pipelines["traces"]["processors"],
        json!(["memory_limiter", "transform/floe", "tail_sampling"])
    );
    assert_eq!(pipelines["traces"]["exporters"], json!(["datadog/datadog"]));
}

#[test]
fn a_connector_without_one_of_its_signals_is_left_out_aloud() {
    let mut datadog = destination("datadog", &[("api_key", "DD_API_KEY")]);
    datadog.signals = vec![Signal::Traces];
    let (config, configuration) = configured(&deployment(vec![datadog]), Topology::Agent);
    assert!(config.get("connectors").is_none());
    assert_eq!(codes(&configuration), ["FLOE-K007", "FLOE-K003", "FLOE-K003"]);
}

#[test]
fn one_backend_twice_has_ids_of_its_own_everywhere() {
    let basic = [
        ("endpoint", "https://a.acme.io"),
        ("username", "u"),
        ("password", "P"),
    ];
    let (config, configuration) = configured(
        &deployment(vec![
            destination("otlp", &basic),
            destination(
                "otlp",
                &[
                    ("endpoint", "https://b.acme.io"),
                    ("username", "v"),
                    ("password", "Q"),
                ],
            ),
        ]),
        Topology::Gateway,
    );
    assert_eq!(
        config["exporters"]["otlp_http/otlp"]["auth"]["authenticator"],
        "basicauth/otlp"
    );
    assert_eq!(
        config["exporters"]["otlp_http/otlp-2"]["auth"]["authenticator"],
        "basicauth/otlp-2"
    );
    assert_eq!(
        config["extensions"]["basicauth/otlp-2"]["client_auth"]["username"],
        "v"
    );
    assert_eq!(
        config["service"]["pipelines"]["logs"]["exporters"],
        json!(["otlp_http/otlp", "otlp_http/otlp-2"])
    );
    assert_eq!(
        config["service"]["extensions"],
        json!(["health_check", "basicauth/otlp", "basicauth/otlp-2"])
    );
    assert_eq!(configuration.variables, ["P", "Q"]);
}

#[test]
fn what_no_backend_takes_is_dropped_aloud() {
    let (config, configuration) = configured(&deployment(vec![destination("jaeger", &[])]), Topology::Agent);
    for signal in ["metrics", "logs"] {
        let pipeline = &config["service"]["pipelines"][signal];
        assert_eq!(pipeline["exporters"], json!(["debug/dropped"]));
    }
    assert_eq!(codes(&configuration), ["FLOE-K003", "FLOE-K003"]);
    // Nobody takes metrics, so the Collector's own do not go along.
    assert_eq!(
        config["service"]["telemetry"]["metrics"]["readers"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn what_is_not_sent_needs_nothing() {
    let mut splunk = destination(
        "splunk",
        &[
            ("realm", "us1"),
            ("access_token", "SPLUNK_TOKEN"),
            ("hec_endpoint", "https://hec:8088"),
            ("hec_token", "HEC_TOKEN"),
        ],
    );
    splunk.signals = vec![Signal::Logs];
    let (config, configuration) = configured(&deployment(vec![splunk]), Topology::Gateway);
    assert_eq!(configuration.variables, ["HEC_TOKEN"]);
    let exporters: Vec<&String> = config["exporters"]
        .as_object()
        .expect("exporters")
        .keys()
        .collect();
    assert_eq!(exporters, ["debug/dropped", "splunk_hec/splunk"]);
}

#[test]
fn what_is_wrong_has_its_place_in_the_manifest() {
    let at = |code: &str, setting: &str, line, column| {
        let path = match setting {
            "" => "plugins.telemetry_backend".to_owned(),
            setting => format!("plugins.telemetry_backend.config.{setting}"),
        };
        (code.to_owned(), path, line, column)
    };
    assert_eq!(
        refused(destination(
            "honeycomb",
            &[("region", "mars"), ("api_key", "hcaik_01"), ("dataset", "x")]
        )),
        [
            at("FLOE-B005", "region", 21, 7),
            at("FLOE-B007", "api_key", 22, 7),
            at("FLOE-B002", "dataset", 23, 7)
        ]
    );
    assert_eq!(refused(destination("datadog", &[])), [at("FLOE-B004", "", 20, 5)]);
    assert_eq!(refused(destination("zipkin", &[])), [at("FLOE-B001", "", 20, 5)]);
    let mut loki = destination("loki", &[]);
    loki.signals = vec![Signal::Logs, Signal::Traces];
    loki.version = "9.9.9".to_owned();
    assert_eq!(
        refused(loki),
        [at("FLOE-K001", "", 20, 5), at("FLOE-K002", "", 20, 5)]
    );
    // Splunk takes logs by an HTTP Event Collector only.
    let mut splunk = destination("splunk", &[("realm", "us1"), ("access_token", "T")]);
    splunk.signals = vec![Signal::Logs];
    assert_eq!(refused(splunk), [at("FLOE-K002", "", 20, 5)]);
    let suggested = targets(&deployment(vec![destination("jager", &[])])).expect_err("refused");
    assert_eq!(suggested[0].help, "did you mean `jaeger`?");
}

#[test]
fn an_agent_before_a_gateway_sends_to_it_alone_and_does_not_sample() {
    let mut deployment = deployment(vec![destination("datadog", &[("api_key", "DD_API_KEY")])]);
    deployment.gateway = "otel-gateway.acme.svc:4317".to_owned();
    deployment.tail = tail();
    deployment.storage = "/var/lib/otel".to_owned();
    for (version, balancer, plain) in [
        ("0.161.0", "load_balancing/gateway", "otlp_grpc/gateway"),
        ("0.120.0", "loadbalancing/gateway", "otlp/gateway"),
    ] {
        version.clone_into(&mut deployment.version);
        let (config, configuration) = configured(&deployment, Topology::Agent);
        assert_eq!(configuration.variables, [""; 0]);
        let pipelines = &config["service"]["pipelines"];
        assert_eq!(pipelines["traces"]["exporters"], json!([balancer]));
        assert_eq!(pipelines["metrics"]["exporters"], json!([plain]));
        assert_eq!(pipelines["logs"]["exporters"], json!([plain]));
        assert!(config["processors"].get("tail_sampling").is_none());
        assert_eq!(
            config["exporters"][balancer]["resolver"]["dns"],
            json!({"hostname": "otel-gateway.acme.svc", "port": "4317"})
        );
        // What is on disk is the balancer's; a member is waited for by the exporter that sends to it, and not for ever.
        let balancing = &config["exporters"][balancer];
        assert_eq!(balancing["sending_queue"]["storage"], "file_storage/queue");
        assert_eq!(balancing["retry_on_failure"]["max_elapsed_time"], "0s");
        let member = &balancing["protocol"]["otlp"];
        assert_eq!(member["sending_queue"]["enabled"], false);
        assert_eq!(member["retry_on_failure"]["enabled"], true);
        assert_eq!(member["retry_on_failure"]["max_elapsed_time"], "120s");
        assert_eq!(
            config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"],
            "localhost:4317"
        );
        let (gateway, _) = configured(&deployment, Topology::Gateway);
        assert_eq!(
            gateway["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"],
            "0.0.0.0:4317"
        );
        assert!(gateway["processors"].get("tail_sampling").is_some());
    }
}

#[test]
fn queues_are_as_the_version_and_the_exporter_can() {
    let mut deployment = deployment(vec![
        destination("jaeger", &[]),
        destination("prometheus", &[("protocol", "remote_write")]),
        destination("google-cloud", &[]),
        destination("azure-monitor", &[("connection_string", "AZ")]),
    ]);
    deployment.storage = "/var/lib/$otel".to_owned();
    let (config, configuration) = configured(&deployment, Topology::Gateway);
    let queue = &config["exporters"]["otlp_grpc/jaeger"]["sending_queue"];
    assert_eq!(queue["sizer"], "items");
    assert_eq!(queue["queue_size"], 375_000);
    assert_eq!(queue["storage"], "file_storage/queue");
    assert_eq!(queue["batch"]["max_size"], 1000);
    assert_eq!(
        config["extensions"]["file_storage/queue"]["directory"],
        "/var/lib/$$otel"
    );
    let prometheus = &config["exporters"]["prometheus_remote_write/prometheus"];
    assert!(prometheus.get("sending_queue").is_none() && prometheus.get("retry_on_failure").is_some());
    assert!(
        config["exporters"]["googlecloud/google-cloud"]
            .get("retry_on_failure")
            .is_none()
    );
    // What a backend says itself stays, what it leaves out is added.
    assert_eq!(
        config["exporters"]["azure_monitor/azure-monitor"]["sending_queue"]["queue_size"],
        375_000
    );
    assert_eq!(codes(&configuration), ["FLOE-K006"]);
    // Prometheus' exporter makes no batches: its pipeline does.
    assert_eq!(
        config["service"]["pipelines"]["metrics/prometheus"]["processors"],
        json!(["batch"])
    );
    deployment.version = "0.120.0".to_owned();
    let (config, _) = configured(&deployment, Topology::Gateway);
    let queue = &config["exporters"]["otlp/jaeger"]["sending_queue"];
    assert_eq!(queue["queue_size"], 375);
    assert!(queue.get("sizer").is_none() && queue.get("batch").is_none());
    deployment.version = "0.128.0".to_owned();
    let (requests, _) = configured(&deployment, Topology::Gateway);
    assert_eq!(
        requests["exporters"]["otlp/jaeger"]["sending_queue"]["sizer"],
        "requests"
    );
    for signal in ["traces", "metrics", "logs"] {
        let processors = config["service"]["pipelines"][signal]["processors"].as_array();
        assert_eq!(
            processors.and_then(|all| all.last()),
            Some(&json!("batch")),
            "{signal}"
        );
    }
}

#[test]
fn a_directory_that_no_queue_is_kept_in_is_left_out_aloud() {
    let unused = [
        destination("debug", &[]),
        destination("prometheus", &[("protocol", "remote_write")]),
    ];
    for (backends, expected) in [(&unused[..1], 1), (&unused[1..], 2)] {
        let mut deployment = deployment(backends.to_vec());
        deployment.storage = "/var/lib/floe".to_owned();
        let (config, configuration) = configured(&deployment, Topology::Gateway);
        assert_eq!(config["service"]["extensions"], json!(["health_check"]));
        assert!(config["extensions"].get("file_storage/queue").is_none());
        let said = configuration
            .warnings
            .iter()
            .filter(|found| found.code == "FLOE-K006");
        assert_eq!(said.clone().count(), expected);
        assert!(said.clone().any(|found| {
            found.path == "observability.telemetry.collector.storage_directory"
                && found.message == "no exporter has a queue: nothing is kept on disk"
        }));
        // Nothing is mounted for it either.
        for format in [Format::HelmValues, Format::Operator] {
            let text = format.write(&configuration, ORIGIN).expect("written");
            assert!(!text.contains("/var/lib/floe"), "{text}");
            assert!(text.contains("mode: deployment"), "{text}");
        }
    }
    // A tier before the backends has queues, whatever these are.
    let mut deployment = deployment(unused[..1].to_vec());
    deployment.storage = "/var/lib/floe".to_owned();
    deployment.gateway = "gw:4317".to_owned();
    let (config, configuration) = configured(&deployment, Topology::Agent);
    assert!(config["extensions"].get("file_storage/queue").is_some());
    assert_eq!(codes(&configuration), [""; 0]);
}

#[test]
fn a_backend_that_gets_everything_twice_is_said() {
    let other = destination("tempo", &[("endpoint", "http://other:4317")]);
    let mut metrics = destination("otlp", &[("endpoint", "https://a.b")]);
    let mut logs = metrics.clone();
    (metrics.signals, logs.signals) = (vec![Signal::Metrics], vec![Signal::Logs]);
    let mut again = destination("tempo", &[]);
    again.path = "plugins.telemetry_backend[4]".to_owned();
    again.line = 44;
    let mut first = destination("tempo", &[]);
    first.path = "plugins.telemetry_backend[0]".to_owned();
    let (config, configuration) = configured(
        &deployment(vec![first, other, metrics, logs, again]),
        Topology::Gateway,
    );
    let exporters = config["service"]["pipelines"]["traces"]["exporters"].as_array();
    assert_eq!(exporters.map(Vec::len), Some(3));
    assert_eq!(codes(&configuration), ["FLOE-K013"]);
    let found = &configuration.warnings[0];
    assert_eq!(
        (found.message.as_str(), found.path.as_str(), found.line),
        (
            "tempo gets traces more than once: `plugins.telemetry_backend[0]` has the same settings",
            "plugins.telemetry_backend[4]",
            44
        )
    );
}

#[test]
fn tls_is_for_receivers_and_for_the_way_to_the_gateway() {
    let mut deployment = deployment(vec![destination("debug", &[])]);
    deployment.gateway = "gw:4317".to_owned();
    deployment.tls = Some(Server {
        certificate: "/tls/tls.crt".to_owned(),
        key: "/tls/tls.key".to_owned(),
        clients: "/tls/ca.crt".to_owned(),
    });
    let (config, _) = configured(&deployment, Topology::Agent);
    for protocol in ["grpc", "http"] {
        let tls = &config["receivers"]["otlp"]["protocols"][protocol]["tls"];
        assert_eq!(tls["client_ca_file"], "/tls/ca.crt");
    }
    for tls in [
        &config["exporters"]["otlp_grpc/gateway"]["tls"],
        &config["exporters"]["load_balancing/gateway"]["protocol"]["otlp"]["tls"],
    ] {
        assert_eq!(tls["server_name_override"], "gw");
        assert_eq!(tls["ca_file"], "/tls/ca.crt");
        assert_eq!(tls["cert_file"], "/tls/tls.crt");
    }
}

#[test]
fn sampling_that_sees_parts_of_traces_says_so() {
    let mut deployment = deployment(vec![destination("otlp", &[("endpoint", "https://a.b")])]);
    deployment.tail = tail();
    for (topology, gateway, expected) in [
        (Topology::Agent, "", &["FLOE-K004"][..]),
        (Topology::Gateway, "", &["FLOE-K004"]),
        (Topology::Gateway, "gw:4317", &[]),
        (Topology::Agent, "gw:4317", &[]),
    ] {
        gateway.clone_into(&mut deployment.gateway);
        let (_, configuration) = configured(&deployment, topology);
        assert_eq!(codes(&configuration), expected, "{topology:?} {gateway}");
    }
}

#[test]
fn documents_are_the_same_every_time_and_hold_no_secret() {
    let mut deployment = deployment(vec![
        destination("datadog", &[("api_key", "DD_API_KEY")]),
        destination("grafana-cloud", &[("zone", "prod-eu"), ("token", "GC_TOKEN")]),
    ]);
    deployment.destinations[1].settings.push(Setting {
        name: "instance_id".to_owned(),
        value: "12345".to_owned(),
        path: String::new(),
        line: 1,
        column: 1,
    });
    deployment.destinations[1].secret = "grafana".to_owned();
    deployment.storage = "/queues".to_owned();
    for format in [Format::Config, Format::HelmValues, Format::Operator] {
        for topology in [Topology::Agent, Topology::Gateway] {
            let write = || {
                let targets = targets(&deployment).expect("accepted");
                let configuration = Configuration::new(&deployment, targets, topology, format.site());
                format.write(&configuration, ORIGIN).expect("written")
            };
            let text = write();
            assert_eq!(text, write());
            assert!(text.starts_with("# Made by floe-telemetry 0: a test\n"), "{text}");
            let environment = format!("as {}, in the environment prod.\n", topology.word());
            assert!(text.contains(&environment), "{text}");
            assert!(text.contains("# It needs the environment variables DD_API_KEY, GC_TOKEN."));
            assert!(text.contains("key: ${env:DD_API_KEY}"), "{text}");
            if format != Format::Config {
                // What the manifest names a secret for comes from there, the rest from the one that has floe's name.
                for part in ["name: grafana", "name: floe-collector", "key: DD_API_KEY"] {
                    assert!(text.contains(part), "{part}: {text}");
                }
                let mode = match topology {
                    Topology::Agent => "mode: daemonset",
                    Topology::Gateway => "mode: statefulset",
                };
                assert!(text.contains(mode), "{text}");
            }
        }
    }
}

#[test]
fn the_network_policy_allows_the_collector_and_names_and_nothing_else() {
    let deployment = deployment(vec![destination("debug", &[])]);
    let (_, configuration) = configured(&deployment, Topology::Agent);
    let label: Label = "app=dbt".parse().expect("a label");
    let text = network_policy(&configuration, &label, ORIGIN).expect("written");
    let ports: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- port: "))
        .collect();
    assert_eq!(ports, ["4317", "4318", "53", "53"], "{text}");
    assert!(text.contains("app: dbt") && text.contains("- Egress"), "{text}");
    assert!(!text.contains("ipBlock"), "{text}");
}
