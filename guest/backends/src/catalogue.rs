//! The backends, by name.

use crate::backend::{Backend, Build};
use crate::backends;
use crate::bindings::exports::floe::telemetry::backends::Signal;
use crate::otlp::{Address, Authentication, HeaderName, OTLP, Otlp};
use crate::rule::{self, Rule};
use crate::setting::{ACCESS, CA_FILE, ENDPOINT, Kind, PROTOCOL, Setting, TENANT};
use crate::text::{Form, HEADER, LABEL, LINE};

/// Traces, metrics and logs.
pub const ALL: &[Signal] = &[Signal::Traces, Signal::Metrics, Signal::Logs];

/// Every backend.
pub const BACKENDS: [&Backend; 18] = [
    &backends::aws_xray::BACKEND,
    &backends::azure_monitor::BACKEND,
    &backends::clickhouse::BACKEND,
    &backends::datadog::BACKEND,
    &backends::debug::BACKEND,
    &DYNATRACE,
    &ELASTIC,
    &backends::google_cloud::BACKEND,
    &GRAFANA_CLOUD,
    &HONEYCOMB,
    &JAEGER,
    &LOKI,
    &NEW_RELIC,
    &OTLP_SERVER,
    &backends::prometheus::BACKEND,
    &SIGNOZ,
    &backends::splunk::BACKEND,
    &TEMPO,
];

const GRPC: &str = "\"grpc\"";
const HTTP: &str = "\"http\"";

/// Jaeger 2 is a Collector itself: <https://www.jaegertracing.io/docs/2.0/apis/>.
const JAEGER: Backend = Backend {
    name: "jaeger",
    description: "Jaeger, by OTLP",
    signals: &[Signal::Traces],
    settings: &[
        &[ENDPOINT.or("\"http://jaeger-collector:4317\""), PROTOCOL.or(GRPC)],
        ACCESS,
    ],
    rules: &[rule::ACCESS],
    build: Build::Otlp(Otlp {
        addresses: &[Address::Endpoint("")],
        authentication: Authentication::Access,
        ..OTLP
    }),
};

/// <https://grafana.com/docs/tempo/latest/api_docs/>
const TEMPO: Backend = Backend {
    name: "tempo",
    description: "Grafana Tempo, by OTLP",
    signals: &[Signal::Traces],
    settings: &[
        &[ENDPOINT.or("\"http://tempo:4317\""), PROTOCOL.or(GRPC), TENANT],
        ACCESS,
    ],
    rules: &[rule::ACCESS],
    build: Build::Otlp(Otlp {
        addresses: &[Address::Endpoint("")],
        headers: &[(HeaderName::Fixed("x-scope-orgid"), "", "tenant")],
        authentication: Authentication::Access,
        ..OTLP
    }),
};

/// The exporter `loki` is gone; Loki 3 takes OTLP: <https://grafana.com/docs/loki/latest/send-data/otel/>.
const LOKI: Backend = Backend {
    name: "loki",
    description: "Grafana Loki 3, by OTLP",
    signals: &[Signal::Logs],
    settings: &[&[ENDPOINT.or("\"http://loki:3100/otlp\""), TENANT], ACCESS],
    rules: &[rule::ACCESS],
    build: Build::Otlp(Otlp {
        addresses: &[Address::Endpoint("/otlp")],
        headers: &[(HeaderName::Fixed("x-scope-orgid"), "", "tenant")],
        authentication: Authentication::Access,
        ..OTLP
    }),
};

/// HTTP Basic authentication, not a bearer token: <https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/>.
const GRAFANA_CLOUD: Backend = Backend {
    name: "grafana-cloud",
    description: "Grafana Cloud's OTLP gateway",
    signals: ALL,
    settings: &[&[
        Setting::new(
            "zone",
            Kind::Text(LABEL),
            "Zone of the stack: what its OTLP endpoint has after `otlp-gateway-`.",
        )
        .required(),
        Setting::new("instance_id", Kind::Integer(1, u32::MAX), "Number of the stack.").required(),
        Setting::new(
            "token",
            Kind::Secret,
            "Variable with an access policy token that may write metrics, logs and traces.",
        )
        .required(),
    ]],
    rules: &[],
    build: Build::Otlp(Otlp {
        addresses: &[Address::Within(
            "zone",
            "https://otlp-gateway-",
            ".grafana.net/otlp",
        )],
        authentication: Authentication::Basic("instance_id", "token"),
        ..OTLP
    }),
};

/// Without a dataset of their own metrics end up in `unknown_metrics`: <https://docs.honeycomb.io/send-data/opentelemetry/collector>.
const HONEYCOMB: Backend = Backend {
    name: "honeycomb",
    description: "Honeycomb, by OTLP",
    signals: ALL,
    settings: &[&[
        Setting::new(
            "region",
            Kind::Text(Form::Word(&["us", "eu"])),
            "Region of the account.",
        )
        .or("\"us\""),
        Setting::new(
            "api_key",
            Kind::Secret,
            "Variable with an ingest key of the environment.",
        )
        .required(),
        Setting::new("metrics_dataset", Kind::Text(LINE), "Dataset that metrics go to.")
            .or("\"floe-metrics\""),
    ]],
    rules: &[],
    build: Build::Otlp(Otlp {
        addresses: &[Address::Regions(
            "region",
            &[
                ("us", "https://api.honeycomb.io"),
                ("eu", "https://api.eu1.honeycomb.io"),
            ],
        )],
        headers: &[(HeaderName::Fixed("x-honeycomb-team"), "", "api_key")],
        metrics_headers: &[(HeaderName::Fixed("x-honeycomb-dataset"), "", "metrics_dataset")],
        ..OTLP
    }),
};

