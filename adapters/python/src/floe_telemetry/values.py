"""Component values to and from memory, in the layout of wasmtime's C API.

wasmtime's own `Func.__call__` makes every type object anew in each call and lays each value out field by
field through ctypes, which costs most of a call's time. Here types are read once, arguments are written to
one block, and results are read by their own description.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from ctypes import string_at
from types import SimpleNamespace
from typing import Any, Final

import wasmtime.component as wasm
from wasmtime import _ffi as ffi

Record = SimpleNamespace
"""A record: an attribute a field, by the field's WIT name."""

_VALUE: Final = 32  # kind at 0, contents at 8
_ENTRY: Final = 48  # of a record: length and address of the field's name, then the value
_HEAD: Final = struct.Struct("<B7xQQ")  # kind, and two words: length and address of text, list and record
_WORD: Final = struct.Struct("<Q")
_WORDS: Final = struct.Struct("<QQ")
_BOOL, _U8, _U32, _S32, _U64, _F64 = 0, 2, 6, 5, 8, 10
_STRING, _LIST, _RECORD, _ENUM, _OPTION, _RESULT = 12, 13, 14, 17, 18, 19
_SCALARS: Final = {
    _BOOL: struct.Struct("<B7x?"),
    _U8: struct.Struct("<B7xB"),
    _S32: struct.Struct("<B7xi"),
    _U32: struct.Struct("<B7xI"),
    _U64: struct.Struct("<B7xQ"),
    _F64: struct.Struct("<B7xd"),
}

if (
    ctypes.sizeof(ffi.wasmtime_component_val_t) != _VALUE
    or ctypes.sizeof(ffi.wasmtime_component_valrecord_entry_t) != _ENTRY
    or ffi.wasmtime_component_val_t.of.offset != 8
    or ffi.wasmtime_component_valrecord_entry_t.val.offset != 16
):
    raise ImportError("this version of wasmtime lays component values out in another way")


Writer = Callable[["Block", int, Any], None]
"""Writes a value of one type at an offset of a block."""


class Block:
    """Arguments in one piece of memory. Addresses are offsets until all is written: a block moves as it
    grows.
    """

    def __init__(self, writers: Sequence[Writer], arguments: Sequence[Any]) -> None:
        if len(writers) != len(arguments):
            raise TypeError(f"{len(arguments)} arguments for {len(writers)} parameters")
        self.bytes: Final = bytearray(_VALUE * len(arguments))
        self.addresses: Final[list[int]] = []
        for position, (write, argument) in enumerate(zip(writers, arguments, strict=True)):
            write(self, _VALUE * position, argument)

    def place(self, size: int) -> int:
        """Room for this many bytes, on a word's boundary."""
        at = (len(self.bytes) + 7) & ~7
        self.bytes.extend(bytes(at + size - len(self.bytes)))
        return at

    def text(self, text: bytes) -> int:
        """The offset of a copy of this text."""
        at = len(self.bytes)
        self.bytes.extend(text)
        return at

    def fixed(self) -> ctypes.Array[ctypes.c_char]:
        """The block where it stays, its offsets turned into addresses."""
        fixed = (ctypes.c_char * max(1, len(self.bytes))).from_buffer(self.bytes or bytearray(1))
        base = ctypes.addressof(fixed)
        for at in self.addresses:
            (offset,) = _WORD.unpack_from(self.bytes, at)
            _WORD.pack_into(self.bytes, at, base + offset)
        return fixed


def writer(type: wasm.ValType) -> Writer:
    """What writes values of a type. A type that the contract does not use is a `TypeError`."""
    if isinstance(type, (wasm.String, wasm.EnumType)):
        kind = _STRING if isinstance(type, wasm.String) else _ENUM

        def write_text(block: Block, at: int, value: Any) -> None:
            text = value.encode()
            _HEAD.pack_into(block.bytes, at, kind, len(text), block.text(text))
            block.addresses.append(at + 16)

        return write_text
    if isinstance(type, wasm.ListType):
        element = writer(type.element)

        def write_list(block: Block, at: int, value: Any) -> None:
            first = block.place(_VALUE * len(value))
            _HEAD.pack_into(block.bytes, at, _LIST, len(value), first)
            block.addresses.append(at + 16)
            for position, each in enumerate(value):
                element(block, first + _VALUE * position, each)

        return write_list
    if isinstance(type, wasm.RecordType):
        fields = [(name, name.encode(), writer(field)) for name, field in type.fields]

        def write_record(block: Block, at: int, value: Any) -> None:
            first = block.place(_ENTRY * len(fields))
            _HEAD.pack_into(block.bytes, at, _RECORD, len(fields), first)
            block.addresses.append(at + 16)
            for position, (name, text, write) in enumerate(fields):
                entry = first + _ENTRY * position
                _WORDS.pack_into(block.bytes, entry, len(text), block.text(text))
                block.addresses.append(entry + 8)
                write(block, entry + 16, getattr(value, name))

        return write_record
    if isinstance(type, wasm.OptionType):
        payload = writer(type.payload)

        def write_option(block: Block, at: int, value: Any) -> None:
            if value is None:
                _HEAD.pack_into(block.bytes, at, _OPTION, 0, 0)
                return
            place = block.place(_VALUE)
            _HEAD.pack_into(block.bytes, at, _OPTION, place, 0)
            block.addresses.append(at + 8)
            payload(block, place, value)

        return write_option
    kinds = {wasm.Bool: _BOOL, wasm.U8: _U8, wasm.U32: _U32, wasm.S32: _S32, wasm.U64: _U64, wasm.F64: _F64}
    scalar = kinds[type.__class__]
    pack_into = _SCALARS[scalar].pack_into

    def write_scalar(block: Block, at: int, value: Any) -> None:
        pack_into(block.bytes, at, scalar, value)

    return write_scalar


def read(memory: bytes, at: int = 0) -> Any:
    """The value at an offset. An option is its payload or `None`; of a result, the payload stands for
    either case.
    """
    kind, first, second = _HEAD.unpack_from(memory, at)
    if kind in (_STRING, _ENUM):
        return string_at(second, first).decode()
    if kind == _RECORD:
        entries = string_at(second, _ENTRY * first)
        record = Record()
        fields = record.__dict__
        for entry in range(0, _ENTRY * first, _ENTRY):
            length, name = _WORDS.unpack_from(entries, entry)
            fields[string_at(name, length).decode()] = read(entries, entry + 16)
        return record
    if kind == _LIST:
        elements = string_at(second, _VALUE * first)
        return [read(elements, element) for element in range(0, _VALUE * first, _VALUE)]
    if kind == _OPTION:
        return read(string_at(first, _VALUE)) if first else None
    if kind == _RESULT:
        return read(string_at(second, _VALUE)) if second else None
    return _SCALARS[kind].unpack_from(memory, at)[1]
