"""Loads a component and calls it, under limits.

A component has no access to anything, and as much memory and time as its world gives it. Every thread has an
instance of its own, because wasmtime aborts the process when a store is used from two.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import wasmtime
import wasmtime.component as wasm

from floe_telemetry._once import logger
from floe_telemetry._platform import after_fork_in_child, is_ours
from floe_telemetry.calls import Call, Calls, Strategy, process_calls
from floe_telemetry.contract import CONTRACT_VERSION

_LARGEST: Final = 64 * 1024 * 1024
_SLOW_BYTES: Final = 8 * 1024 * 1024
"""A component of this size takes so long to compile that it has to be said."""
_TICK_SECONDS: Final = 0.1
_KEPT_ARTIFACTS: Final = 16
_REPLACING_SECONDS: Final = 0.5
"""How long a component that is being replaced is waited for."""
_NEW_SECONDS: Final = 5.0
_HALF_WRITTEN: Final = ("FLOE-C001", "FLOE-C002", "FLOE-C003")
_DIGEST_SIZE: Final = 32


class Limits(NamedTuple):
    """What an instance may use: bytes of memory, and seconds of a call."""

    memory: int
    seconds: float


LINEAR: Final = Limits(64 * 1024 * 1024, 1.0)
"""For components that do linear work on bounded input: far above what any takes."""
INTERPRETER: Final = Limits(512 * 1024 * 1024, 30.0)
"""For components that bring a language's interpreter along."""


class World(NamedTuple):
    """A world of the contract."""

    name: str
    noun: str
    """What messages call a component of this world."""
    functions: Mapping[str, tuple[str, ...]]
    """What it exports: the functions of each interface."""
    wasi_limits: Limits
    """Limits of a component that asks for WASI, as an interpreter does."""
    missing: str
    """What to do where a component's file cannot be read."""
    fault: str
    """What to do where a component fails."""


class ComponentError(Exception):
    """A component that cannot be used. The code is stable; help says what to do."""

    def __init__(self, code: str, message: str, help: str) -> None:
        super().__init__(f"error[{code}]: {message}\n  help: {help}")
        self.code = code
        self.message = message
        self.help = help


class _UntilExit:
    """A wasmtime object that an ending interpreter leaves to the system: wasmtime's modules may be gone
    before it.
    """

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not is_finalizing():
            super().__del__()  # type: ignore[misc]


class _Engine(_UntilExit, wasmtime.Engine):
    pass


class _Store(_UntilExit, wasmtime.Store):
    pass


class _Compiled(_UntilExit, wasm.Component):
    pass


