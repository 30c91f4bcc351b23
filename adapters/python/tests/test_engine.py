from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import pytest
import wasmtime

from floe_telemetry import engine
from floe_telemetry.contract import ExceptionInfo, OperationKind
from floe_telemetry.engine import LINEAR, Component, ComponentError, Instance, World
from floe_telemetry.policy import WORLD, Policy, component_path

EVIL = """(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "trap") (result i32) unreachable)
    (func (export "loop") (result i32) (loop $again br $again) unreachable)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "fine") (result i32) i32.const 7))
  (core instance $i (instantiate $m))
  (func $trap (result u32) (canon lift (core func $i "trap")))
  (func $loop (result u32) (canon lift (core func $i "loop")))
  (func $grow (param "pages" u32) (result s32) (canon lift (core func $i "grow")))
  (func $fine (result u32) (canon lift (core func $i "fine")))
  (instance $evil
    (export "trap" (func $trap)) (export "loop" (func $loop))
    (export "grow" (func $grow)) (export "fine" (func $fine)))
  (export "floe:telemetry/evil@0.1.0" (instance $evil)))"""

EVIL_WORLD = World(
    "evil", "evil component", {"evil": ("trap", "loop", "grow", "fine")}, LINEAR, "find it", "mend it"
)

MANIFEST = "observability: {telemetry: {}}\nmetadata: {name: shop, namespace: acme, version: '1'}"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


@pytest.fixture
def small(cache: Path) -> bytes:
    """A component that is quick to compile, of the world below."""
    return bytes(wasmtime.wat2wasm(EVIL))


def compile_policy(path: Path) -> None:
    Component.load(WORLD, path).instantiate()


def wat(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "component.wasm"
    path.write_bytes(bytes(wasmtime.wat2wasm(text)))
    return path


def test_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.wasm", tmp_path):
        with pytest.raises(ComponentError) as raised:
            Component.load(WORLD, path)
        assert raised.value.code == "FLOE-C001"
        assert str(path) in raised.value.message


def test_not_webassembly(tmp_path: Path, cache: Path) -> None:
    for content in (b"", b"\0asm", b"#!/bin/sh\n", component_path().read_bytes()[:5000]):
        (tmp_path / "x.wasm").write_bytes(content)
        with pytest.raises(ComponentError) as raised:
            Component.load(WORLD, tmp_path / "x.wasm")
        assert raised.value.code == "FLOE-C002"


def test_core_module(tmp_path: Path) -> None:
    with pytest.raises(ComponentError) as raised:
        compile_policy(wat(tmp_path, "(module)"))
    assert raised.value.code == "FLOE-C003"


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("(component)", "FLOE-C004", "floe:telemetry/describe@0.1.0"),
        ('(component (import "acme:files/read" (func)))', "FLOE-C004", "floe:telemetry/describe"),
    ],
)
def test_another_world(text: str, code: str, named: str, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ComponentError) as raised:
        compile_policy(wat(tmp_path, text))
    assert raised.value.code == code
    assert named in raised.value.message


def test_a_missing_function_is_named(small: bytes) -> None:
    world = EVIL_WORLD._replace(functions={"evil": ("absent",)})
    with pytest.raises(ComponentError) as raised:
        Component(world, small, "evil").instantiate()
    assert raised.value.code == "FLOE-C004"
    assert "evil@0.1.0.absent" in raised.value.message


@pytest.mark.parametrize(
    ("import_", "refused"), [("acme:files/read@1.0.0", True), ("wasi:cli/environment@0.2.0", False)]
)
def test_imports(import_: str, refused: bool, small: bytes) -> None:
    function = "(func (result (list (tuple string string))))"
    text = f'(component (import "{import_}" (instance (export "get-environment" {function}))){EVIL[len("(component") :]}'
    wasm_bytes = bytes(wasmtime.wat2wasm(text))
    if refused:
        with pytest.raises(ComponentError) as raised:
            Component(EVIL_WORLD, wasm_bytes, "evil")
        assert raised.value.code == "FLOE-C004"
        assert import_ in raised.value.message
    else:
        assert Component(EVIL_WORLD, wasm_bytes, "evil").instantiate().call("evil.fine") == 7


