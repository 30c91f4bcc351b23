"""Reads a manifest from its file, within bounds, and says what is wrong with one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from floe_telemetry.contract import Diagnostic, Severity

MOST_BYTES: Final = 1024 * 1024
VARIABLE: Final = "FLOE_TELEMETRY_MANIFEST"


class ManifestError(Exception):
    """A manifest that cannot be used, with everything that is wrong with it."""

    def __init__(self, diagnostics: list[Diagnostic], source: str) -> None:
        super().__init__("\n".join(found.render(source) for found in diagnostics))
        self.diagnostics = diagnostics
        self.source = source


def manifest_path(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path:
    """The path, or that of `FLOE_TELEMETRY_MANIFEST`."""
    chosen = path or environ.get(VARIABLE)
    if not chosen:
        raise ManifestError(
            [_error("FLOE-H001", "no manifest is named", f"set {VARIABLE} to the path of a manifest")],
            "manifest",
        )
    return Path(chosen)


def read_manifest(path: Path) -> str:
    """The text of a manifest."""
    source = str(path)
    try:
        if path.is_dir():
            raise ManifestError(
                [_error("FLOE-H004", f"{source} is a directory", "name the manifest's file in it")], source
            )
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        message = f"{source} cannot be read: {error.strerror or error}"
        raise ManifestError(
            [_error("FLOE-H001", message, "check the path and its permissions")], source
        ) from error
    if len(content) > MOST_BYTES:
        raise ManifestError(
            [_error("FLOE-H003", f"{source} has more than {MOST_BYTES} bytes", "name a floe manifest")],
            source,
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = _error("FLOE-H002", "this is not UTF-8", "save the manifest as UTF-8", line, 1)
        raise ManifestError([found], source) from error


def _error(code: str, message: str, help: str, line: int = 0, column: int = 0) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, "", line, column, message, help)
