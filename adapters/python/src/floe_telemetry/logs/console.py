"""Lines of a process's console. They are redacted: a container's output is collected as well."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from floe_telemetry.logs.emission import any_value, guarded
from floe_telemetry.logs.fields import FIELDS, exception_of, extra_of, message_of, text_of
from floe_telemetry.operation import exception_info
from floe_telemetry.redaction import Redactor, redacted

_SECONDS: Final = "%Y-%m-%dT%H:%M:%S"
# What ends a line, moves the cursor or turns the direction of text: it could make a line look like another
# record.
_DECEPTIVE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_INDENT: Final = "\n    "


class ConsoleHandler(logging.StreamHandler[Any]):
    """Standard error, whichever it is at the moment. A line is made before the lock is taken, under which it
    is written: what is shown of a record may itself log, in any thread.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Writes a record that passes the filters. Never raises."""
        with guarded("console of logs") as bounded:
            if bounded and (passed := self.filter(record)):
                self.emit(passed if isinstance(passed, logging.LogRecord) else record)
                return True
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record. A stream that is closed or full takes no lines, as of any program."""
        line = self.format(record)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream = sys.stderr
            try:
                text = line.encode(stream.encoding, "backslashreplace").decode(stream.encoding)
            except (AttributeError, LookupError, TypeError):
                text = line
            self.acquire()
            try:
                stream.write(text + self.terminator)
                stream.flush()
            finally:
                self.release()


class JsonFormatter(logging.Formatter):
    """One JSON object a line, tracebacks included."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor: Final = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, object] = {"logger": record.name, "message": message_of(record)}
        told |= _fields(record) | {name: any_value(value) for name, value in extra_of(record).items()}
        if trace := _traceback(record):
            told["exception"] = trace
        if record.stack_info:
            told["stack"] = text_of(record.stack_info)
        clean = redacted(told, self._redactor.secrets([[told]]))
        return _json({"timestamp": _timestamp(record), "level": record.levelname, **clean})


class TextFormatter(logging.Formatter):
    """A line for people: the message, and the fields after it as `key=value`."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(floe_text)s")
        self._redactor: Final = redactor

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without the traceback that may follow it."""
        message, extra = message_of(record), extra_of(record)
        told = {"": message, **{name: any_value(value) for name, value in extra.items()}, **_fields(record)}
        clean = redacted(told, self._redactor.secrets([[told]]))
        text = clean.pop("") if isinstance(clean, dict) else message
        fields = "".join(f" {_visible(str(name))}={_visible(_value(value))}" for name, value in clean.items())
        names = {
            "name": _visible(self._clean(text_of(record.name))),
            "levelname": _visible(text_of(record.levelname)),
        }
        values = {**vars(record), **names, "floe_text": f"{_lines(str(text))}{fields}"}
        return self._fmt % values if self._fmt else text

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the traceback if there is one."""
        record.asctime = self.formatTime(record, self.datefmt)
        line = self.formatMessage(record)
        for text in filter(None, (_traceback(record), text_of(record.stack_info or ""))):
            line += _INDENT + _lines(self._clean(text))
        return line

    def _clean(self, text: str) -> str:
        return str(redacted(text, self._redactor.secrets([[text]])))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name in FIELDS if (value := getattr(record, name, ""))}


def _traceback(record: logging.LogRecord) -> str:
    error = exception_of(record)
    return exception_info(error).stacktrace.rstrip("\n") if error else text_of(record.exc_text or "")


def _timestamp(record: logging.LogRecord) -> str:
    return f"{time.strftime(_SECONDS, time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def _value(value: object) -> str:
    """A value without white space, or quoted."""
    text = value if isinstance(value, str) else _json(value)
    plain = text and not any(each.isspace() or each in '"=' for each in text)
    return text if plain or not isinstance(value, str) else _json(text)


def _json(value: object) -> str:
    # The marks that JSON leaves as they are stand within its texts only.
    return _DECEPTIVE.sub(
        lambda found: f"\\u{ord(found[0]):04x}", json.dumps(_plain(value), ensure_ascii=False)
    )


def _lines(text: str) -> str:
    """A text of several lines, of which only the first begins where a record does."""
    return _INDENT.join(_visible(line) for line in text.replace("\r\n", "\n").split("\n"))


def _visible(text: str) -> str:
    return _DECEPTIVE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    known = {"\n": "\\n", "\r": "\\r"}
    return known.get(found[0]) or (f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}")


def _plain(value: object) -> object:
    """A value as JSON has it (RFC 8259): without bytes, and without numbers that are none."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
