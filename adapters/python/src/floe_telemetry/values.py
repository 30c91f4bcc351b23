"""Component values to and from memory, in the layout of wasmtime's C API.

wasmtime's own `Func.__call__` makes every type object anew in each call and lays each value out field by
field through ctypes, which costs most of a call's time. Here a type is read once: what writes and what reads
its values is made for it, arguments go into memory that is there already, and a record is read at one go.

The layout is of wasmtime's C header, not of its Python API: `check_layout` compares the two.
"""

from __future__ import annotations

import builtins
import ctypes
import struct
import sys
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import wasmtime.component as wasm
from wasmtime import _ffi as ffi


class Record(wasm.Record):
    """A record as an argument: an attribute a field, by the field's WIT name."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class ReadRecord(tuple[Any, ...]):
    """A record as a result: a tuple of its fields, with an attribute for each by its WIT name."""

    __slots__ = ()
    names: tuple[str, ...] = ()


VALUE: Final = 32
"""Bytes of a value: its kind at 0, its contents at 8."""
_ENTRY: Final = 48  # of a record: length and address of the field's name, then the value
_NAME: Final = "16x"
_TEXT_ENTRY: Final = "QQB7xQQ8x"
_MEMORY: Final[Any] = (ctypes.c_char * sys.maxsize).from_address(0)
"""The process's memory, of which a slice is a copy: in a fourth of the time of `ctypes.string_at`."""
_HEAD: Final = struct.Struct("<B7xQQ")  # kind, and two words: length and address of text, list and record
_WORDS: Final = struct.Struct("<QQ")
_STRING, _LIST, _RECORD, _VARIANT, _ENUM, _OPTION, _RESULT = 12, 13, 14, 16, 17, 18, 19
_SCALARS: Final[dict[type[wasm.ValType], tuple[int, str]]] = {
    wasm.Bool: (0, "?"),
    wasm.U8: (2, "B"),
    wasm.S32: (5, "i"),
    wasm.U32: (6, "I"),
    wasm.U64: (8, "Q"),
    wasm.F64: (10, "d"),
}
_TEXTS: Final[dict[type[wasm.ValType], int]] = {wasm.String: _STRING, wasm.EnumType: _ENUM}
"""An enum's value is the name of its case."""
_KINDS: Final = {
    **{type.__name__.upper(): kind for type, (kind, _) in _SCALARS.items()},
    **{"STRING": _STRING, "LIST": _LIST, "RECORD": _RECORD},
    **{"VARIANT": _VARIANT, "ENUM": _ENUM, "OPTION": _OPTION, "RESULT": _RESULT},
}


class LayoutError(Exception):
    """This version of wasmtime lays component values out in another way."""


def check_layout() -> None:
    """Raises [`LayoutError`] unless wasmtime's layout is that of this module."""
    value: Any = ffi.wasmtime_component_val_t
    entry: Any = ffi.wasmtime_component_valrecord_entry_t
    variant: Any = ffi.wasmtime_component_valvariant_t
    result: Any = ffi.wasmtime_component_valresult_t
    text: Any = ffi.wasm_byte_vec_t
    vectors: tuple[Any, ...] = (text, ffi.wasmtime_component_vallist_t, ffi.wasmtime_component_valrecord_t)
    found = (
        ctypes.sizeof(value),
        value.kind.offset,
        value.of.offset,
        ctypes.sizeof(entry),
        entry.name.offset,
        entry.val.offset,
        *((vector.size.offset, vector.data.offset) for vector in vectors),
        (result.is_ok.offset, result.val.offset),
        (variant.discriminant.offset, variant.val.offset),
    )
    kinds = {name: getattr(ffi, f"WASMTIME_COMPONENT_{name}").value for name in _KINDS}
    if found != (VALUE, 0, 8, _ENTRY, 0, 16, *[(0, 8)] * 4, (0, 16)) or kinds != _KINDS:
        raise LayoutError("this version of wasmtime lays component values out in another way")


class Full(Exception):
    """An arena is too small for what was to be written. `size` would have been enough so far."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Arena:
    """Memory for one call at a time: the result's value at 0, then the arguments, then what they point to."""

    def __init__(self, size: int) -> None:
        self.data: Final = bytearray(size)
        self.base: Final = ctypes.addressof((ctypes.c_char * size).from_buffer(self.data))
        self.size: Final = size
        self.used = 0

    def place(self, size: int) -> int:
        """The offset of a free place of this size, on a word's boundary."""
        at = self.used
        if at + size > self.size:
            raise Full(at + size)
        self.used = at + size + 7 & ~7
        return at

    def text(self, text: bytes) -> int:
        """The address of a copy of this text."""
        at = self.place(len(text))
        self.data[at : at + len(text)] = text
        return self.base + at


Arguments = Callable[[Arena, tuple[Any, ...]], None]
"""Writes the arguments of one function."""


