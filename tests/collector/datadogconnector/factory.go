// Package datadogconnector is the Datadog connector for full.yaml, made from the library that contrib's own
// connector is made from: no release of that module goes with the others of full.yaml.
package datadogconnector

import (
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/datadog/apmstats"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
)

// NewFactory is what the builder calls. Configuration, its defaults and its validation are the library's.
func NewFactory() connector.Factory {
	const stability = component.StabilityLevelBeta
	return apmstats.NewConnectorFactory(component.MustNewType("datadog"), stability, stability, nil, nil, nil)
}
