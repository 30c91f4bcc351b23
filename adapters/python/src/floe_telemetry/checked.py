"""A manifest and all that a command can check of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from floe_telemetry.backends import Backends
from floe_telemetry.contract import Diagnostic, Rejected, Severity, Variable
from floe_telemetry.engine import ComponentError
from floe_telemetry.manifest import manifest_path, read_manifest
from floe_telemetry.policy import Policy

_MODE: Final = "FLOE_MODE"
"""The variable that chooses the environment."""
_ENVIRONMENTS: Final = ("dev", "staging", "prod")
_Key = tuple[int, int, str, str, str]


def check(
    manifest: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> list[Diagnostic]:
    """All that is wrong with a manifest or deserves attention, each once and in the order of the manifest:
    its settings under this environment, and the backends of every one of floe's environments.

    Raises `ManifestError` for a file that cannot be read, and [`ComponentError`] for a policy component that
    cannot be used.
    """
    environ = os.environ if environ is None else environ
    file = manifest_path(manifest, environ)
    text = read_manifest(file)
    policy = Policy.load()
    variables = policy.given(environ)
    try:
        own = policy.configure(text, variables)[1].warnings
    except Rejected as rejected:
        own = rejected.diagnostics
    collectors = _Collectors(policy, text, file)
    own = [*own, *collectors.under(variables)]
    each: dict[_Key, Diagnostic] = {}
    for found in [*own, *_elsewhere(collectors, own)]:
        each.setdefault(_key(found), found)
    return sorted(each.values(), key=lambda found: (not found.line, found.line, found.column))


def _elsewhere(collectors: _Collectors, own: list[Diagnostic]) -> list[Diagnostic]:
    """What is found in other environments and not in this process's, with their names. Their variables are
    not those of this process.
    """
    known = set(map(_key, own))
    others: dict[_Key, tuple[Diagnostic, list[str]]] = {}
    for environment in _ENVIRONMENTS:
        for found in collectors.under([Variable(_MODE, environment)]):
            if known.isdisjoint((_key(found), _key(_named(found, [environment])))):
                _, names = others.setdefault(_key(found), (found, []))
                if environment not in names:
                    names.append(environment)
    return [_named(*others[key]) for key in sorted(others)]


def _named(found: Diagnostic, environments: list[str]) -> Diagnostic:
    """A finding that names the environments that it is of, in the policy's words."""
    *names, last = [f"`{name}`" for name in environments]
    listed = f"environments {', '.join(names)} and {last}" if names else f"environment {last}"
    return found._replace(message=f"{found.message} (in the {listed})")


def _key(found: Diagnostic) -> _Key:
    """What makes two findings one."""
    return found.line, found.column, found.path, found.code, found.message


class _Collectors:
    """The Collectors of a manifest's environments."""

    def __init__(self, policy: Policy, text: str, file: Path) -> None:
        self._policy: Final = policy
        self._text: Final = text
        self._file: Final = file
        self._backends: Final[dict[str, Backends]] = {}
        """By directory: environments have the same one for the most part."""

    def under(self, variables: list[Variable]) -> Iterator[Diagnostic]:
        """What is found about the Collector under these variables, and about its backends."""
        try:
            deployment = self._policy.deployment(self._text, variables)
        except Rejected as rejected:
            yield from rejected.diagnostics
            return
        yield from deployment.warnings
        try:
            backends = self._loaded(deployment.directory)
        except ComponentError as error:
            of = "observability.telemetry.collector.backends_directory" if deployment.directory else ""
            yield _as_diagnostic(error, of)
            return
        try:
            yield from backends.check(deployment)
        except ComponentError as error:
            yield _as_diagnostic(error)

    def _loaded(self, directory: str) -> Backends:
        if directory not in self._backends:
            # A relative directory is beside the manifest.
            self._backends[directory] = Backends.load(directory and self._file.parent / directory)
        return self._backends[directory]


def _as_diagnostic(error: ComponentError, path: str = "") -> Diagnostic:
    """A problem outside the manifest's text as one of its findings."""
    return Diagnostic(error.code, Severity.ERROR, path, 0, 0, error.message, error.help)
