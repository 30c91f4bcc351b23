from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode
from opentelemetry.util.types import AnyValue

from collector import Collector
from conftest import Provider
from floe_telemetry import logs
from floe_telemetry.contract import Signal
from floe_telemetry.engine import ComponentError
from floe_telemetry.policy import Policy
from floe_telemetry.redaction import Redactor, redacted

SECRET = "password=hunter2"


def test_what_the_sdk_records_by_itself_is_redacted(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    with pytest.raises(ValueError, match="hunter2"), tracer.start_as_current_span("automatic"):
        raise ValueError(SECRET)
    with tracer.start_as_current_span("plain", attributes={"source": SECRET, "rows": 3}) as span:
        span.set_status(Status(StatusCode.ERROR, "no secret"))
        span.add_event("exception", {"exception.message": SECRET, "other": SECRET, "number": 1}, timestamp=7)
        span.add_event("other", {"a": "b"})
    assert telemetry.force_flush(5)
    automatic, plain = collector.span("automatic"), collector.span("plain")
    assert automatic.description == "ValueError: password=***"
    [(_, event)] = automatic.events
    assert event["exception.message"] == "password=***"
    assert "hunter2" not in event["exception.stacktrace"]
    assert plain.description == "no secret"
    assert (plain.attributes["source"], plain.attributes["rows"]) == ("password=***", 3)
    assert plain.events == [
        ("exception", {"exception.message": "password=***", "other": "password=***", "number": 1}),
        ("other", {"a": "b"}),
    ]


def test_logs_are_redacted(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    logger = logging.Logger("user")
    logger.addHandler(logs.OtlpHandler(telemetry.sdk.logger_provider))
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("failed with %s", SECRET, extra={"source": SECRET})
    assert telemetry.force_flush(5)
    log = collector.log("failed with password=***")
    assert log.attributes["exception.type"] == "ValueError"
    assert log.attributes["exception.message"] == log.attributes["source"] == "password=***"
    assert b"hunter2" not in b"".join(collector.raw)


class Asked:
    """The texts of each call of the policy."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        redact = Policy._redact

        def counted(policy: Policy, texts: list[str], size: int) -> list[str]:
            self.calls.append(texts)
            return redact(policy, texts, size)

        monkeypatch.setattr(Policy, "_redact", counted)


def test_the_policy_is_asked_for_new_texts_only(
    provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    for batch in range(3):
        for number in range(100):
            with tracer.start_as_current_span("span", attributes={"n": number, "b": f"{batch}"}) as span:
                span.set_status(Status(StatusCode.ERROR, SECRET))
        assert telemetry.force_flush(5)
    first, *others = map(set, asked.calls)
    assert {"acme.sales", "sales", "1.2.0", "dev", "span", "user", "n", "b", SECRET, "0"} <= first
    assert others == [{"1"}, {"2"}]
    assert {span.description for span in collector.spans} == {"password=***"}
    assert len(collector.spans) == 300


def test_what_is_kept_of_texts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    redactor = Redactor(Policy.load())
    for number in range(20_000):
        assert redactor.secrets([[f"text {number}"]]) == {}
        assert len(redactor._clean) + len(redactor._secrets) <= 4096
    long = f"{SECRET} " + "x" * 300
    before = len(asked.calls)
    for _ in range(3):
        assert redactor.secrets([[long, "text 19999"]]) == {long: long.replace(SECRET, "password=***")}
    assert asked.calls[before:] == [[long]] * 3


NESTED = {
    "list": [SECRET, 1, [SECRET, {"deep": SECRET}]],
    "number": 3,
    "none": None,
    "bytes": b"password=x",
    "raw": b"\xff",
}
CLEAN = {
    "list": ["password=***", 1, ["password=***", {"deep": "password=***"}]],
    "number": 3,
    "none": None,
    "bytes": b"password=***",
    "raw": b"\xff",
}


def test_no_text_is_too_deep() -> None:
    redactor = Redactor(Policy.load())
    secrets = redactor.secrets([[NESTED]])
    assert secrets == {SECRET: "password=***", "password=x": "password=***"}
    assert redacted(NESTED, secrets) == CLEAN
    unchanged = {"a": ["b", {"c": ("d",)}]}
    assert redacted(unchanged, secrets) is unchanged
    deep: Any = SECRET
    for _ in range(5000):
        deep = [deep]
    for values in ([deep], [deep, SECRET]):
        assert SECRET not in repr(redacted(deep, redactor.secrets([values])))


def test_every_place_of_a_span(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    attributes: dict[str, AnyValue] = {"text": SECRET, "texts": ["fine", SECRET], "numbers": [1, 2]}
    link = Link(SpanContext(1, 2, True), attributes)
    with tracer.start_as_current_span("span", attributes=attributes, links=[link]) as span:
        span.add_event("event", attributes)
    assert isinstance(span, ReadableSpan)
    assert telemetry.force_flush(5)
    found = collector.span("span")
    assert (found.attributes["text"], found.attributes["texts"]) == ("password=***", ["fine", "password=***"])
    assert found.attributes["numbers"] == [1, 2]
    assert found.events[0][1]["texts"] == ["fine", "password=***"]
    assert b"hunter2" not in b"".join(collector.raw)
    # What the application holds is as it was.
    assert span.attributes == {"text": SECRET, "texts": ("fine", SECRET), "numbers": (1, 2)}
    assert span.links[0].attributes == span.attributes


def test_every_place_of_a_log_record(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    logger = telemetry.sdk.logger_provider.get_logger("user")
    body: AnyValue = {"texts": ["fine", SECRET], "nested": {"text": SECRET}}
    logger.emit(body=body, attributes={"nested": {"texts": [SECRET]}, "text": SECRET})
    logger.emit(body=["fine", [SECRET]])
    assert telemetry.force_flush(5)
    raw = b"".join(collector.raw)
    assert b"hunter2" not in raw
    assert raw.count(b"password=***") == 5
    assert body == {"texts": ["fine", SECRET], "nested": {"text": SECRET}}


def test_the_plans_attributes(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    with tracer.start_as_current_span("span", attributes={"floe.namespace": "mine"}) as span:
        assert isinstance(span, ReadableSpan)
        assert dict(span.attributes or {}) == {"floe.namespace": "mine"}
    assert telemetry.force_flush(5)
    assert collector.span("span").attributes == {
        "floe.namespace": "mine",
        "floe.product.name": "sales",
        "floe.product.version": "1.2.0",
        "floe.mode": "dev",
    }


def test_other_processors_see_spans_as_they_are(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    seen = InMemorySpanExporter()
    telemetry.sdk.tracer_provider.add_span_processor(SimpleSpanProcessor(seen))
    with telemetry.sdk.tracer_provider.get_tracer("user").start_as_current_span("span") as span:
        span.set_attribute("text", SECRET)
    assert telemetry.force_flush(5)
    assert collector.span("span").attributes["text"] == "password=***"
    [other] = seen.get_finished_spans()
    assert dict(other.attributes or {}) == {"text": SECRET}


def test_what_the_sdk_dropped_stays_counted(
    provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    received: list[ReadableSpan] = []
    monkeypatch.setattr(telemetry.sdk._outlets[Signal.TRACES]._form, "encode", Receiving(received))
    with telemetry.sdk.tracer_provider.get_tracer("user").start_as_current_span("span") as span:
        for number in range(130):
            span.set_attribute(f"a{number}", SECRET)
            span.add_event("event", {"text": SECRET})
    assert telemetry.force_flush(5)
    [exported] = received
    assert exported.dropped_attributes == 2
    assert exported.dropped_events == 2
    assert len(exported.attributes or {}) == 128 + 4


class Receiving:
    def __init__(self, received: list[ReadableSpan]) -> None:
        self._received = received

    def __call__(self, batch: Sequence[ReadableSpan]) -> bytes:
        self._received += batch
        return b""


def test_a_large_batch_is_redacted_in_parts() -> None:
    texts = [f"{SECRET} {'x' * 3000} {number}" for number in range(200)]
    redacted = Policy.load().redact(texts)
    assert [text.replace(SECRET, "password=***") for text in texts] == redacted


def test_what_cannot_be_redacted_is_masked(
    provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk

    def trap(*_: object) -> None:
        raise ComponentError("FLOE-C006", "trap", "")

    monkeypatch.setattr(Policy, "redact", trap)
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    with pytest.raises(ValueError, match="hunter2"), tracer.start_as_current_span("automatic"):
        raise ValueError(SECRET)
    assert telemetry.force_flush(5)
    assert collector.span("***").description == "***"
    assert b"hunter2" not in b"".join(collector.raw)


def test_every_name_and_key(provider: Provider, collector: Collector) -> None:
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    keyed: dict[str, Any] = {SECRET: 1, "db.password": "hunter2", "plain": "kept"}
    link = Link(SpanContext(1, 2, True), keyed)
    tracer = telemetry.sdk.tracer_provider.get_tracer(f"scope {SECRET}", attributes=keyed)
    with tracer.start_as_current_span(f"span {SECRET}", attributes=keyed, links=[link]) as span:
        span.add_event(f"event {SECRET}", keyed)
        meter = telemetry.sdk.meter_provider.get_meter(f"meter {SECRET}")
        meter.create_counter("count", description=SECRET).add(1, keyed)
    logger = telemetry.sdk.logger_provider.get_logger(f"logger {SECRET}")
    logger.emit(body={"db.password": ["hunter2", {"inside": "hunter2"}]}, event_name=SECRET)
    assert telemetry.force_flush(5)
    assert b"hunter2" not in b"".join(collector.raw)
    found = collector.span("span password=***")
    assert (found.attributes["db.password"], found.attributes["plain"]) == ("***", "kept")
    assert found.attributes["password=***"] == 1
    assert found.events[0][0] == "event password=***"
    assert collector.metric("count")[0].attributes["db.password"] == "***"
    assert collector.logs[0].logger == "logger password=***"


@pytest.mark.parametrize(("opted", "events", "logs"), [("", 1, 0), ("logs", 0, 1), ("logs/dup", 1, 1)])
@pytest.mark.parametrize("ours", [True, False])
def test_how_exceptions_are_told(
    ours: bool,
    opted: str,
    events: int,
    logs: int,
    provider: Provider,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", opted)
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("user")
    with (
        pytest.raises(ValueError, match="hunter2"),
        telemetry.compile("sales") if ours else tracer.start_as_current_span("work"),
    ):
        raise ValueError(SECRET)
    assert telemetry.force_flush(5)
    [span] = collector.spans
    assert span.attributes["error.type"] == "ValueError"
    assert (len(span.events), len(collector.logs)) == (events, logs)
    told = [attributes for _, attributes in span.events] + [log.attributes for log in collector.logs]
    for attributes in told:
        assert (attributes["exception.type"], attributes["exception.message"]) == (
            "ValueError",
            "password=***",
        )
        assert "exception.stacktrace" in attributes
        assert "exception.escaped" not in attributes
    for log in collector.logs:
        assert (log.trace_id, log.span_id, log.severity) == (span.trace_id, span.span_id, "ERROR")
    assert b"hunter2" not in b"".join(collector.raw)
