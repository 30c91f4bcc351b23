"""Lines of a process's console. They are redacted: a container's output is collected as well."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from typing import Any, Final

from floe_telemetry.logs.emission import any_value
from floe_telemetry.logs.fields import FIELDS, message_and_extra
from floe_telemetry.redaction import Redactor, redacted

_SECONDS: Final = "%Y-%m-%dT%H:%M:%S"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, tracebacks included."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor: Final = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message, extra = message_and_extra(record)
        told: dict[str, object] = {"logger": record.name, "message": message}
        told |= _fields(record) | {name: any_value(value) for name, value in extra.items()}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        clean = redacted(told, self._redactor.secrets([[told]]))
        return _json({"timestamp": _timestamp(record), "level": record.levelname, **clean})


class TextFormatter(logging.Formatter):
    """A line for people: the message, and the fields after it as `key=value`."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(floe_text)s")
        self._redactor: Final = redactor

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without the traceback that may follow it."""
        message, extra = message_and_extra(record)
        told = {"": message, **{name: any_value(value) for name, value in extra.items()}, **_fields(record)}
        clean = redacted(told, self._redactor.secrets([[told]]))
        text = clean.pop("") if isinstance(clean, dict) else message
        fields = "".join(f" {name}={_value(value)}" for name, value in clean.items())
        values = {**vars(record), "floe_text": f"{text}{fields}"}
        return self._fmt % values if self._fmt else text

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the traceback if there is one."""
        record.asctime = self.formatTime(record, self.datefmt)
        line = self.formatMessage(record)
        if record.exc_info:
            line += f"\n{self._clean(self.formatException(record.exc_info))}"
        return line

    def _clean(self, text: str) -> str:
        return str(redacted(text, self._redactor.secrets([[text]])))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name in FIELDS if (value := getattr(record, name, ""))}


def _timestamp(record: logging.LogRecord) -> str:
    return f"{time.strftime(_SECONDS, time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def _value(value: object) -> str:
    """A value without white space, or quoted."""
    text = value if isinstance(value, str) else _json(value)
    plain = text and not any(each.isspace() or each in '"=' for each in text)
    return text if plain or not isinstance(value, str) else _json(text)


def _json(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    """A value as JSON has it (RFC 8259): without bytes, and without numbers that are none."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
