from __future__ import annotations

import logging

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from collector import Collector
from conftest import Provider
from floe_telemetry import logs
from floe_telemetry.contract import OperationKind

LISTED = 'baggage: {attributes: [tenant, "acme.*"]}'
HEADERS = {
    "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
    "baggage": "tenant=J%C3%BC;p=1,acme.team=core,tenants=no,secret=no",
}


def test_listed_members_are_on_spans_and_logs(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint, LISTED)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    logger = logging.Logger("user")
    logger.addHandler(logs.OtlpHandler(telemetry.sdk.logger_provider))
    context = telemetry.propagator.extract(HEADERS, Context())
    token = otel_context.attach(context)
    try:
        with tracer.start_as_current_span("current"):
            logger.warning("in a span", extra={"tenant": "own"})
        with telemetry.operation(OperationKind.CUSTOM, "operation"):
            telemetry.sdk.logger_provider.get_logger("api").emit(body="by the api")
    finally:
        otel_context.detach(token)
    tracer.start_span("given", context, attributes={"tenant": "own"}).end()
    tracer.start_span("without", Context()).end()
    assert telemetry.force_flush(5)
    for name, tenant in (("current", "Jü"), ("given", "own"), ("operation", "Jü")):
        attributes = collector.span(name).attributes
        assert (attributes["tenant"], attributes["acme.team"]) == (tenant, "core")
        assert "secret" not in attributes
        assert "tenants" not in attributes
    assert "tenant" not in collector.span("without").attributes
    for text, tenant in (("in a span", "own"), ("by the api", "Jü")):
        attributes = collector.log(text).attributes
        assert (attributes["tenant"], attributes["acme.team"]) == (tenant, "core")
        assert "secret" not in attributes


def test_nothing_is_registered_for_nothing(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    assert telemetry.plan
    assert telemetry.plan.baggage == []
    assert len(telemetry.sdk.tracer_provider._active_span_processor._span_processors) == 1
    context = baggage.set_baggage("tenant", "x", Context())
    with trace.use_span(telemetry.sdk.tracer.start_span("span", context), end_on_exit=True):
        pass
    assert telemetry.force_flush(5)
    assert "tenant" not in collector.span("span").attributes


@pytest.mark.parametrize("pattern", ["*", "floe.*", "floe.namespace"])
def test_others_do_not_say_who_this_process_is(
    pattern: str, provider: Provider, collector: Collector
) -> None:
    telemetry = provider(collector.endpoint, f'baggage: {{attributes: ["{pattern}"]}}')
    assert telemetry.sdk
    assert telemetry.plan
    context = Context()
    for key in telemetry.plan.attributes:
        context = baggage.set_baggage(key, "forged", context)
    telemetry.sdk.tracer.start_span("span", context).end()
    telemetry.sdk.logger_provider.get_logger("api").emit(body="log", context=context)
    assert telemetry.force_flush(5)
    attributes = collector.span("span").attributes
    assert {key: attributes[key] for key in telemetry.plan.attributes} == telemetry.plan.attributes
    assert "forged" not in collector.log("log").attributes.values()


@pytest.mark.parametrize("pattern", ["*", "t*", "tenant"])
def test_patterns(pattern: str, provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint, f'baggage: {{attributes: ["{pattern}"]}}')
    assert telemetry.sdk
    context = baggage.set_baggage("tenant", 7, Context())
    telemetry.sdk.tracer.start_span("span", context).end()
    assert telemetry.force_flush(5)
    assert collector.span("span").attributes["tenant"] == "7"
