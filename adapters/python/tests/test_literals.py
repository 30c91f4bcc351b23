"""Values of `DBT_ENV_SECRET...` leave in no signal, however they are spelled."""

from __future__ import annotations

import html
import json
import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import Collector
from conftest import Provider
from floe_telemetry import OperationKind
from floe_telemetry.literals import Literals

SECRET = 'north "gate" 7/ä'


def masked(monkeypatch: pytest.MonkeyPatch, secret: str, text: str) -> str:
    monkeypatch.setenv("DBT_ENV_SECRET_GIT", secret)
    literals = Literals()
    assert literals.changed()
    assert not literals.changed()
    return literals.masked(text)


SPELLED = {
    "plain": SECRET,
    "percent": quote(SECRET, safe=""),
    "percent, lower case": quote(SECRET, safe="").replace("%2F", "%2f").replace("%C3%A4", "%c3%a4"),
    "JSON": json.dumps(SECRET),
    "JSON with its letters": json.dumps(SECRET, ensure_ascii=False),
    "Python": repr({"key": SECRET}),
    "HTML": html.escape(SECRET),
}


@pytest.mark.parametrize("spelling", SPELLED)
def test_each_spelling_is_masked(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"fatal: cannot read https://{SPELLED[spelling]}@host/repo"
    assert masked(monkeypatch, SECRET, text).endswith("@host/repo")
    assert "gate" not in masked(monkeypatch, SECRET, text)


def test_lines_of_a_key_are_secret_each(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "-----BEGIN KEY-----\nQUJDREVGR0g\nSUpLTE1OT1A\n"
    assert masked(monkeypatch, key, "  | QUJDREVGR0g\n  | x") == "  | ***\n  | x"


def test_short_values_are_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert masked(monkeypatch, "dev", "dev.orders of device dev") == "***.orders of device ***"


def test_a_blank_value_masks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_ENV_SECRET_GIT", "  ")
    literals = Literals()
    assert not literals.changed()
    assert literals.masked("a  b") == "a  b"


@given(st.text(min_size=4, max_size=40).filter(lambda text: text.strip() == text and "\0" not in text))
def test_whatever_the_value_is_it_is_gone(secret: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        try:
            patch.setenv("DBT_ENV_SECRET_ANY", secret)
        except UnicodeEncodeError:  # no variable can have it
            return
        literals = Literals()
        literals.changed()
        text = f"<{secret}> {json.dumps(secret)} {quote(secret)}"
        assert literals.masked(text) == '<***> "***" ***'


def test_no_signal_has_it(provider: Provider, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set after telemetry was, and said before: what was found clean then is looked at again."""
    telemetry = provider(collector.endpoint)
    assert telemetry.sdk is not None

    def says() -> None:
        with (
            pytest.raises(ValueError, match="nothing"),
            telemetry.operation(
                OperationKind.CUSTOM, "load_warehouse_7", database="warehouse_7"
            ) as operation,
        ):
            operation.span.set_attribute("warehouse_7", "of warehouse_7")
            raise ValueError("nothing in warehouse_7")
        record = logging.makeLogRecord({"msg": "select * from warehouse_7.orders", "levelno": logging.ERROR})
        from floe_telemetry import logs

        logs.emit_record(telemetry.sdk.logger_provider, record, record.getMessage(), {})  # type: ignore[union-attr]
        telemetry.sdk.meter_provider.get_meter("m").create_counter("c").add(1, {"of": "warehouse_7"})  # type: ignore[union-attr]
        assert telemetry.force_flush(10)

    says()
    assert b"warehouse_7" in b"".join(collector.raw)
    collector.raw.clear()
    monkeypatch.setenv("DBT_ENV_SECRET_DATABASE", "warehouse_7")
    says()
    received = b"".join(collector.raw)
    assert b"load_***" in received
    spans_and_logs = [body for body in collector.raw if b"warehouse_7" in body]
    # The counter still counts what it counted before, under its old attributes, which are masked as well.
    assert spans_and_logs == []
