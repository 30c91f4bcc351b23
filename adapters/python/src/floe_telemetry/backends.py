"""Telemetry backends: what a Collector's configuration is made of. No SDK is ever configured by one.

The built-in component is in the wheel. A third party's is a `*.wasm` file in a directory, in whatever
language, and gets an empty WASI where its language asks for one.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from floe_telemetry import records
from floe_telemetry.calls import StockCalls
from floe_telemetry.contract import (
    Backend,
    Deployment,
    Destination,
    Diagnostic,
    Fragment,
    Info,
    Rejected,
    Severity,
    Signal,
)
from floe_telemetry.engine import INTERPRETER, Component, ComponentError, World, check_contract

VARIABLE: Final = "FLOE_TELEMETRY_BACKENDS"
"""Names the directory of third parties' backends, where nothing else does."""

WORLD: Final = World(
    name="telemetry-backends",
    noun="backends component",
    functions={"describe": ("describe",), "backends": ("list", "render")},
    wasi_limits=INTERPRETER,
    missing="check the file and its permissions, or take it out of the directory of backends",
    fault="this is a fault of the component; use another version of it",
)
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
"""What a Collector's component id may have as its second part."""


class BackendsComponent:
    """A component of backends that passed every check."""

    def __init__(self, component: Component, file: Path | None) -> None:
        self._component: Final = component
        self.file: Final = file
        """Where it comes from; the built-in component has none."""
        instance = component.instantiate()
        self.info: Final[Info] = records.info(instance.call("describe.describe"))
        check_contract(self.info.contract)
        self.backends: Final[list[Backend]] = records.backends(instance.call("backends.list"))

    @classmethod
    def load(cls, path: Path, *, built_in: bool = False) -> BackendsComponent:
        """Reads a component. Raises [`ComponentError`]."""
        # Few calls of many types: to prepare them would cost more than it saves.
        component = Component.load(WORLD, path, StockCalls)
        return cls(component, None if built_in else path)

    @property
    def digest(self) -> str:
        """SHA-256 of the component, in hexadecimal digits."""
        return self._component.digest

    @property
    def shown(self) -> str:
        """What messages call it."""
        return str(self.file) if self.file else "the built-in component"

    def render(self, name: str, settings: Mapping[str, object], collector: str) -> Fragment:
        """The fragment of one of its backends for a version of the Collector. Raises [`Rejected`] with all
        that is wrong with the settings, and [`ComponentError`].
        """
        found = self._component.instantiate().call(
            "backends.render", records.text(name), records.key_values(settings), records.text(collector)
        )
        if isinstance(found, list):
            raise Rejected(records.diagnostics(found))
        try:
            return records.fragment(found)
        except json.JSONDecodeError as error:
            raise ComponentError(
                "FLOE-C006", f"{self.shown} made no configuration of {name}: {error}", WORLD.fault
            ) from error

    def call_json(self, function: str, arguments: Sequence[Any]) -> Any:
        """Calls `interface.function` with JSON values and answers with one: the form of the vectors."""
        given = [records.from_json(each) for each in arguments]
        return records.to_json(function, self._component.instantiate().call(function, *given))


