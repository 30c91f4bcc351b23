module floe.dev/otelcol/datadogconnector

go 1.25.0

require (
	github.com/open-telemetry/opentelemetry-collector-contrib/pkg/datadog v0.155.0
	go.opentelemetry.io/collector/component v1.61.0
	go.opentelemetry.io/collector/connector v0.155.0
)
