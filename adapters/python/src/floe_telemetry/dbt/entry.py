"""The ways into dbt: where its command line is called, where it sets its log up, and its plugin.

The command line comes first: whatever fails before dbt has a log of its own (an unknown option, a profile
that is not there, a file that is no YAML) is raised through it. The log comes next: from there on dbt says
what happens. The plugin is loaded last, once the project is, and only where neither is listened to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from floe_telemetry._guard import Guard

if TYPE_CHECKING:
    from floe_telemetry.dbt.callback import Callback
    from floe_telemetry.provider import TelemetryProvider

_Call = Callable[..., Any]
_Arguments = tuple[Any, ...]
_Options = dict[str, Any]

_guard: Final = Guard("dbt runs without telemetry")
_hooked = False
_active = False
_given: TelemetryProvider | None = None


def install(provider: TelemetryProvider | None = None) -> None:
    """Listens to dbt in this process, now or from when it is imported. The provider is by default the
    installed one, else `init()`'s.
    """
    global _hooked, _active, _given
    _active, _given = True, provider or _given
    if not _hooked:
        _hooked = True
        import wrapt

        wrapt.register_post_import_hook(_wrap_log, "dbt.cli.requires")
        wrapt.register_post_import_hook(_wrap_command_line, "dbt.cli.main")


def uninstall() -> None:
    """Does not listen any more."""
    global _active, _given
    _active, _given = False, None


def plugin() -> type[Any]:
    """dbt's plugin class, made here because its base class may only be imported inside dbt."""
    from dbt.plugins.manager import dbtPlugin

    install()

    class FloeTelemetryPlugin(dbtPlugin):
        """Joins the command that dbt is running."""

        def initialize(self) -> None:
            """Called by dbt once for each command."""
            with _guard:
                _listen()

    return FloeTelemetryPlugin


def _wrap_log(module: Any) -> None:
    import wrapt

    with _guard:
        wrapt.wrap_function_wrapper(module, "setup_event_logger", _set_up_log)


def _wrap_command_line(module: Any) -> None:
    import wrapt

    with _guard:
        wrapt.wrap_function_wrapper(module, "cli.make_context", _make_context)
        wrapt.wrap_function_wrapper(module, "cli.invoke", _invoke)


def _set_up_log(call: _Call, _: Any, args: _Arguments, options: _Options) -> Any:
    """`setup_event_logger(flags, callbacks)`: dbt has its flags, and a new list of callbacks."""
    result = call(*args, **options)
    if _active:
        with _guard:
            _listen()
    return result


def _make_context(call: _Call, group: Any, args: _Arguments, options: _Options) -> Any:
    """`cli.make_context(name, args)`: dbt's own options are read, before the command's."""
    try:
        return call(*args, **options)
    except BaseException as error:
        if _active:
            with _guard:
                given = list(args[1] if len(args) > 1 else options["args"])
                if given and _is_misuse(error):
                    _ended(_begun(_words(group, given)), error)
        raise


def _invoke(call: _Call, group: Any, args: _Arguments, options: _Options) -> Any:
    """`cli.invoke(context)`: a command, from its options to its end."""
    callback, token = None, None
    if _active:
        with _guard:
            from floe_telemetry.dbt import commands

            context = args[0] if args else options["ctx"]
            callback = _begun(_words(group, _rest(context)))
            token = commands.current.set(callback)
    try:
        result = call(*args, **options)
    except BaseException as error:
        _left(callback, token, error)
        raise
    _left(callback, token, None)
    return result


def _left(callback: Callback | None, token: Any, error: BaseException | None) -> None:
    from floe_telemetry.dbt import commands

    with _guard:
        if token is not None:
            commands.current.reset(token)
    with _guard:
        if callback is not None:
            _ended(callback, error)


def _begun(command: str) -> Callback:
    from floe_telemetry.dbt.callback import Callback

    return Callback(_provider(), command)


def _provider() -> TelemetryProvider:
    from floe_telemetry import provider as providers

    return _given or providers.installed() or providers.init()


def _listen() -> None:
    """dbt's events go to the command of this thread from now on."""
    from dbt_common.events.event_manager_client import get_event_manager

    from floe_telemetry.dbt import commands
    from floe_telemetry.dbt.callback import Callback

    callback = commands.command_of_thread()
    if callback is None:
        callback = Callback(_provider())
    callback.begin()
    callbacks = get_event_manager().callbacks
    if commands.dispatch not in callbacks:
        callbacks.append(commands.dispatch)


def _ended(callback: Callback, error: BaseException | None) -> None:
    """The command line was left."""
    if error is None or _is_exit(error):
        callback.end("success")
    elif type(error).__name__ == "ResultExit":
        callback.end("failure")
    else:
        callback.invocation.gave_up()
        # dbt wraps what it gives up by.
        callback.end("failure", getattr(error, "exception", error))


def _is_misuse(error: BaseException) -> bool:
    """Options or a command that dbt does not have. Nothing given at all is a request for help."""
    from click.exceptions import UsageError

    return isinstance(error, UsageError) and type(error).__name__ != "NoArgsIsHelpError"


def _is_exit(error: BaseException) -> bool:
    """`--help` of a command, or nothing given at all."""
    from click.exceptions import Exit, UsageError

    return isinstance(error, Exit) or (isinstance(error, UsageError) and not _is_misuse(error))


def _rest(context: Any) -> list[Any]:
    """What follows dbt's own options. Click 8.2 renamed the first part of it."""
    first = getattr(context, "_protected_args", None)
    return [*(context.protected_args if first is None else first), *context.args]


def _words(group: Any, given: list[Any]) -> str:
    """The command that is asked for, such as `docs generate`."""
    words: list[str] = []
    for each in given:
        if not words and str(each).startswith("-"):
            continue
        group = getattr(group, "commands", {}).get(each)
        if group is None:
            break
        words.append(each)
    return " ".join(words) or "unknown"
