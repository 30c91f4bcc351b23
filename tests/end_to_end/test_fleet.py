"""A fleet of two services, one in Rust and one in Python, each with a sampling ratio of its own: every trace that is kept is complete."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from conftest import Collector, Span
from services import LANGUAGES, Service

TRACES = 10_000
RATIOS = {"rust": 0.5, "python": 0.2}
DRIVERS = 4
MANIFEST = """
metadata: {{name: fleet, version: 1.0.0, namespace: acme.fleet}}
observability:
  telemetry:
    otlp_endpoint: http://127.0.0.1:{port}
    sampling: {{prod: {ratio}}}
    resource_attributes: {{service.name: fleet-{language}, floe.mode: prod}}
    # Nothing is to be dropped: the whole test fits into a queue.
    batch_processor: {{max_queue_size: 100000, max_export_batch_size: 2048, schedule_delay_millis: 200}}
    shutdown_timeout_millis: 30000
"""


def start(language: str, collector: Collector, directory: Path) -> Service:
    manifest = directory / f"{language}.yaml"
    manifest.write_text(MANIFEST.format(port=collector.http, ratio=RATIOS[language], language=language))
    return Service(language, {"FLOE_TELEMETRY_MANIFEST": str(manifest)})


def there_and_back(url: str, other: str) -> bytes:
    """What to send to `url`, so that it calls the other one, which calls it, which calls the other one."""
    once = [{"url": other, "arguments": []}]
    return json.dumps([{"url": other, "arguments": [{"url": url, "arguments": once}]}]).encode()


def drive(count: int, services: dict[str, Service]) -> None:
    """Begins as many traces in each of the services, on one connection to each."""
    rust, python = services["rust"], services["python"]
    bodies = {
        rust.port: there_and_back(rust.url, python.url),
        python.port: there_and_back(python.url, rust.url),
    }
    connections = {port: HTTPConnection("127.0.0.1", port, timeout=60) for port in bodies}
    for _ in range(count):
        for port, connection in connections.items():
            connection.request("POST", "/test", bodies[port])
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
    for connection in connections.values():
        connection.close()


def ended(service: Service) -> int:
    """Ends a service; how many spans it produced, all of which were delivered."""
    code, output, errors = service.stop()
    match = re.fullmatch(r"spans: (\d+) produced, (\d+) delivered\n", output)
    assert code == 0 and match, (output, errors)
    produced, delivered = map(int, match.groups())
    assert produced == delivered, errors
    return produced


def language(span: Span) -> str:
    return str(span.resource["telemetry.sdk.language"])


def test_ten_thousand_traces_through_both(collector: Collector, tmp_path: Path) -> None:
    services = {language: start(language, collector, tmp_path) for language in LANGUAGES}
    share = TRACES // len(LANGUAGES) // DRIVERS
    with ThreadPoolExecutor(DRIVERS) as drivers:
        list(drivers.map(drive, [share] * DRIVERS, [services] * DRIVERS))
    produced = sum(ended(service) for service in services.values())
    received = collector.stop()
    assert len(received.spans) == produced

    traces: dict[str, list[Span]] = defaultdict(list)
    for span in received.spans:
        traces[span.trace].append(span)
    begun: Counter[str] = Counter()
    for spans in traces.values():
        ids = {span.id for span in spans}
        assert [span for span in spans if span.parent and span.parent not in ids] == []
        (root,) = (span for span in spans if not span.parent)
        # A server span each time that a service is reached, a client span each time that it is left.
        assert Counter(map(language, spans)) == {language(root): 4} | {
            other: 3 for other in LANGUAGES if other != language(root)
        }
        begun[language(root)] += 1
    for name, ratio in RATIOS.items():
        traces_begun = TRACES / len(LANGUAGES)
        deviation = math.sqrt(traces_begun * ratio * (1 - ratio))
        assert abs(begun[name] - traces_begun * ratio) <= 4 * deviation, begun
