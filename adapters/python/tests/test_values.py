"""Variants and results, whose cases tell themselves apart or not, through both ways of calling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import wasmtime
import wasmtime.component as wasm

from floe_telemetry.calls import PreparedCalls, StockCalls, Strategy
from floe_telemetry.values import plain

TYPES = {
    "texts": '(variant (case "text" string) (case "file" string) (case "number" u32) (case "nothing"))',
    "mixed": '(variant (case "text" string) (case "number" u32))',
    "same": "(result string (error string))",
    "other": "(result string (error u32))",
}
CASES: list[tuple[str, int, Any]] = [
    ("texts", 0, {"text": "héllo"}),
    ("texts", 1, {"file": "héllo"}),
    ("texts", 2, {"number": 8}),
    ("texts", 3, {"nothing": None}),
    ("mixed", 0, "héllo"),
    ("mixed", 1, 8),
    ("same", 0, {"ok": "héllo"}),
    ("same", 1, {"err": "héllo"}),
    ("other", 0, "héllo"),
    ("other", 1, 8),
]

# Answers the case that is asked for. Its payload is a text of six bytes at 8, or the number 8.
COMPONENT = """(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "h\\c3\\a9llo")
    (func (export "answer") (param i32) (result i32)
      (i32.store8 (i32.const 64) (local.get 0))
      (i32.store (i32.const 68) (i32.const 8))
      (i32.store (i32.const 72) (i32.const 6))
      (i32.const 64)))
  (core instance $i (instantiate $m))
  (type $t {type})
  (export $e "answer-type" (type $t))
  (func (export "answer") (param "case" u32) (result $e)
    (canon lift (core func $i "answer") (memory (core memory $i "memory")) string-encoding=utf8)))"""


def answering(strategy: Strategy, type: str) -> Callable[[int], Any]:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    component = wasm.Component(engine, COMPONENT.replace("{type}", TYPES[type]))
    instance = wasm.Linker(engine).instantiate(store, component)
    func = instance.get_func(store, "answer")
    assert func
    return strategy(store).prepare(func)


@pytest.mark.parametrize("strategy", [PreparedCalls, StockCalls])
@pytest.mark.parametrize(("type", "case", "expected"), CASES)
def test_cases(strategy: Strategy, type: str, case: int, expected: Any) -> None:
    answer = answering(strategy, type)
    for _ in range(3):
        assert plain(answer(case)) == expected