class Component:
    """A compiled component of a world. Instances of any number of threads share it.

    `calls` is the way of calling that is asked for; by default the process decides.
    """

    def __init__(self, world: World, wasm_bytes: bytes, source: str, calls: Strategy | None = None) -> None:
        _check_header(wasm_bytes, source)
        self.world: Final = world
        self.source: Final = source
        self.digest: Final = hashlib.sha256(wasm_bytes).hexdigest()
        configuration = wasmtime.Config()
        configuration.epoch_interruption = True
        self._engine: Final = _Engine(configuration)
        self._compiled: Final = _compiled(self._engine, wasm_bytes, self.digest, source)
        types = self._compiled.type
        self.interfaces: Final = _interfaces(world, types.exports(self._engine), source)
        for interface, exported in self.interfaces.items():
            index = self._compiled.get_export_index(exported)
            for name in world.functions[interface]:
                if not self._compiled.get_export_index(name, index):
                    raise _other_world(world, f"{source} does not export {exported}.{name}")
        self._needs_wasi: Final = _needs_wasi(world, types.imports(self._engine), self._engine, source)
        self._calls: Final = calls
        self._ticker: threading.Thread | None = None
        after_fork_in_child(self._forget_ticker)

    @classmethod
    def load(cls, world: World, path: Path, calls: Strategy | None = None) -> Component:
        """Reads and compiles a component, or takes the compiled artifact from the cache."""
        until = time.monotonic() + _REPLACING_SECONDS
        while True:
            try:
                return cls(world, _read(world, path), str(path), calls)
            except ComponentError as error:
                if error.code not in _HALF_WRITTEN or not _is_new(path) or time.monotonic() > until:
                    raise
            time.sleep(_REPLACING_SECONDS / 25)  # somebody replaces it

    def instantiate(self) -> Instance:
        """A new instance, for the calling thread only."""
        self._tick()
        return Instance(self, self._engine, self._compiled, self._needs_wasi, self._calls)

    def _tick(self) -> None:
        """Moves the clock by which calls are interrupted; started by the first instance."""
        if self._ticker is None:
            component = weakref.ref(self)
            ticker = threading.Thread(
                target=_ticks, args=(component,), name="floe-telemetry-epoch", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # the process ends, and with it what takes too long
                ticker.start()
                self._ticker = ticker

    def _forget_ticker(self) -> None:
        """A forked child has none of its parent's threads."""
        self._ticker = None


def _ticks(component: weakref.ref[Component]) -> None:
    """Ends with the component. A reference to its engine could be had while the engine's `__del__` runs."""
    while True:
        time.sleep(_TICK_SECONDS)
        alive = component()
        if alive is None:
            return
        alive._engine.increment_epoch()
        del alive


class Instance:
    """One instance in a store of its own. Use it from one thread at a time, and throw it away when a
    call failed.
    """

    def __init__(
        self,
        component: Component,
        engine: wasmtime.Engine,
        compiled: wasm.Component,
        needs_wasi: bool,
        calls: Strategy | None,
    ) -> None:
        self._component: Final = component
        self._limits: Final = component.world.wasi_limits if needs_wasi else LINEAR
        self._store: Final = _Store(engine)
        self._store.set_limits(memory_size=self._limits.memory)
        linker = wasm.Linker(engine)
        if needs_wasi:
            linker.add_wasip2()
            self._store.set_wasi(wasmtime.WasiConfig())  # no files, variables, arguments or streams
        ticks = _ticks_of(self._limits.seconds)
        try:
            self._store.set_epoch_deadline(ticks)
            self._instance: Final = linker.instantiate(self._store, compiled)
        except wasmtime.WasmtimeError as error:
            raise _failed(component, "instantiation", error) from error
        self._functions: Final[dict[str, Call]] = {}
        self._limited_to = self._limited_until = 0.0
        self._calls: Final[Calls] = (
            calls(self._store) if calls else process_calls(self._store, self._find, ticks)
        )

    def call(self, function: str, *arguments: Any, seconds: float | None = None) -> Any:
        """Calls `interface.function`. Whatever goes wrong is a `ComponentError` with the code FLOE-C006."""
        call = self._functions.get(function) or self.prepare(function)
        try:
            self._limit(self._limits.seconds if seconds is None else seconds)
            return call(*arguments)
        except (
            wasmtime.WasmtimeError,
            AssertionError,  # by which wasmtime's own calls refuse what they did not expect
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            struct.error,
        ) as error:
            raise _failed(self._component, function, error) from error

    def _limit(self, seconds: float) -> None:
        """Limits the time of the next call. A deadline of half a tick ago is as good as a new one."""
        now = time.monotonic()
        if now >= self._limited_until or seconds != self._limited_to:
            self._calls.deadline(_ticks_of(seconds))
            self._limited_to, self._limited_until = seconds, now + _TICK_SECONDS / 2

    def prepare(self, function: str) -> Call:
        """Looks up a function, which the first call of it does otherwise."""
        func = self._find(function)
        try:
            call = self._functions[function] = self._calls.prepare(func)
        except KeyError as error:
            raise _other_world(self._component.world, f"{function} has another signature") from error
        return call

    def _find(self, function: str) -> wasm.Func:
        interface, _, name = function.partition(".")
        exported = self._component.interfaces[interface]
        index = self._instance.get_export_index(self._store, exported)
        of_function = index and self._instance.get_export_index(self._store, name, index)
        func = of_function and self._instance.get_func(self._store, of_function)
        if not func:
            raise _other_world(self._component.world, f"it does not export {exported}.{name}")
        return func


def _read(world: World, path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise _unreadable(world, path, f"it is larger than {_LARGEST} bytes")
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(world, path, error.strerror or str(error)) from error


def _is_new(path: Path) -> bool:
    """Whether a file, or its directory, was changed just now."""
    for each in (path, path.parent):
        with contextlib.suppress(OSError):
            if abs(time.time() - each.stat().st_mtime) < _NEW_SECONDS:
                return True
    return False


def _ticks_of(seconds: float) -> int:
    return int(seconds / _TICK_SECONDS) + 1


def _unreadable(world: World, path: Path, reason: str) -> ComponentError:
    return ComponentError("FLOE-C001", f"the {world.noun} {path} cannot be read: {reason}", world.missing)


def _failed(component: Component, what: str, error: Exception) -> ComponentError:
    reason = str(error).strip().splitlines()
    return ComponentError(
        "FLOE-C006",
        f"the {component.world.noun} {component.source} failed in {what}: "
        + (reason[-1].strip() if reason else type(error).__name__),
        component.world.fault,
    )


def _other_world(world: World, reason: str) -> ComponentError:
    return ComponentError(
        "FLOE-C004",
        f"the component is not of the world floe:telemetry/{world.name}: {reason}",
        f"build it against wit/ of this version, world `{world.name}`",
    )


def _check_header(wasm_bytes: bytes, source: str) -> None:
    if wasm_bytes[:4] != b"\0asm" or len(wasm_bytes) < 8:
        raise ComponentError("FLOE-C002", f"{source} is not WebAssembly", "name a .wasm component")
    if wasm_bytes[4:8] == b"\x01\0\0\0":
        raise ComponentError(
            "FLOE-C003",
            f"{source} is a core WebAssembly module, not a component",
            "link it as a component, for example with wasm-component-ld or `wasm-tools component new`",
        )


def _interfaces(world: World, exports: dict[str, Any], source: str) -> dict[str, str]:
    """Interface names to the names that they are exported by."""
    found: dict[str, tuple[str, str]] = {}
    for exported in exports:
        match = re.fullmatch(r"floe:telemetry/([a-z-]+)@(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)", exported)
        if match:
            found[match[1]] = (exported, match[2])
    missing = [interface for interface in world.functions if interface not in found]
    if missing:
        raise _other_world(world, f"{source} does not export floe:telemetry/{missing[0]}@{CONTRACT_VERSION}")
    for interface in world.functions:
        check_contract(found[interface][1])
    return {interface: found[interface][0] for interface in world.functions}


def check_contract(version: str) -> None:
    """Refuses another contract than ours: before 1.0 a minor version may change anything."""
    if version.split(".")[:2] != CONTRACT_VERSION.split(".")[:2]:
        raise ComponentError(
            "FLOE-C005",
            f"the component is built against contract version {version}; this host has {CONTRACT_VERSION}",
            "rebuild the component against this host's wit/, or install the host of the component's version",
        )


def _needs_wasi(world: World, imports: dict[str, Any], engine: wasmtime.Engine, source: str) -> bool:
    """Whether WASI has to be linked. Anything else that a host would have to provide is refused."""
    needed = {name for name, imported in imports.items() if not _is_types_only(imported.ty, engine)}
    foreign = sorted(name for name in needed if not name.startswith("wasi:"))
    if foreign:
        raise _other_world(world, f"{source} imports {foreign[0]}, and gets nothing but an empty WASI")
    return bool(needed)


def _is_types_only(imported: Any, engine: wasmtime.Engine) -> bool:
    """An interface of nothing but types, such as floe:telemetry/types, needs nothing from a host."""
    return isinstance(imported, wasm.ComponentInstanceType) and all(
        isinstance(item.ty, wasm.ValType) for item in imported.exports(engine).values()
    )


# The cache of compiled artifacts. Compiling takes a second, loading an artifact takes milliseconds.


def _compiled(engine: wasmtime.Engine, wasm_bytes: bytes, digest: str, source: str) -> wasm.Component:
    directory = _cache_directory()
    entry = directory and directory / f"{digest[:32]}-wasmtime{_wasmtime_version()}-epochs"
    if entry:
        cached = _load_artifact(engine, entry)
        if cached:
            return cached
    if len(wasm_bytes) > _SLOW_BYTES:
        logger.warning("compiling %s for this machine, which may take a minute", source)
    try:
        compiled = _Compiled(engine, wasm_bytes)
    except wasmtime.WasmtimeError as error:
        raise ComponentError(
            "FLOE-C002",
            f"{source} is not valid WebAssembly: {str(error).strip().splitlines()[-1].strip()}",
            "the file may be cut short: copy or build it again",
        ) from error
    if entry:
        _store_artifact(entry, bytes(compiled.serialize()))
    return compiled


def _wasmtime_version() -> str:
    """By the name of its installed metadata: importlib.metadata costs a fifth of a process's start."""
    for installed in Path(wasmtime.__file__).parents[1].glob("wasmtime-*.dist-info"):
        return installed.name.removeprefix("wasmtime-").removesuffix(".dist-info")
    from importlib.metadata import version

    return version("wasmtime")


def _cache_directory() -> Path | None:
    """The cache, if nobody but this user can write to it: an artifact is machine code."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    directory = Path(os.environ.get("FLOE_CACHE") or os.path.join(home, "floe-telemetry")) / "compiled"
    if str(directory).startswith("~"):
        return None  # this user has no home
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory if is_ours(os.stat(directory)) else None
    except OSError:
        return None


def _load_artifact(engine: wasmtime.Engine, entry: Path) -> wasm.Component | None:
    try:
        with entry.open("rb") as file:
            if not is_ours(os.fstat(file.fileno())):
                return None
            stored = file.read()
        artifact, digest = stored[:-_DIGEST_SIZE], stored[-_DIGEST_SIZE:]
        # wasmtime trusts what it deserializes, so that a damaged file would run as damaged code.
        if hashlib.sha256(artifact).digest() != digest:
            return None
        return _Compiled.deserialize(engine, artifact)
    except (OSError, wasmtime.WasmtimeError):
        return None


def _store_artifact(entry: Path, artifact: bytes) -> None:
    """Writes aside and renames, so that a reader never sees half an artifact. The oldest artifacts make
    room.
    """
    partial = entry.with_name(f".{entry.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        partial.write_bytes(artifact + hashlib.sha256(artifact).digest())
        partial.chmod(0o600)
        os.replace(partial, entry)
        artifacts = sorted(entry.parent.glob("*-wasmtime*"), key=lambda path: path.stat().st_mtime)
        for old in artifacts[:-_KEPT_ARTIFACTS]:
            old.unlink(missing_ok=True)
    except OSError:
        partial.unlink(missing_ok=True)
