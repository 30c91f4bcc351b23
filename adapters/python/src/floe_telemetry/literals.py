"""Values that are secret wherever they stand: those of variables whose names begin with `DBT_ENV_SECRET`.

dbt promises that they are in no log. So they leave in no signal of a process that has them: as they are, or
as a URL, JSON, Python, SQL or HTML spell them.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

PREFIX: Final = "DBT_ENV_SECRET"
_MASK: Final = "***"
_SHORT: Final = 4
"""A value of fewer characters is masked as a word of its own only: it is part of much that is innocent."""
_LONG_LINE: Final = 8
"""A line of a value of several, such as a key, is secret by itself if it has so many characters."""


class Literals:
    """Masks the values that the environment has now: a program may load its variables late."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def changed(self) -> bool:
        """Takes the values anew. Whether there are others than before."""
        values = frozenset(
            value for name, value in os.environ.items() if name.startswith(PREFIX) and value.strip()
        )
        if values == self._values:
            return False
        self._values = values
        forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_escaped, forms))) if forms else None
        return True

    def masked(self, text: str) -> str:
        """The text without them."""
        return text if self._pattern is None else self._pattern.sub(_MASK, text)


def _escaped(form: str) -> str:
    if len(form) >= _SHORT:
        return re.escape(form)
    return rf"(?<!\w){re.escape(form)}(?!\w)"


def _forms(value: str) -> Iterator[str]:
    """How a value may be spelled."""
    lines = [line.strip() for line in value.splitlines()]
    for text in {value, value.strip(), *(line for line in lines if len(line) >= _LONG_LINE)}:
        yield text
        for encoded in (quote(text, safe=""), quote(text), quote_plus(text)):
            yield encoded
            yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), encoded)
        for ascii_only in (True, False):
            yield json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield from (repr(text)[1:-1], repr(repr(text)[1:-1])[1:-1], ascii(text)[1:-1])
        yield text.replace("'", "''")
        yield from (html.escape(text), html.escape(text, quote=False))
