"""evil.py DIRECTORY: components of the world `telemetry-backends` that misbehave, for hosts to refuse or to stop.

Each is put into a directory of its own, as an operator's directory of backends would hold it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import wasmtime

IMPORT = '(import "acme:network/connect@1.0.0" (instance (export "connect" (func))))'

BODIES = {
    "fine": "",
    "loops": "(loop $again br $again)",
    "eats": "(loop $again (memory.grow (i32.const 256)) (i32.const -1) i32.ne br_if $again) unreachable",
    "traps": "unreachable",
}
"""What `describe` does before it answers."""

# Its only backend is called {name}, and renders nothing. Texts are at 16; `describe` answers at 512, `list` at 640.
TEMPLATE = """(component {import}
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "{name}")
    (data (i32.const 128) "0.1.0")
    (func $text (param $at i32) (param $text i32) (param $length i32)
      (i32.store (local.get $at) (local.get $text))
      (i32.store offset=4 (local.get $at) (local.get $length)))
    (func (export "describe") (result i32)
      {body}
      (call $text (i32.const 512) (i32.const 16) (i32.const {length}))
      (call $text (i32.const 520) (i32.const 128) (i32.const 5))
      (call $text (i32.const 528) (i32.const 128) (i32.const 5))
      (i32.const 512))
    (func (export "list") (result i32)
      (i32.store (i32.const 640) (i32.const 656))
      (i32.store (i32.const 644) (i32.const 1))
      (call $text (i32.const 656) (i32.const 16) (i32.const {length}))
      (i32.const 640))
    (func (export "render") (param i32 i32 i32 i32 i32 i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))

  (type $severity' (enum "error" "warning"))
  (export $severity "severity" (type $severity'))
  (type $diagnostic' (record (field "code" string) (field "severity" $severity) (field "path" string)
    (field "line" u32) (field "column" u32) (field "message" string) (field "help" string)))
  (export $diagnostic "diagnostic" (type $diagnostic'))
  (type $signal' (enum "traces" "metrics" "logs"))
  (export $signal "signal" (type $signal'))
  (type $key-value' (record (field "key" string) (field "value" string)))
  (export $key-value "key-value" (type $key-value'))
  (type $info' (record (field "name" string) (field "version" string) (field "contract" string)))
  (export $info "info" (type $info'))
  (type $setting-type' (enum "text" "integer" "boolean" "url"))
  (export $setting-type "setting-type" (type $setting-type'))
  (type $setting' (record (field "name" string) (field "type" $setting-type) (field "required" bool)
    (field "secret" bool) (field "default" string) (field "description" string)))
  (export $setting "setting" (type $setting'))
  (type $backend' (record (field "name" string) (field "description" string) (field "signals" (list $signal))
    (field "settings" (list $setting))))
  (export $backend "backend" (type $backend'))
  (type $component' (record (field "id" string) (field "config" string)))
  (export $component "component" (type $component'))
  (type $pipeline' (record (field "signal" $signal) (field "processors" (list string))
    (field "exporters" (list string))))
  (export $pipeline "pipeline" (type $pipeline'))
  (type $connector' (record (field "id" string) (field "config" string) (field "input" $signal)
    (field "output" $signal)))
  (export $connector "connector" (type $connector'))
  (type $fragment' (record (field "exporters" (list $component)) (field "processors" (list $component))
    (field "extensions" (list $component)) (field "connectors" (list $connector))
    (field "pipelines" (list $pipeline)) (field "variables" (list string))
    (field "warnings" (list $diagnostic))))
  (export $fragment "fragment" (type $fragment'))

  (func $describe (result $info)
    (canon lift (core func $i "describe") (memory (core memory $memory)) string-encoding=utf8))
  (func $list (result (list $backend))
    (canon lift (core func $i "list") (memory (core memory $memory)) string-encoding=utf8))
  (func $render (param "name" string) (param "settings" (list $key-value)) (param "collector" string)
    (result (result $fragment (error (list $diagnostic))))
    (canon lift (core func $i "render") (memory (core memory $memory)) (realloc (core func $realloc)) string-encoding=utf8))

  (instance $describe-instance (export "info" (type $info)) (export "describe" (func $describe)))
  (instance $backends-instance (export "list" (func $list)) (export "render" (func $render)))
  (export "floe:telemetry/describe@0.1.0" (instance $describe-instance))
  (export "floe:telemetry/backends@0.1.0" (instance $backends-instance)))"""


def component(name: str, behaviour: str = "fine", imports: str = "") -> bytes:
    """A component whose backend is called so."""
    text = TEMPLATE.replace("{name}", name).replace("{length}", str(len(name.encode())))
    text = text.replace("{body}", BODIES[behaviour]).replace("{import}", imports)
    return bytes(wasmtime.wat2wasm(text))


def main(directory: Path) -> None:
    made = {behaviour: component(behaviour, behaviour) for behaviour in BODIES}
    made["asks"] = component("asks", imports=IMPORT)
    made["taken"] = component("jaeger")  # a name of the built-in component
    for name, wasm_bytes in made.items():
        (directory / name).mkdir(parents=True)
        (directory / name / f"{name}.wasm").write_bytes(wasm_bytes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
