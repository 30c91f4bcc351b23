"""The way into `dbtRunner`: one callback of ours among those of each command."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from floe_telemetry import provider as providers
from floe_telemetry.dbt.callback import Callback

if TYPE_CHECKING:
    from floe_telemetry.provider import TelemetryProvider


class DbtInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments `dbtRunner.invoke`. `instrument(provider=...)` takes a provider; by default the installed
    one, else `init()`'s.
    """

    _provider: TelemetryProvider | None = None
    _active = False
    _hooked = False

    def instrumentation_dependencies(self) -> Collection[str]:
        """The dbt versions whose events are known."""
        return ["dbt-core >= 1.10"]

    def _instrument(self, **kwargs: Any) -> None:
        import wrapt

        type(self)._provider = kwargs.get("provider")
        type(self)._active = True
        if not self._hooked:
            type(self)._hooked = True
            # Once for the process: only when, and only if, dbt is imported.
            wrapt.register_post_import_hook(self._wrap, "dbt.cli.main")

    def _uninstrument(self, **kwargs: Any) -> None:
        type(self)._active = False

    def _wrap(self, module: Any) -> None:
        import wrapt

        wrapt.wrap_function_wrapper(module, "dbtRunner.invoke", self._invoke)

    def _invoke(
        self, invoke: Callable[..., Any], runner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not self._active:
            return invoke(*args, **kwargs)
        callback = Callback(self._provider or providers.installed() or providers.init())
        callbacks = runner.callbacks
        runner.callbacks = [*callbacks, callback]
        result = None
        try:
            result = invoke(*args, **kwargs)
            return result
        finally:
            runner.callbacks = callbacks
            # dbt's last event ended it, unless dbt gave up before that.
            with contextlib.suppress(Exception):
                succeeded = getattr(result, "success", False)
                callback.invocation.end(
                    "success" if succeeded else "error", getattr(result, "exception", None)
                )
