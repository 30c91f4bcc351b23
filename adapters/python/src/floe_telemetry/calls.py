"""How the functions of a component are called: prepared, or as wasmtime's Python API does it.

Prepared calls are several times faster, but they rest on the memory layout of wasmtime's C API. So the first
instance of a process asks the same questions both ways. If there is any difference, the process stays with
wasmtime's own calls.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import wasmtime
import wasmtime.component as wasm
from wasmtime import _ffi as ffi

from floe_telemetry._once import warn_once
from floe_telemetry.values import (
    VALUE,
    Arena,
    Full,
    Record,
    arguments_writer,
    check_layout,
    plain,
    value_reader,
)

Call = Callable[..., Any]


class Calls(Protocol):
    """Calls into one store."""

    def deadline(self, ticks: int) -> None:
        """Interrupts the next call after this many ticks of the engine."""

    def prepare(self, func: wasm.Func) -> Call:
        """The function as a callable. A type that the contract does not use is a `KeyError`."""


Strategy = Callable[[wasmtime.Store], Calls]
"""A way of calling."""


class StockCalls:
    """wasmtime's own calls."""

    def __init__(self, store: wasmtime.Store) -> None:
        self._store: Final = store

    def deadline(self, ticks: int) -> None:
        """Interrupts the next call after this many ticks of the engine."""
        self._store.set_epoch_deadline(ticks)

    def prepare(self, func: wasm.Func) -> Call:
        """The function as a callable."""
        return functools.partial(func, self._store)


_ARENA: Final = 4096
_KEPT_ARENA: Final = 64 * 1024


class PreparedCalls:
    """Calls whose types are read once, through memory that is there already."""

    def __init__(self, store: wasmtime.Store) -> None:
        self._store: Final = store  # which owns what the address below points to
        self._context: Final = _address(store._context())
        self._arenas: Final[list[Arena]] = []
        self._raw: Final = _raw_functions()

    def deadline(self, ticks: int) -> None:
        """Interrupts the next call after this many ticks of the engine."""
        self._raw.set_deadline(self._context, ticks)

    def prepare(self, func: wasm.Func) -> Call:
        """The function as a callable."""
        type = func.type(self._store)
        if type.result is None:
            raise KeyError("no function of the contract is without result")
        parameters = [parameter for _, parameter in type.params]
        write, read = arguments_writer(parameters), value_reader(type.result)
        raw_call, delete, address = self._raw.call, self._raw.delete, ctypes.addressof(func._func)
        context, arenas, count = self._context, self._arenas, len(parameters)

        def call(*arguments: Any, owners: tuple[object, ...] = (func, self._store)) -> Any:
            # Taken, not shared: a signal's handler may call in the midst of a call.
            arena = arenas.pop() if arenas else Arena(_ARENA)
            while True:
                try:
                    write(arena, arguments)
                    break
                except Full as full:
                    arena = Arena(2 * full.size)
            base = arena.base
            failure = raw_call(address, context, base + VALUE, count, base, 1)
            if failure:
                raise _error(failure)
            try:
                return read(arena.data)
            finally:
                delete(base)
                if arena.size <= _KEPT_ARENA:
                    arenas.append(arena)

        return call


class _RawFunctions(NamedTuple):
    """Functions of wasmtime's C API, called with addresses: ctypes converts a pointer object anew in each
    call. Those that take no time keep the interpreter's lock: where other threads work, to get it back takes
    milliseconds.
    """

    call: Callable[[int, int, int, int, int, int], int | None]
    delete: Callable[[int], None]
    set_deadline: Callable[[int, int], None]


@functools.cache
def _raw_functions() -> _RawFunctions:
    dll: Any = ffi.dll
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    call = ctypes.CFUNCTYPE(pointer, pointer, pointer, pointer, size, pointer, size)
    delete = ctypes.PYFUNCTYPE(None, pointer)
    set_deadline = ctypes.PYFUNCTYPE(None, pointer, ctypes.c_uint64)
    return _RawFunctions(
        call(("wasmtime_component_func_call", dll)),
        delete(("wasmtime_component_val_delete", dll)),
        set_deadline(("wasmtime_context_set_epoch_deadline", dll)),
    )


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


def _error(address: int) -> wasmtime.WasmtimeError:
    return wasmtime.WasmtimeError._from_ptr(
        ctypes.cast(ctypes.c_void_p(address), ctypes.POINTER(ffi.wasmtime_error_t))
    )


# The self-test. Its questions have the types of value that calls have; `errors.redact` is not among them only
# because its first call takes milliseconds, which belong to an export thread.

_QUESTIONS: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("describe.describe", ()),
    (
        "propagation.extract",
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", "a=1,b@c=2", "ä=1,user=J%C3%BCrgen;p=1"),
    ),
    ("propagation.child-baggage", ("a=1;p=2,b=%20,c=" + "x" * _ARENA,)),
    ("sampling.intent", ("scope", "näme", "client", [Record(key="a", value="1")])),
    ("sampling.decide", (1, "ot=th:8", 1 << 55)),
    ("configuration.variables", ()),
)


class _Difference(Exception):
    """The two ways of calling do not answer the same."""


class _Undecided(Exception):
    """The component does not answer, so that there is nothing to compare."""


_decided: Strategy | None = None
_deciding: Final = threading.Lock()


def process_calls(store: wasmtime.Store, find: Callable[[str], wasm.Func], ticks: int) -> Calls:
    """Calls into a store as this process makes them. Its first instance decides, by the functions that are
    found in it.
    """
    global _decided
    with _deciding:
        decided = _decided
        if decided is None:
            try:
                _compare(store, find, ticks)
                decided = _decided = PreparedCalls
            except _Undecided:
                decided = StockCalls
            except Exception as error:
                reason = (
                    "calls into the policy component are slower: wasmtime's memory is not as expected (%r)"
                )
                warn_once("calls", reason, error)
                decided = _decided = StockCalls
    return decided(store)


def _compare(store: wasmtime.Store, find: Callable[[str], wasm.Func], ticks: int) -> None:
    check_layout()
    stock, prepared = StockCalls(store), PreparedCalls(store)
    for function, arguments in _QUESTIONS:
        try:
            func = find(function)
            stock.deadline(ticks)
            expected = plain(stock.prepare(func)(*arguments))
        except Exception as error:
            raise _Undecided from error
        prepared.deadline(ticks)
        found = plain(prepared.prepare(func)(*arguments))
        if found != expected:
            raise _Difference(f"{function}: {found} instead of {expected}")