def arguments_writer(types: Sequence[wasm.ValType]) -> Arguments:
    """What writes arguments of these types, and a result that holds nothing: the callee drops the one that it
    finds.
    """
    if all(type.__class__ in _TEXTS or type.__class__ in _SCALARS for type in types):
        return _flat_arguments(types)
    writers = [writer(type) for type in types]
    places = range(VALUE, VALUE * (1 + len(types)), VALUE)
    nothing = bytes(VALUE)

    def write(arena: Arena, arguments: tuple[Any, ...]) -> None:
        arena.data[:VALUE] = nothing
        arena.used = VALUE * (1 + len(writers))
        for write_one, at, argument in zip(writers, places, arguments, strict=True):
            write_one(arena, at, argument)

    return write


def _flat_arguments(types: Sequence[wasm.ValType]) -> Arguments:
    """Texts, cases and numbers only: all of their values are written at one go, the result's before them."""
    format = f"<{VALUE}x"
    kinds: list[int] = []
    for type in types:
        kind, contents = _SCALARS.get(type.__class__) or (_TEXTS[type.__class__], "QQ")
        kinds.append(kind)
        format += f"B7x{contents}{24 - struct.calcsize(f'<{contents}')}x"
    values, texts = struct.Struct(format), frozenset(_TEXTS.values())

    def write(arena: Arena, arguments: tuple[Any, ...]) -> None:
        words: list[Any] = []
        end = values.size
        for kind, argument in zip(kinds, arguments, strict=True):
            if kind not in texts:
                words += (kind, argument)
            elif argument:
                text = argument.encode()
                start, end = end, end + len(text)
                if end > arena.size:
                    raise Full(end)
                arena.data[start:end] = text
                words += (kind, len(text), arena.base + start)
            else:
                words += (kind, 0, arena.base)
        values.pack_into(arena.data, 0, *words)

    return write


Writer = Callable[[Arena, int, Any], None]
"""Writes a value of one type at an offset of an arena."""


def writer(type: wasm.ValType) -> Writer:
    """What writes values of a type. A type that the contract does not use is a `KeyError`."""
    if type.__class__ in _TEXTS:
        kind = _TEXTS[type.__class__]

        def write_text(arena: Arena, at: int, value: Any) -> None:
            text = value.encode()
            _HEAD.pack_into(arena.data, at, kind, len(text), arena.text(text))

        return write_text
    if isinstance(type, wasm.ListType):
        element = writer(type.element)

        def write_list(arena: Arena, at: int, value: Any) -> None:
            first = arena.place(VALUE * len(value))
            _HEAD.pack_into(arena.data, at, _LIST, len(value), arena.base + first)
            for position, each in enumerate(value):
                element(arena, first + VALUE * position, each)

        return write_list
    if isinstance(type, wasm.RecordType):
        return _record_writer(type)
    if isinstance(type, wasm.OptionType):
        payload = writer(type.payload)

        def write_option(arena: Arena, at: int, value: Any) -> None:
            if value is None:
                _HEAD.pack_into(arena.data, at, _OPTION, 0, 0)
                return
            place = arena.place(VALUE)
            _HEAD.pack_into(arena.data, at, _OPTION, arena.base + place, 0)
            payload(arena, place, value)

        return write_option
    kind, format = _SCALARS[type.__class__]
    pack_into = struct.Struct(f"<B7x{format}").pack_into

    def write_scalar(arena: Arena, at: int, value: Any) -> None:
        pack_into(arena.data, at, kind, value)

    return write_scalar


def _record_writer(type: wasm.RecordType) -> Writer:
    """The names of the fields are in memory that is written once."""
    texts = {name: ctypes.create_string_buffer(name.encode()) for name, _ in type.fields}
    names = [(name, len(text) - 1, ctypes.addressof(text)) for name, text in texts.items()]
    size, count = _ENTRY * len(names), len(names)

    if all(isinstance(field, wasm.String) for _, field in type.fields):
        pack_into = struct.Struct(f"<{_TEXT_ENTRY * count}").pack_into

        def write_texts(arena: Arena, at: int, value: Any, kept: object = texts) -> None:
            first = arena.place(size)
            words: list[int] = []
            for name, length, address in names:
                text = getattr(value, name).encode()
                words += (length, address, _STRING, len(text), arena.text(text))
            pack_into(arena.data, first, *words)
            _HEAD.pack_into(arena.data, at, _RECORD, count, arena.base + first)

        return write_texts
    writers = [writer(field) for _, field in type.fields]

    def write_record(arena: Arena, at: int, value: Any, kept: object = texts) -> None:
        entry = arena.place(size)
        _HEAD.pack_into(arena.data, at, _RECORD, count, arena.base + entry)
        for (name, length, address), write in zip(names, writers, strict=True):
            _WORDS.pack_into(arena.data, entry, length, address)
            write(arena, entry + 16, getattr(value, name))
            entry += _ENTRY

    return write_record