/// <https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/>
const NEW_RELIC: Backend = Backend {
    name: "newrelic",
    description: "New Relic, by OTLP",
    signals: ALL,
    settings: &[&[
        Setting::new(
            "region",
            Kind::Text(Form::Word(&["us", "eu", "jp", "fedramp"])),
            "Region of the account.",
        )
        .or("\"us\""),
        Setting::new(
            "license_key",
            Kind::Secret,
            "Variable with an ingest licence key.",
        )
        .required(),
    ]],
    rules: &[],
    build: Build::Otlp(Otlp {
        addresses: &[Address::Regions(
            "region",
            &[
                ("us", "https://otlp.nr-data.net"),
                ("eu", "https://otlp.eu01.nr-data.net"),
                ("jp", "https://otlp.jp.nr-data.net"),
                ("fedramp", "https://gov-otlp.nr-data.net"),
            ],
        )],
        headers: &[(HeaderName::Fixed("api-key"), "", "license_key")],
        ..OTLP
    }),
};

/// HTTP only, and metrics with delta temporality only: <https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api>.
const DYNATRACE: Backend = Backend {
    name: "dynatrace",
    description: "Dynatrace, by OTLP with delta metrics",
    signals: ALL,
    settings: &[&[
        Setting::new(
            "environment",
            Kind::Text(LABEL),
            "Id of a SaaS environment, such as `abc12345`.",
        ),
        Setting {
            description: "URL of another environment or of an ActiveGate; `/api/v2/otlp` is added where it has no path.",
            ..ENDPOINT
        },
        Setting::new(
            "token",
            Kind::Secret,
            "Variable with an API token with the scopes openTelemetryTrace.ingest, metrics.ingest and logs.ingest.",
        )
        .required(),
        CA_FILE,
    ]],
    rules: &[&[Rule::ExactlyOne(&["environment", "endpoint"])]],
    build: Build::Otlp(Otlp {
        addresses: &[
            Address::Within("environment", "https://", ".live.dynatrace.com/api/v2/otlp"),
            Address::Endpoint("/api/v2/otlp"),
        ],
        headers: &[(HeaderName::Fixed("authorization"), "Api-Token ", "token")],
        delta: true,
        ..OTLP
    }),
};

/// <https://www.elastic.co/docs/reference/opentelemetry/managed-inputs/managed-otlp-endpoint>
const ELASTIC: Backend = Backend {
    name: "elastic",
    description: "Elastic's managed OTLP endpoint, or an APM server",
    signals: ALL,
    settings: &[&[
        ENDPOINT.required(),
        PROTOCOL.or(HTTP),
        Setting::new("api_key", Kind::Secret, "Variable with an API key."),
        Setting::new(
            "secret_token",
            Kind::Secret,
            "Variable with the secret token of an APM server.",
        ),
        CA_FILE,
    ]],
    rules: &[&[Rule::ExactlyOne(&["api_key", "secret_token"])]],
    build: Build::Otlp(Otlp {
        addresses: &[Address::Endpoint("")],
        headers: &[
            (HeaderName::Fixed("authorization"), "ApiKey ", "api_key"),
            (HeaderName::Fixed("authorization"), "Bearer ", "secret_token"),
        ],
        ..OTLP
    }),
};

/// <https://signoz.io/docs/ingestion/signoz-cloud/overview/>
const SIGNOZ: Backend = Backend {
    name: "signoz",
    description: "SigNoz, in its cloud or on one's own servers",
    signals: ALL,
    settings: &[&[
        Setting::new(
            "region",
            Kind::Text(LABEL),
            "Region of SigNoz Cloud, such as `eu`.",
        ),
        Setting::new(
            "ingestion_key",
            Kind::Secret,
            "Variable with the ingestion key of SigNoz Cloud.",
        ),
        Setting {
            description: "URL of one's own server, such as `http://signoz-otel-collector:4317`.",
            ..ENDPOINT
        },
        PROTOCOL.or(GRPC),
        CA_FILE,
    ]],
    rules: &[&[
        Rule::ExactlyOne(&["region", "endpoint"]),
        Rule::Needs("region", "ingestion_key"),
    ]],
    build: Build::Otlp(Otlp {
        addresses: &[
            Address::Within("region", "https://ingest.", ".signoz.cloud:443"),
            Address::Endpoint(""),
        ],
        headers: &[(HeaderName::Fixed("signoz-ingestion-key"), "", "ingestion_key")],
        ..OTLP
    }),
};

const OTLP_SERVER: Backend = Backend {
    name: "otlp",
    description: "Any server that takes OTLP, another Collector among them",
    signals: ALL,
    settings: &[
        &[
            ENDPOINT.required(),
            PROTOCOL.or(HTTP),
            Setting::new("header", Kind::Text(HEADER), "Name of a header that holds a key."),
            Setting::new("header_value", Kind::Secret, "Variable with that header's value."),
            TENANT,
        ],
        ACCESS,
    ],
    rules: &[
        rule::ACCESS,
        &[
            Rule::Needs("header", "header_value"),
            Rule::Needs("header_value", "header"),
        ],
    ],
    build: Build::Otlp(Otlp {
        addresses: &[Address::Endpoint("")],
        headers: &[
            (HeaderName::Fixed("x-scope-orgid"), "", "tenant"),
            (HeaderName::Setting("header"), "", "header_value"),
        ],
        authentication: Authentication::Access,
        ..OTLP
    }),
};
