"""TelemetryProvider: a process's telemetry, from its manifest to its end."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from floe_telemetry import carriers, propagators
from floe_telemetry._once import logger, warn_once
from floe_telemetry.contract import OperationKind, Plan, Rejected
from floe_telemetry.endings import Endings
from floe_telemetry.manifest import ManifestError, manifest_path, read_manifest
from floe_telemetry.operation import Operation
from floe_telemetry.wrapping import E, F, executor_in_context, in_context

if TYPE_CHECKING:
    from floe_telemetry.account import Counts
    from floe_telemetry.metrics import MetricRecorder
    from floe_telemetry.policy import Policy
    from floe_telemetry.sdk import Sdk

OF_CHILDREN: Final = ("FLOE_TELEMETRY_MANIFEST", "FLOE_TELEMETRY_COMPONENT")
"""Variables with paths that a child process needs as well."""
_installed: TelemetryProvider | None = None
_installing = threading.RLock()


class TelemetryProvider:
    """The telemetry of a process.

    Without a configuration, or with one that says so, it is a no-op that still propagates context: no SDK is
    loaded, and no component before the first header. No method but `from_manifest` raises.
    """

    def __init__(
        self, policy: Policy | None = None, plan: Plan | None = None, sdk: Sdk | None = None
    ) -> None:
        self.policy: Final = policy
        self.plan: Final = plan
        self.sdk: Final = sdk
        self.propagator: Final = propagators.configured(policy, os.environ)
        """The propagators that OTEL_PROPAGATORS names; by default floe's."""
        self.context: Final = carriers.environ_context(self.propagator)
        """The context that this process was started with, by TRACEPARENT in its environment."""
        self.source: str | None = None
        """The manifest, for the processes to which work is sent."""
        self._attached: object | None = None
        self._endings: Endings | None = None
        self._metrics: MetricRecorder | None = None

    @classmethod
    def from_manifest(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> TelemetryProvider:
        """Sets telemetry up as a manifest says; by default the one that `FLOE_TELEMETRY_MANIFEST` names.

        `settings` are values of the code that calls, by their path below `observability.telemetry`, for
        example `{"otlp_endpoint": "http://localhost:4318"}`. They take precedence over the environment and
        over the manifest, and pass the same checks. `environ` is the environment, by default the process's.

        Raises `ManifestError` with all that is wrong with the manifest, `ComponentError` for a policy
        component that cannot be used, `UnresolvedError` with all that headers or TLS need and that is not
        there, and `MissingExtraError` for a transport that is not installed.
        """
        policy, plan, source = read_plan(path, environ, settings)
        for warning in plan.warnings:
            warn_once(f"{source} {warning.path}", "%s", warning.render(source))
        if plan.console:
            warn_once(
                "console",
                "warning[FLOE-H009]: this host cannot print telemetry on the console: the signals that ask "
                "for it are not exported\n  help: run `floe-telemetry receive` and send them there",
            )
        sdk: Sdk | None = None
        if plan.enabled:
            from floe_telemetry.sdk import Sdk

            sdk = Sdk(policy, plan, environ=os.environ if environ is None else environ)
        provider = cls(policy, sdk.plan if sdk else plan, sdk)
        provider.source = os.path.abspath(source)
        return provider

    @property
    def enabled(self) -> bool:
        """Whether telemetry is sent."""
        return self.sdk is not None

    def install(self) -> TelemetryProvider:
        """Makes this provider the process's own: OpenTelemetry's global providers and propagator, the current
        context, the standard library's logging, and the end of the process. The first provider that is
        installed stays.
        """
        global _installed
        with _installing:
            if _installed is not None:
                if _installed is not self:
                    logger.warning("telemetry is set up already; the second provider is not installed")
                return _installed
            _installed = self
        propagators.install(self.propagator)
        if self.context:
            self._attached = otel_context.attach(self.context)
        if self.sdk and self.plan:
            from floe_telemetry import global_providers, logs

            global_providers.install(self.sdk)
            logs.install(self.sdk.logger_provider, self.plan, self.sdk.redactor)
            self._endings = Endings(self.shutdown)
        return self

    def operation(self, kind: OperationKind, name: str, **facts: object) -> Operation:
        """A unit of work: a context manager and a decorator. Facts are what is known at its start."""
        return Operation(self, kind, name, facts)

    def compile(self, name: str, **facts: object) -> Operation:
        """The compile of a manifest, named as its product. Its stages are `Operation.stage`s."""
        return self.operation(OperationKind.COMPILE, name, **facts)

    @property
    def metrics(self) -> MetricRecorder:
        """Instruments of the application's own. Without telemetry they record nothing."""
        if self._metrics is None:
            from floe_telemetry.metrics import MetricRecorder

            self._metrics = MetricRecorder(self.policy, self.sdk.meter) if self.sdk else MetricRecorder()
        return self._metrics

    def environ(self, context: Context | None = None) -> dict[str, str]:
        """What a child process needs in its environment to join the trace: TRACEPARENT, TRACESTATE and
        BAGGAGE, and the paths of this process's manifest and component, where variables name them.
        """
        found = {name: os.path.abspath(path) for name in OF_CHILDREN if (path := os.environ.get(name))}
        return {**found, **carriers.environ_carrier(self.propagator, context)}

    def wrap(self, function: F) -> F:
        """The function, to be called in the current context by whoever calls it: a thread, a pool, a timer.
        Raises `TypeError` for what cannot be called.
        """
        return in_context(self, function)

    def executor(self, executor: E) -> E:
        """The executor, which from now on runs each call in the context of whoever submits it, also in other
        processes. Raises `TypeError` for what has no `submit`.
        """
        return executor_in_context(self, executor)

    def run_tags(self, context: Context | None = None) -> dict[str, str]:
        """The context as tags of a Dagster run that is launched."""
        return carriers.run_tags(self.propagator, context)

    def env_list(self, context: Context | None = None) -> list[dict[str, str]]:
        """The context as entries of a Kubernetes container's `env`."""
        return carriers.env_list(self.propagator, context)

    def reload_levels(self, path: str | os.PathLike[str] | None = None) -> None:
        """Takes the levels of log records from a manifest, by default the one that `FLOE_TELEMETRY_MANIFEST`
        names. All else stays. Raises `ManifestError` for one that is refused, which changes nothing.
        """
        from floe_telemetry import logs

        logs.apply_levels(read_plan(path)[1].logging)

    def counts(self) -> dict[str, Counts]:
        """What was produced, delivered, dropped and waits, by signal."""
        return self.sdk.counts() if self.sdk else {}

    def force_flush(self, timeout: float | None = None) -> bool:
        """Sends what waits, for at most this many seconds. True if and only if all of it was delivered."""
        return self.sdk.flush(self._seconds(timeout)) if self.sdk else True

    def shutdown(self, timeout: float | None = None) -> None:
        """Sends what waits and ends, in at most this many seconds, whatever the Collector does; by default
        the plan's.
        """
        global _installed
        with _installing:
            if _installed is self:
                _installed = None
                if self._endings is not None:
                    self._endings.cancel()
                if self.sdk:
                    from floe_telemetry import logs

                    logs.uninstall()
                if self._attached is not None:
                    with contextlib.suppress(ValueError):  # attached in another thread
                        otel_context.detach(self._attached)  # type: ignore[arg-type]
                    self._attached = None
        if self.sdk:
            self.sdk.shutdown(self._seconds(timeout))

    def _seconds(self, timeout: float | None) -> float:
        if timeout is not None:
            return timeout
        return self.plan.shutdown / 1000 if self.plan else 0.0

    def __enter__(self) -> TelemetryProvider:
        return self.install()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()


def read_plan(
    path: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
) -> tuple[Policy, Plan, str]:
    """The configured policy and the plan of a manifest, with the path that the manifest was read from."""
    environ = os.environ if environ is None else environ
    file = manifest_path(path, environ)
    text = read_manifest(file)
    from floe_telemetry.policy import Policy

    policy = Policy.load()
    try:
        policy, plan = policy.configure(text, policy.given(environ), settings)
    except Rejected as refused:
        raise ManifestError(refused.diagnostics, str(file)) from None
    return policy, plan, str(file)


def init(
    manifest: str | os.PathLike[str] | None = None, *, settings: Mapping[str, object] | None = None
) -> TelemetryProvider:
    """Sets up and installs the process's telemetry. Never raises: what goes wrong is logged, and telemetry is
    off. `settings` are as for `TelemetryProvider.from_manifest`.

    A second call answers with the provider that is installed.
    """
    with _installing:
        if _installed is not None:
            return _installed
        provider = TelemetryProvider()
        try:
            _make_absolute(os.environ)
            provider = TelemetryProvider.from_manifest(manifest, settings=settings)
            return provider.install()
        except Exception as error:
            logger.error("telemetry is off, context still propagates:\n%s", error)
        provider.shutdown(0)
        return TelemetryProvider().install()


def _make_absolute(environ: MutableMapping[str, str]) -> None:
    """Children may have another directory, and have the same manifest and component all the same."""
    for name in OF_CHILDREN:
        if path := environ.get(name):
            environ[name] = os.path.abspath(path)


def installed() -> TelemetryProvider | None:
    """The provider that is installed, if there is one."""
    return _installed
