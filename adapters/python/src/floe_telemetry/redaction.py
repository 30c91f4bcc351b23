"""Redaction of all text on its way to an exporter or a console.

Texts repeat: names, keys, states. So what the policy answered is kept, and it is asked for new texts only, in
one call a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes

from floe_telemetry._once import warn_once
from floe_telemetry.attributes import like
from floe_telemetry.literals import Literals
from floe_telemetry.policy import Policy

_MASK: Final = "***"
_MOST_KEPT: Final = 4096
_LONGEST_KEPT: Final = 256
_DEEPEST: Final = 64
"""Lists and mappings in each other beyond it are masked (OpenTelemetry's limit, common/README.md)."""


class Secrets(dict[str, str]):
    """Texts that hold secrets, and how they read without; and the keys whose values are secret whatever they
    hold.
    """

    def __init__(self, texts: Mapping[str, str], names: frozenset[str] = frozenset()) -> None:
        super().__init__(texts)
        self.names: Final = names

    def __bool__(self) -> bool:
        return bool(len(self) or self.names)


class Redactor:
    """Finds the texts that hold secrets. It is safe to use in the export threads of several signals."""

    def __init__(self, policy: Policy) -> None:
        self._policy: Final = policy
        self._clean: set[str] = set()
        self._secrets: dict[str, str] = {}
        self._names: dict[str, bool] = {}
        """Whether a key names a secret."""
        self._plain: set[str] = set()
        """Keys that name none, and that hold none."""
        self._literals: Final = Literals()

    def text(self, text: str) -> str:
        """A text without secrets."""
        return self.secrets([[text]]).get(text, text)

    def secrets(self, items: Iterable[Iterable[Any]]) -> Secrets:
        """What is secret among all of the items' values."""
        if self._literals.changed():
            self._clean, self._secrets, self._plain = set(), {}, set()
        found = _Found(self._clean, self._plain)
        clean, texts, plain, keys = found.clean, found.texts, found.plain, found.keys
        for item in items:
            for value in item:
                if value.__class__ is not dict:
                    found.collect(value, 0)
                    continue
                for key, each in value.items():  # of a span: this is where the time goes
                    if key not in plain:
                        keys[key] = key
                    kind = each.__class__
                    if kind is str:
                        if each not in clean:
                            texts[each] = each
                    elif kind is not int and kind is not float and kind is not bool:
                        found.collect(each, 1)
        if not texts and not keys:
            return _NOTHING
        names: frozenset[str] = frozenset()
        if keys:
            keys = {key: key for key in keys if isinstance(key, str)}  # a log's body may have any
            names = self._secret_names(keys)
            texts.update((key, key) for key in keys if key not in clean)
        secrets = self._ask(texts) if texts else {}
        if keys:
            self._plain.update(key for key in keys if key not in names and key in self._clean)
        return Secrets({**secrets, _MASK: _MASK} if _MASK in texts else secrets, names)

    def _secret_names(self, keys: Iterable[str]) -> frozenset[str]:
        """The keys that name secrets. Where the policy fails, all do that it was not asked for before."""
        known = self._names
        new = [key for key in keys if key not in known]
        answers: dict[str, bool] = {}
        try:
            if new:
                answers = dict(zip(new, self._policy.names_secret(new), strict=True))
        except Exception as error:
            warn_once("names-secret", "%s; the values of new attributes are masked", error)
            return frozenset(key for key in keys if known.get(key, True))
        secret = frozenset(key for key in keys if (answers if key in answers else known)[key])
        if len(known) + len(answers) > _MOST_KEPT:
            self._names, self._plain = {}, set()
        self._names.update((key, answer) for key, answer in answers.items() if len(key) <= _LONGEST_KEPT)
        return secret

    def _ask(self, unclean: dict[str, str]) -> dict[str, str]:
        known = self._secrets
        new = [text for text in unclean if text not in known]
        try:
            masked = [self._literals.masked(text) for text in new]
            answers = dict(zip(new, self._policy.redact(masked), strict=True)) if new else {}
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


class _Found:
    """The texts and keys of a batch that nobody looked at yet, or that hold secrets."""

    def __init__(self, clean: set[str], plain: set[str]) -> None:
        self.clean: Final = clean
        self.plain: Final = plain
        self.texts: Final[dict[str, str]] = {}
        self.keys: Final[dict[str, str]] = {}

    def collect(self, value: Any, depth: int) -> None:
        """Looks for them in a value."""
        if isinstance(value, str):
            if value and value not in self.clean:
                self.texts[value] = value
        elif isinstance(value, bytes):
            self.collect(_decoded(value), depth)
        elif isinstance(value, (list, tuple, Mapping)):
            if depth > _DEEPEST:
                self.texts[_MASK] = _MASK  # so that somebody looks, and masks it
                return
            if isinstance(value, Mapping):
                self.keys.update((key, key) for key in value if key not in self.plain)
                value = _copied(value).values()
            for each in value:
                self.collect(each, depth + 1)


def redacted(value: Any, secrets: Secrets, depth: int = 0, *, secret: bool = False) -> Any:
    """The value with no secret in it; the same object if it held none. Of one that is `secret` itself, all
    text is masked.
    """
    if isinstance(value, str):
        return (_MASK if secret else secrets.get(value, value)) if value else value
    if isinstance(value, bytes):  # it may be text
        text = _decoded(value)
        clean = redacted(text, secrets, depth, secret=secret)
        return value if clean is text else clean.encode()
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if depth > _DEEPEST:
        return _MASK
    if isinstance(value, Mapping):
        own = _copied(value)
        names = secrets.names
        changed = {
            secrets.get(key, key): redacted(each, secrets, depth + 1, secret=secret or key in names)
            for key, each in own.items()
        }
        same = len(changed) == len(own) and all(
            key is other and own[key] is changed[other] for key, other in zip(own, changed, strict=True)
        )
        return value if same else like(value, changed)
    elements = [redacted(each, secrets, depth + 1, secret=secret) for each in value]
    if all(other is each for other, each in zip(elements, value, strict=True)):
        return value
    return elements


def _copied(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The SDK's attributes as a dict, which is quicker than to ask for value after value."""
    return value.copy() if isinstance(value, BoundedAttributes) else value


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


_NOTHING: Final = Secrets({})
