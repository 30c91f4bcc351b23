"""The corpus of planted secrets: none of them leaves, by whatever way it was put into telemetry."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pytest
from opentelemetry.trace import Link

from collector import Collector
from conftest import Provider
from floe_telemetry.contract import OperationKind
from floe_telemetry.provider import TelemetryProvider

CORPUS = Path(__file__).parents[3] / "tests/secrets/corpus.json"
SECRET = "Zq7Planted9xKp3"


def plant(telemetry: TelemetryProvider, text: str) -> None:
    """Puts a text into every signal, by the SDK and by operations."""
    assert telemetry.sdk
    tracer = telemetry.sdk.tracer_provider.get_tracer("application")
    log = logging.getLogger("application")
    with pytest.raises(ValueError), tracer.start_as_current_span("recorded by the SDK"):
        raise ValueError(text)
    with (
        pytest.raises(RuntimeError),
        telemetry.operation(OperationKind.CUSTOM, "failing", detail=text),
    ):
        raise RuntimeError("outer") from ValueError(text)
    with tracer.start_as_current_span(text, attributes={"one": text, "several": [text, text]}) as span:
        span.add_event(text, {"of.event": text})
        span.set_attribute(text[:100], "a key")
        log.error("said: %s", text, extra={"of_log": text, "nested": {"deep": [text]}})
        context = span.get_span_context()
    with tracer.start_as_current_span("linked", links=[Link(context, {"of.link": text})]):
        pass
    telemetry.operation(OperationKind.COMPILE, text).begin().end("error")
    meter = telemetry.sdk.meter_provider.get_meter("application")
    meter.create_counter("planted").add(1, {"of.metric": text})


@pytest.mark.filterwarnings("ignore")
def test_no_planted_secret_leaves(
    provider: Provider, collector: Collector, capfd: pytest.CaptureFixture[str]
) -> None:
    entries = json.loads(CORPUS.read_text())
    assert len(entries) >= 200
    telemetry = provider(collector.endpoint, "batch_processor: {max_queue_size: 20000}").install()
    for number, entry in enumerate(entries):
        plant(telemetry, entry["text"].replace("{secret}", f"{SECRET}{number:03}"))
    assert telemetry.force_flush(60.0)
    sent = b"".join(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in collector.raw)
    said = capfd.readouterr()
    console = said.out + said.err
    leaked = [
        (entry["name"], where)
        for number, entry in enumerate(entries)
        for where, text in (("sent", sent.decode(errors="replace")), ("on the console", console))
        if f"{SECRET}{number:03}" in text
    ]
    assert not leaked
    assert sent.count(b"***") > 10 * len(entries), "what was planted was sent"
