"""Prints what a component imports and exports: interfaces, their functions and the types of these."""

import sys
from pathlib import Path

import wasmtime.component as wasm
from wasmtime import Engine


def main() -> None:
    """Prints one line an import and an export of the component that the first argument names."""
    engine = Engine()
    component = wasm.Component(engine, Path(sys.argv[1]).read_bytes())
    for name in component.type.imports(engine):
        print(f"import {name}")
    for name, exported in component.type.exports(engine).items():
        print(f"export {name}")
        if isinstance(exported.ty, wasm.ComponentInstanceType):
            for item, inner in sorted(exported.ty.exports(engine).items()):
                parameters = getattr(inner.ty, "params", None)
                signature = f"({', '.join(parameter for parameter, _ in parameters)})" if parameters else ""
                print(f"  {item}{signature}")


if __name__ == "__main__":
    main()
