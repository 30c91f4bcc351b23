"""Redaction of all text on its way to an exporter.

Texts repeat: names, keys, states. So what the policy answered is kept, and it is asked for new texts only, in
one call a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from floe_telemetry._once import warn_once
from floe_telemetry.attributes import merged
from floe_telemetry.policy import Policy

_MASK: Final = "***"
_MOST_KEPT: Final = 4096
_LONGEST_KEPT: Final = 256
_DEEPEST: Final = 64
"""Lists and mappings in each other beyond it are masked (OpenTelemetry's limit, common/README.md)."""

Secrets = Mapping[str, str]
"""Texts that hold secrets, and how they read without."""


class Redactor:
    """Finds the texts that hold secrets. It is safe to use in the export threads of several signals."""

    def __init__(self, policy: Policy) -> None:
        self._policy: Final = policy
        self._clean: set[str] = set()
        self._secrets: dict[str, str] = {}

    def secrets(self, items: Iterable[Iterable[Any]]) -> Secrets:
        """The texts among all of the items' values that hold secrets."""
        unclean: dict[str, str] = {}
        clean = self._clean
        for item in items:
            for value in item:
                if value.__class__ is not dict:
                    _collect(value, clean, unclean, 0)
                    continue
                for each in value.values():  # of a span: this is where the time goes
                    kind = each.__class__
                    if kind is str:
                        if each not in clean:
                            unclean[each] = each
                    elif kind is not int and kind is not float and kind is not bool:
                        _collect(each, clean, unclean, 1)
        if not unclean:
            return unclean
        secrets = self._ask(unclean)
        return {**secrets, _MASK: _MASK} if _MASK in unclean else secrets

    def _ask(self, unclean: dict[str, str]) -> Secrets:
        known = self._secrets
        new = [text for text in unclean if text not in known]
        try:
            answers = dict(zip(new, self._policy.redact(new), strict=True)) if new else {}
        except Exception as error:
            # A text that could not be checked may hold a secret.
            warn_once("redact", "%s; texts are masked instead of redacted", error)
            return {text: known.get(text, _MASK) for text in unclean}
        self._keep(answers)
        answers |= {text: known[text] for text in unclean if text in known}
        return {text: answer for text, answer in answers.items() if text != answer}

    def _keep(self, answers: dict[str, str]) -> None:
        if len(self._clean) + len(self._secrets) + len(answers) > _MOST_KEPT:
            self._clean, self._secrets = set(), {}
        for text, answer in answers.items():
            if len(text) <= _LONGEST_KEPT:
                if text == answer:
                    self._clean.add(text)
                else:
                    self._secrets[text] = answer


def _collect(value: Any, clean: set[str], unclean: dict[str, str], depth: int) -> None:
    if isinstance(value, str):
        if value and value not in clean:
            unclean[value] = value
    elif isinstance(value, (list, tuple, Mapping)):
        if depth > _DEEPEST:
            unclean[_MASK] = _MASK  # so that somebody looks, and masks it
            return
        for each in value.values() if isinstance(value, Mapping) else value:
            _collect(each, clean, unclean, depth + 1)


def redacted(value: Any, secrets: Secrets, depth: int = 0) -> Any:
    """The value with no secret in it; the same object if it held none."""
    if isinstance(value, str):
        return secrets.get(value, value) if value else value
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if depth > _DEEPEST:
        return _MASK
    if isinstance(value, Mapping):
        changed = {
            key: other
            for key, each in value.items()
            if (other := redacted(each, secrets, depth + 1)) is not each
        }
        return merged(value, {}, changed) if changed else value
    elements = [redacted(each, secrets, depth + 1) for each in value]
    if all(other is each for other, each in zip(elements, value, strict=True)):
        return value
    return elements
