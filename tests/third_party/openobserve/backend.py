"""OpenObserve as a backend of floe-telemetry: OTLP over HTTP with basic authentication, for all three signals.

Built as a component of the world `telemetry-backends`; `wit_world` is what componentize-py makes of wit/.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.backends import Backend, Component, Fragment, Pipeline, Setting, SettingType
from wit_world.exports.describe import Info
from wit_world.exports.types import Diagnostic, KeyValue, Severity, Signal

CONTRACT = "0.1.0"
NAME = "openobserve"
SIGNALS = [Signal.TRACES, Signal.METRICS, Signal.LOGS]

UNKNOWN_BACKEND = "OPENOBSERVE-001"
UNKNOWN_SETTING = "OPENOBSERVE-002"
WRONG_TYPE = "OPENOBSERVE-003"
MISSING_SETTING = "OPENOBSERVE-004"
WRONG_VALUE = "OPENOBSERVE-005"
SECRET_VALUE = "OPENOBSERVE-006"
UNENCRYPTED = "OPENOBSERVE-007"


class Rule(NamedTuple):
    """What a setting's text must be, and what that is called."""

    holds: Callable[[str], object]
    form: str


def is_url(text: str) -> bool:
    """A URL of scheme and host, with nothing that could hold a credential."""
    try:
        url = urlsplit(text)
        plain = not (url.username or url.query or url.fragment) and url.port != 0
    except ValueError:
        return False
    # With a dollar sign, a reference in the Collector's configuration starts.
    clean = text.isascii() and text.isprintable() and not set(text) & set(' $"\\')
    return plain and clean and url.scheme in ("http", "https") and bool(url.hostname)


RULES = {
    "endpoint": Rule(is_url, "a URL such as https://api.openobserve.ai, without credentials and query"),
    "organization": Rule(re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch, "letters, digits, `_` and `-`"),
    "stream": Rule(re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch, "letters, digits, `_` and `-`"),
    "user": Rule(re.compile(r"[!-9;-~]{1,256}").fullmatch, "a user's e-mail address, without spaces and `:`"),
    "password": Rule(re.compile(r"[A-Z_][A-Z0-9_]{0,127}").fullmatch, "a variable's name in capital letters"),
}

SETTINGS = [
    Setting("endpoint", SettingType.URL, True, False, "", "URL of OpenObserve, where `/api` begins."),
    Setting("organization", SettingType.TEXT, False, False, '"default"', "Organization."),
    Setting("stream", SettingType.TEXT, False, False, '"default"', "Stream that the signals are kept in."),
    Setting("user", SettingType.TEXT, True, False, "", "User, by e-mail address."),
    Setting("password", SettingType.TEXT, True, True, "", "Variable with the user's password or token."),
]


class Describe(exports.Describe):
    def describe(self) -> Info:
        return Info("openobserve", "1.0.0", CONTRACT)


class Types(exports.Types):
    pass


class Backends(exports.Backends):
    def render(self, name: str, settings: list[KeyValue], collector: str) -> Fragment:
        if name != NAME:
            raise Err([error(UNKNOWN_BACKEND, "name", f"there is no backend {name!r}", f"write {NAME}")])
        values, found = read(settings)
        if found:
            raise Err(found)
        return fragment(values, collector)

    def list(self) -> list[Backend]:
        return [Backend(NAME, "OpenObserve, by OTLP/HTTP", SIGNALS, SETTINGS)]


def read(settings: list[KeyValue]) -> tuple[dict[str, str], list[Diagnostic]]:
    """The settings with their defaults, and all that is wrong with them."""
    given = {setting.key: json.loads(setting.value) for setting in settings}
    known = {setting.name: setting for setting in SETTINGS}
    found = [
        error(UNKNOWN_SETTING, key, "there is no such setting", f"write one of: {', '.join(known)}")
        for key in given
        if key not in known
    ]
    values: dict[str, str] = {}
    for setting in SETTINGS:
        value = given.get(setting.name, json.loads(setting.default or "null"))
        problem = wrong(setting, value)
        if problem:
            found.append(problem)
        else:
            values[setting.name] = value
    return values, found


def wrong(setting: Setting, value: Any) -> Diagnostic | None:
    """What is wrong with a setting's value, which is not shown: it may be a secret."""
    rule = RULES[setting.name]
    if value is None:
        return error(MISSING_SETTING, setting.name, f"{setting.name} is missing", f"write {rule.form}")
    if not isinstance(value, str):
        return error(WRONG_TYPE, setting.name, f"{setting.name} is not a text", f"write {rule.form}")
    if rule.holds(value):
        return None
    if setting.secret:
        message = f"{setting.name} does not name an environment variable, and may be the secret itself"
        return error(SECRET_VALUE, setting.name, message, f"write {rule.form}, and set it for the Collector")
    return error(WRONG_VALUE, setting.name, f"{setting.name} is not as it must be", f"write {rule.form}")


def fragment(values: dict[str, str], collector: str) -> Fragment:
    endpoint = values["endpoint"].rstrip("/")
    exporter = f"{otlp_http(collector)}/{NAME}"
    authenticator = f"basicauth/{NAME}"
    export = {
        "endpoint": f"{endpoint}/api/{quote(values['organization'])}",
        "headers": {"stream-name": values["stream"]},
        "auth": {"authenticator": authenticator},
    }
    client = {"username": values["user"], "password": f"${{env:{values['password']}}}"}
    return Fragment(
        exporters=[Component(exporter, json.dumps(export))],
        processors=[],
        extensions=[Component(authenticator, json.dumps({"client_auth": client}))],
        connectors=[],
        pipelines=[Pipeline(signal, [], [exporter]) for signal in SIGNALS],
        variables=[values["password"]],
        warnings=unencrypted(endpoint),
    )


def unencrypted(endpoint: str) -> list[Diagnostic]:
    if endpoint.startswith("https:"):
        return []
    message, help = "the password goes out unencrypted", "write https:// unless the network is trusted"
    return [Diagnostic(UNENCRYPTED, Severity.WARNING, "endpoint", 0, 0, message, help)]


def otlp_http(collector: str) -> str:
    """Collector 0.144 renamed the exporter."""
    if not collector:
        return "otlp_http"
    major, minor = (int(part) for part in collector.split(".")[:2])
    return "otlp_http" if (major, minor) >= (0, 144) else "otlphttp"


def error(code: str, path: str, message: str, help: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, path, 0, 0, message, help)