@pytest.mark.parametrize(
    ("version", "accepted"), [("0.1.0", True), ("0.1.9", True), ("0.2.0", False), ("1.1.0", False)]
)
def test_contract_version(version: str, accepted: bool, small: bytes) -> None:
    wasm_bytes = bytes(wasmtime.wat2wasm(EVIL.replace("@0.1.0", f"@{version}")))
    if accepted:
        assert Component(EVIL_WORLD, wasm_bytes, "evil").instantiate().call("evil.fine") == 7
    else:
        with pytest.raises(ComponentError) as raised:
            Component(EVIL_WORLD, wasm_bytes, "evil")
        assert raised.value.code == "FLOE-C005"


def test_limits(small: bytes) -> None:
    component = Component(EVIL_WORLD, small, "evil")
    for function, reason in (("trap", "unreachable"), ("loop", "interrupt")):
        instance = component.instantiate()
        started = time.monotonic()
        with pytest.raises(ComponentError) as raised:
            instance.call(f"evil.{function}", seconds=0.3)
        assert raised.value.code == "FLOE-C006"
        assert reason in raised.value.message
        assert time.monotonic() - started < 1.5
    instance = component.instantiate()
    assert instance.call("evil.grow", 900) == 1  # 56 MiB more
    assert instance.call("evil.grow", 200) == -1  # beyond 64 MiB
    with pytest.raises(ComponentError, match="FLOE-C006"):
        instance.call("evil.grow", "text")


def test_many_calls_leave_memory_as_it_was() -> None:
    """Each result is freed once: a process of a million calls neither grows nor breaks."""
    policy, _ = Policy.load().configure(MANIFEST, [])
    error = ExceptionInfo("a.B", "message", "trace " * 100)

    def work() -> None:
        for number in range(300):
            ending = policy.end(OperationKind.DBT_NODE, f"n{number}", "error", 1.0, {"number": number}, error)
            assert ending.exception == error
            assert policy.redact(["password=x"] * 20) == ["password=***"] * 20

    work()
    before = resident()
    for _ in range(5):
        work()
    assert resident() - before < 2_000_000


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_an_instance_is_replaced_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, _ = Policy.load().configure(MANIFEST, [])
    call = Instance.call

    def trap_once(instance: Instance, function: str, *arguments: object, **options: float) -> object:
        monkeypatch.setattr(Instance, "call", call)
        raise ComponentError("FLOE-C006", "trap", "")

    monkeypatch.setattr(Instance, "call", trap_once)
    with pytest.raises(ComponentError):
        policy.child_baggage("")
    assert "floe.product.name=shop" in policy.child_baggage("")  # configured again


def test_a_policy_that_keeps_failing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy.load()
    calls = 0

    def trap(*_: object, **__: object) -> object:
        nonlocal calls
        calls += 1
        raise ComponentError("FLOE-C006", "trap", "")

    monkeypatch.setattr(Instance, "call", trap)
    for _ in range(100):
        with pytest.raises(ComponentError):
            policy.child_baggage("")
    assert calls == 3