class Backends:
    """The backends of a process: each name is offered once."""

    def __init__(self, components: list[BackendsComponent]) -> None:
        self.components: Final = components
        """The built-in one first."""
        self._by_name: Final[dict[str, tuple[Backend, BackendsComponent]]] = {}
        for component in components:
            for backend in component.backends:
                self._add(backend, component)

    @classmethod
    def load(cls, directory: str | os.PathLike[str] | None = None) -> Backends:
        """The built-in backends, and those of every `*.wasm` of a directory, by name of the file. Without a
        directory that of `FLOE_TELEMETRY_BACKENDS` counts, if it is set. Raises [`ComponentError`]: one file
        that is not what it should be, or that offers a name which another has, is an error.
        """
        chosen = directory or os.environ.get(VARIABLE)
        components = [BackendsComponent.load(built_in_path(), built_in=True)]
        components += [BackendsComponent.load(file) for file in (_files(Path(chosen)) if chosen else ())]
        return cls(components)

    def find(self, name: str) -> tuple[Backend, BackendsComponent] | None:
        """The backend of a name, with the component that offers it."""
        return self._by_name.get(name)

    def render(self, name: str, settings: Mapping[str, object], collector: str = "") -> Fragment:
        """A backend's fragment for a version of the Collector, by default the newest that is known. Raises
        [`Rejected`] and [`ComponentError`].
        """
        found = self.find(name)
        if found is None:
            raise Rejected([self._unknown(name)])
        return found[1].render(name, settings, collector)

    def check(self, deployment: Deployment) -> list[Diagnostic]:
        """What is wrong with the backends that a manifest names and their settings, or deserves attention, by
        place in the manifest. Raises [`ComponentError`].
        """
        return [found for each in deployment.destinations for found in self._check(each, deployment.version)]

    def _check(self, destination: Destination, version: str) -> Iterator[Diagnostic]:
        found = self.find(destination.backend)
        if found is None:
            yield _at(destination, self._unknown(destination.backend))
            return
        backend, component = found
        if destination.version not in ("", component.info.version):
            yield _error(
                destination,
                "FLOE-K001",
                f"{backend.name} is of version {component.info.version} here, "
                f"and the manifest asks for {destination.version}",
                f"write that version, or replace {component.shown} by the one that is asked for",
            )
        refused = [signal for signal in destination.signals if signal not in backend.signals]
        for signal in refused:
            help = f"it takes {', '.join(backend.signals)}"
            yield _error(destination, "FLOE-K002", f"{backend.name} takes no {signal}", help)
        settings = {setting.name: setting.value for setting in destination.settings}
        try:
            fragment = component.render(backend.name, settings, version)
        except Rejected as rejected:
            yield from (_at(destination, each) for each in rejected.diagnostics)
            return
        yield from (_at(destination, each) for each in fragment.warnings)
        # What the settings leave out is not taken either: Splunk's logs need an HTTP Event Collector's.
        taken: list[Signal] = refused + [pipeline.signal for pipeline in fragment.pipelines]
        for signal in destination.signals:
            if signal not in taken:
                message = f"{backend.name} takes no {signal} with these settings"
                help = "`floe-telemetry-py backends` lists its settings"
                yield _error(destination, "FLOE-K002", message, help)

    def _add(self, backend: Backend, component: BackendsComponent) -> None:
        if not _NAME.fullmatch(backend.name):
            raise ComponentError(
                "FLOE-C008",
                f"{component.shown} offers a backend with an invalid name: {json.dumps(backend.name)}",
                "name it by 1 to 64 lower-case letters, digits and hyphens, the first of them a letter",
            )
        holder = self.find(backend.name)
        if holder:
            raise ComponentError(
                "FLOE-C008",
                f"{holder[1].shown} and {component.shown} both offer a backend `{backend.name}`",
                "a name means one backend, and those of the built-in component are taken: "
                "rename it, or take one of the files away",
            )
        self._by_name[backend.name] = backend, component

    def _unknown(self, name: str) -> Diagnostic:
        names = sorted(self._by_name)
        near = difflib.get_close_matches(name, names, 1, 0.75)
        help = (
            f"did you mean `{near[0]}`?"
            if near
            else f"write one of: {', '.join(names)}; "
            "or put the component that offers it into the directory of backends"
        )
        message = f"there is no backend {json.dumps(name, ensure_ascii=False)}"
        return Diagnostic("FLOE-B001", Severity.ERROR, "", 0, 0, message, help)

    def list(self) -> list[Backend]:
        """Every backend, those of the built-in component first."""
        return [backend for backend, _ in self._by_name.values()]


def built_in_path() -> Path:
    """The component that the wheel carries."""
    return Path(__file__).with_name("floe_backends.wasm")


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == ".wasm")
    except OSError as error:
        raise ComponentError(
            "FLOE-C009",
            f"the directory of backends {directory} cannot be read: {error.strerror or error}",
            "make the directory, or name another one",
        ) from error


def _at(destination: Destination, found: Diagnostic) -> Diagnostic:
    """What a component found, which names a setting, at the setting's place in the manifest; what names no
    setting that is there, at the destination's.
    """
    place = next((each for each in destination.settings if each.name == found.path), destination)
    return found._replace(path=place.path, line=place.line, column=place.column)


def _error(destination: Destination, code: str, message: str, help: str) -> Diagnostic:
    place = destination.path, destination.line, destination.column
    return Diagnostic(code, Severity.ERROR, *place, message, help)
