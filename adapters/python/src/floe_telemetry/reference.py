"""What the plan only refers to: values of headers, and the files of TLS. It is resolved when an exporter is
built.

Nothing here shows a value: neither an error nor a representation holds one.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from floe_telemetry.contract import (
    Exporter,
    FileReference,
    Header,
    MemberReference,
    Reference,
    TextReference,
    Tls,
    VariableReference,
)

if TYPE_CHECKING:
    import ssl

_MOST_BYTES: Final = 64 * 1024
_MOST_PEM_BYTES: Final = 4 * 1024 * 1024
_AUTHORITIES_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_AUTHORITIES_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian and its kin
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora and its kin
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something that the plan refers to is not there."""

    code: str
    message: str
    help: str


class UnresolvedError(Exception):
    """Something that the plan refers to is not there, or is not what it should be."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(
            "\n".join(f"error[{each.code}]: {each.message}\n  help: {each.help}" for each in problems)
        )
        self.problems: Final = problems


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What an exporter identifies itself and its Collector by."""

    headers: tuple[tuple[str, str], ...]
    authorities: bytes
    """PEM of what the plan names or, if it names nothing, of what this machine trusts. May be empty."""
    certificate: bytes
    key: bytes


def resolve(plan: Exporter, environ: Mapping[str, str]) -> Credentials:
    """Reads what an exporter needs. Raises [`UnresolvedError`] with all that is missing."""
    problems: list[Problem] = []
    headers: list[tuple[str, str]] = []
    for header in plan.headers:
        try:
            headers.append((header.name, _value(header, environ)))
        except UnresolvedError as unresolved:
            problems += unresolved.problems
    contents: list[bytes] = []
    for path in _tls_files(plan, environ):
        try:
            contents.append(_read(path, _MOST_PEM_BYTES, "which TLS needs") if path else b"")
        except UnresolvedError as unresolved:
            problems += unresolved.problems
    if problems:
        raise UnresolvedError(*problems)
    return Credentials(tuple(headers), *contents)


def check(plan: Exporter, environ: Mapping[str, str]) -> None:
    """Raises [`UnresolvedError`] with all that an exporter needs and that is not there, or is of no use."""
    problems: list[Problem] = []
    for part in (plan._replace(tls=Tls("", "", "")), plan._replace(headers=[])):
        try:
            check_tls(part, resolve(part, environ))
        except UnresolvedError as unresolved:
            problems += unresolved.problems
    if problems:
        raise UnresolvedError(*dict.fromkeys(problems))


def check_tls(plan: Exporter, credentials: Credentials) -> None:
    """Raises [`UnresolvedError`] for files of the plan that TLS cannot use."""
    if is_tls(plan) and (plan.tls.ca or plan.tls.certificate):
        tls_context(plan.tls, credentials)


def is_tls(plan: Exporter) -> bool:
    """Whether exports are encrypted."""
    return plan.endpoint.startswith("https:")


def tls_context(tls: Tls, credentials: Credentials) -> ssl.SSLContext:
    """TLS as the plan wants it. Raises [`UnresolvedError`] for files that it cannot use."""
    import ssl  # which costs a start ten milliseconds

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if credentials.authorities:
            context.load_verify_locations(cadata=credentials.authorities.decode("ascii", "ignore"))
        else:
            context.load_default_certs()
    except (OSError, ValueError) as error:
        raise _unusable(tls.ca, error, "a PEM file with the certificates of authorities") from None
    if tls.certificate:
        key = tls.key or tls.certificate
        try:
            # With a password at hand, OpenSSL does not ask the terminal for one.
            context.load_cert_chain(tls.certificate, key, password="")
        except (OSError, ValueError) as error:
            files = " and ".join(dict.fromkeys((tls.certificate, key)))
            what = "PEM files with the client's certificate and its private key, without a password"
            raise _unusable(files, error, what) from None
    return context


def _tls_files(plan: Exporter, environ: Mapping[str, str]) -> tuple[str, str, str]:
    """The files of authorities, certificate and key; empty where there are none, or no TLS."""
    if not is_tls(plan):
        return "", "", ""
    tls = plan.tls
    return tls.ca or _authorities(environ), tls.certificate, tls.key or tls.certificate