Take = Callable[[Sequence[Any], int], Any]
"""Takes a value out of the words that its bytes were unpacked to, the first of them at a position."""


class Reader(NamedTuple):
    """How values of one type are read: their bytes become words by a `struct` format, and the words a value.

    A value that is its one word has nothing to take.
    """

    format: str
    words: int
    take: Take | None


_TWO_WORDS: Final = "8xQQ8x"


def reader(type: wasm.ValType) -> Reader:
    """What reads values of a type. An option is its payload or `None`. A variant or a result is the payload
    of its case if the payload's class tells which case that is, and else a `Variant`, as wasmtime's own calls
    answer. A type that the contract does not use is a `KeyError`.
    """
    if type.__class__ in _TEXTS:
        return Reader(_TWO_WORDS, 2, _take_text)
    if isinstance(type, wasm.ListType):
        return Reader(_TWO_WORDS, 2, _list_taker(type))
    if isinstance(type, wasm.RecordType):
        return Reader(_TWO_WORDS, 2, _record_taker(type))
    if isinstance(type, wasm.OptionType):
        payload = _pointed(type.payload)
        return Reader("8xQ16x", 1, lambda words, at: payload(words[at]) if words[at] else None)
    if isinstance(type, wasm.ResultType):
        of_result = [_case(type, tag, case) for tag, case in (("err", type.err), ("ok", type.ok))]
        return Reader("8x?7xQ8x", 2, lambda words, at: of_result[words[at]](words[at + 1]))
    if isinstance(type, wasm.VariantType):
        cases = {tag.encode(): _case(type, tag, case) for tag, case in type.cases}

        def take_variant(words: Sequence[Any], at: int) -> Any:
            tag = words[at + 1]
            return cases[_MEMORY[tag : tag + words[at]]](words[at + 2])

        return Reader("8xQQQ", 3, take_variant)
    _, format = _SCALARS[type.__class__]
    return Reader(f"8x{format}{24 - struct.calcsize(f'<{format}')}x", 1, None)


def value_reader(type: wasm.ValType) -> Callable[[Any], Any]:
    """What reads a value of a type at the beginning of memory."""
    format, _, take = reader(type)
    unpack_from = struct.Struct(f"<{format}").unpack_from
    if take is None:
        return lambda memory: unpack_from(memory)[0]
    return lambda memory: take(unpack_from(memory), 0)


def _take_text(words: Sequence[Any], at: int) -> str:
    length, address = words[at], words[at + 1]
    return _MEMORY[address : address + length].decode() if length else ""


def _list_taker(type: wasm.ListType) -> Take:
    format, _, take = reader(type.element)
    unpack_each = struct.Struct(f"<{format}").iter_unpack

    def take_list(words: Sequence[Any], at: int) -> list[Any]:
        length, address = words[at], words[at + 1]
        if not length:
            return []
        elements = unpack_each(_MEMORY[address : address + VALUE * length])
        return [take(each, 0) for each in elements] if take else [each[0] for each in elements]

    return take_list


def _record_taker(type: wasm.RecordType) -> Take:
    """A record's entries come in the order of its type's fields, and are unpacked at one go."""
    format, place = "<", 0
    fields: list[tuple[Take | None, int]] = []
    names = []
    for name, field in type.fields:
        of_field = reader(field)
        format += _NAME + of_field.format
        fields.append((of_field.take, place))
        place += of_field.words
        names.append(name)
    unpack, size = struct.Struct(format).unpack, _ENTRY * len(fields)
    of_name = {name: property(itemgetter(position)) for position, name in enumerate(names)}
    record: Any = builtins.type("Record", (ReadRecord,), {"__slots__": (), "names": tuple(names), **of_name})

    def take_record(words: Sequence[Any], at: int) -> ReadRecord:
        address = words[at + 1]
        found = unpack(_MEMORY[address : address + size])
        read: ReadRecord = record([take(found, at) if take else found[at] for take, at in fields])
        return read

    return take_record


def _pointed(type: wasm.ValType) -> Callable[[int], Any]:
    """What reads a value of a type at an address."""
    read = value_reader(type)
    return lambda address: read(_MEMORY[address : address + VALUE])


def _case(
    type: wasm.ResultType | wasm.VariantType, tag: str, payload: wasm.ValType | None
) -> Callable[[int], Any]:
    """What reads the payload of one case at an address."""
    read = _pointed(payload) if payload else lambda address: None
    return (lambda address: wasm.Variant(tag, read(address))) if type._tagged() else read


def plain(value: Any) -> Any:
    """A value with objects in place of records and of tagged cases, whichever way they were read."""
    if isinstance(value, wasm.Variant):
        return {value.tag: plain(value.payload)}
    if isinstance(value, ReadRecord):
        return {name: plain(field) for name, field in zip(value.names, value, strict=True)}
    if isinstance(value, wasm.Record):
        return {name: plain(field) for name, field in vars(value).items()}
    return [plain(each) for each in value] if isinstance(value, list) else value