def test_threads_have_instances_of_their_own() -> None:
    policy, _ = Policy.load().configure(MANIFEST, [])
    found: list[str] = []
    facts = {"a": "b", "none": None, "text": "\udcff", "odd": object}

    def ask() -> None:
        for _ in range(50):
            policy.begin(OperationKind.CUSTOM, "x\udcff", facts)
            found.append(policy.child_baggage("a=b"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    assert len(set(found)) == 1


def test_facts_that_json_does_not_have() -> None:
    """They cost no more than themselves."""
    nan, inf = float("nan"), float("inf")
    facts = {
        "a": nan,
        "b": [1.5, inf],
        "c": {"d": (nan,)},
        "text": "\udcff\u20ac",
        "odd": object,
        "large": 2**70,
    }
    beginning = Policy.load().begin(OperationKind.CUSTOM, "x", facts)
    assert beginning.attributes == {
        "floe.b": [1.5, None],
        "floe.c": {"d": [None]},
        "floe.text": "?\u20ac",
        "floe.odd": str(object),
        "floe.large": 2**70,
    }


def test_the_cache(small: bytes, cache: Path) -> None:
    Component(EVIL_WORLD, small, "evil")
    [entry] = cache.iterdir()
    assert cache.stat().st_mode & 0o777 == 0o700
    assert entry.stat().st_mode & 0o777 == 0o600

    artifact = entry.read_bytes()
    for damaged in (artifact[:100], b"", artifact[:5000] + b"\xff" + artifact[5001:]):
        entry.write_bytes(damaged)
        assert Component(EVIL_WORLD, small, "evil").instantiate().call("evil.fine") == 7
        assert engine._load_artifact(Component(EVIL_WORLD, small, "evil")._engine, entry)  # written again


def test_the_cache_is_used(small: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Component(EVIL_WORLD, small, "evil")

    def compiled(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(engine._Compiled, "__init__", compiled)
    assert Component(EVIL_WORLD, small, "evil").instantiate().call("evil.fine") == 7


@pytest.mark.parametrize("writable", ["directory", "entry"])
def test_a_cache_that_others_may_write_to_is_not_used(writable: str, small: bytes, cache: Path) -> None:
    Component(EVIL_WORLD, small, "evil")
    [entry] = cache.iterdir()
    before = entry.stat().st_mtime_ns
    (cache if writable == "directory" else entry).chmod(0o777)
    assert engine._cache_directory() == (None if writable == "directory" else cache)
    if writable == "entry":
        assert engine._load_artifact(wasmtime.Engine(), entry) is None
    assert Component(EVIL_WORLD, small, "evil").instantiate().call("evil.fine") == 7
    assert (entry.stat().st_mtime_ns == before) == (writable == "directory")


def test_without_a_cache(small: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOE_CACHE", "/proc/no-such-place")
    assert Component(EVIL_WORLD, small, "evil").instantiate().call("evil.fine") == 7


def test_a_component_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOE_TELEMETRY_COMPONENT", str(tmp_path / "mine.wasm"))
    with pytest.raises(ComponentError, match=r"mine\.wasm"):
        Policy.load()
    (tmp_path / "mine.wasm").write_bytes(Path(engine.__file__).with_name("floe_policy.wasm").read_bytes())
    assert Policy.load().describe().name == "floe-policy"


def test_after_a_fork() -> None:
    policy = Policy.load()
    policy.child_baggage("a=b")
    child = os.fork()
    if child == 0:
        os._exit(0 if policy.child_baggage("a=b") == "a=b" else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_component_that_is_being_replaced_is_waited_for(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "evil.wasm"
    path.write_bytes(small)
    ended = threading.Event()

    def replace() -> None:
        while not ended.is_set():
            path.unlink()
            with path.open("wb", buffering=0) as file:
                for part in (small[:3], small[3:100], small[100:]):
                    time.sleep(0.005)
                    file.write(part)
            time.sleep(0.05)

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        for _ in range(30):
            assert Component.load(EVIL_WORLD, path).instantiate().call("evil.fine") == 7
    finally:
        ended.set()
        replacing.join()


def test_a_component_that_nobody_needs_leaves_nothing(small: bytes) -> None:
    component = Component(EVIL_WORLD, small, "small")
    assert component.instantiate().call("evil.fine") == 7
    ticker = component._ticker
    assert ticker
    assert ticker.is_alive()
    del component
    gc.collect()
    ticker.join(5)
    assert not ticker.is_alive()


def test_idle_instances_are_bounded() -> None:
    policy = Policy.load()
    together = threading.Barrier(24)

    def ask() -> None:
        together.wait()
        policy.describe()

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(policy._idle) <= 16