def _authorities(environ: Mapping[str, str]) -> str:
    """The file of the authorities that this machine trusts; empty if none is known."""
    of_variables = (environ.get(name, "") for name in _AUTHORITIES_VARIABLES)
    return next((path for path in (*of_variables, *_AUTHORITIES_FILES) if os.path.isfile(path)), "")


def _value(header: Header, environ: Mapping[str, str]) -> str:
    of = f"which the header `{header.name}` needs"
    value = "".join(_text(part, environ, of) for part in header.value)
    if any(character < " " or "\x7f" <= character < "\xa0" for character in value):
        raise _unsendable(header, "a control character")
    if header.base64:
        value = base64.b64encode(value.encode()).decode()
    elif not value.isascii():
        raise _unsendable(header, "a character beyond ASCII")
    return header.prefix + value


def _text(reference: Reference, environ: Mapping[str, str], of: str) -> str:
    if isinstance(reference, TextReference):
        return reference.text
    if isinstance(reference, FileReference):
        content = _read(reference.file, _MOST_BYTES, of)
        try:
            text = content.decode().rstrip()
        except UnicodeDecodeError:
            raise _unreadable(reference.file, of, "it is not UTF-8", "save it as UTF-8 text") from None
        if not text:
            raise _unreadable(reference.file, of, "it is empty", "write the value into it")
        return text
    value = environ.get(reference.variable, "")
    if not value:
        message = f"the variable {reference.variable}, {of}, is not set"
        raise UnresolvedError(Problem("FLOE-X003", message, "set it in the environment of this process"))
    if isinstance(reference, VariableReference):
        return value
    return _member(value, reference, of)


def _member(text: str, reference: MemberReference, of: str) -> str:
    """The last member of a name counts (OTLP exporter specification, "Specifying headers via environment
    variables").
    """
    pairs = (member.partition("=") for member in text.split(","))
    found = [value for key, _, value in pairs if unquote(key.strip()).lower() == reference.key]
    try:
        value = unquote(found[-1].strip(), errors="strict") if found else ""
    except UnicodeDecodeError:
        message = f"the member `{reference.key}` of the variable {reference.variable}, {of}, "
        message += "is not percent-encoded UTF-8"
        raise UnresolvedError(Problem("FLOE-X005", message, "percent-encode it")) from None
    if not value:
        message = f"the variable {reference.variable} has no member `{reference.key}`, {of}"
        raise UnresolvedError(Problem("FLOE-X003", message, f"write {reference.key}=VALUE into it"))
    return value


def _read(path: str, most: int, of: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe or a device might never end
            raise _unreadable(path, of, "it is not a file", "name a regular file")
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "this is no path"
        raise _unreadable(path, of, reason, "check the path and its permissions") from None
    if len(content) > most:
        help = "name the file that holds it and nothing else"
        raise _unreadable(path, of, f"it has more than {most} bytes", help)
    return content


def _unreadable(path: str, of: str, reason: str, help: str) -> UnresolvedError:
    message = f"the file {path}, {of}, cannot be read: {reason}"
    return UnresolvedError(Problem("FLOE-X004", message, help))


def _unsendable(header: Header, found: str) -> UnresolvedError:
    message = f"the value of the header `{header.name}` holds {found}"
    origins = " and ".join(filter(None, map(_origin, header.value))) or "the manifest"
    return UnresolvedError(Problem("FLOE-X005", message, f"check {origins}"))


def _origin(reference: Reference) -> str:
    """Where a part of a value comes from, for people."""
    match reference:
        case VariableReference(variable):
            return f"the variable {variable}"
        case FileReference(file):
            return f"the file {file}"
        case MemberReference(variable, key):
            return f"`{key}` in the variable {variable}"
    return ""


def _unusable(files: str, error: Exception, what: str) -> UnresolvedError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    message = f"TLS cannot use {files}: {reason}"
    return UnresolvedError(Problem("FLOE-X006", message, f"name {what}"))
