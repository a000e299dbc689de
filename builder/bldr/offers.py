"""What one plugin offers: its hooks are asked, and every answer is held to its shape before anybody relies on it."""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from bldr.api.attributes import TargetAttributes, TestAttributes
from bldr.api.commands import Command
from bldr.api.events import Listener
from bldr.api.handlers import Handler
from bldr.api.locks import LockFormat
from bldr.api.sandbox import Sandbox
from bldr.api.toolchains import ToolchainDetector
from bldr.guard import Overdue, described, is_plugins_own
from bldr.load.suggest import suggest

_COMMAND = re.compile(r"[a-z][a-z0-9-]*")
_TOOLCHAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_WORD = re.compile(r"[A-Za-z0-9_.+#-]+")


class FaultError(Exception):
    """What is wrong with a plugin, as the end of a sentence about it: the plugin is left out, and the rest goes on."""


class MisfitError(Exception):
    """A plugin asks for something that the hooks do not have: an error, for nobody knows what it meant to add."""


class Offers(NamedTuple):
    """Checked answers. Listeners are classes, because every build makes its own."""

    handlers: tuple[Handler, ...] = ()
    detectors: tuple[ToolchainDetector, ...] = ()
    locks: tuple[LockFormat, ...] = ()
    sandboxes: tuple[Sandbox, ...] = ()
    commands: tuple[Command, ...] = ()
    listeners: tuple[type[Listener], ...] = ()

    def names(self) -> dict[str, tuple[str, ...]]:
        """What is offered, by kind, as people are shown it."""
        return {
            "handlers": tuple(one.name for one in self.handlers),
            "toolchains": tuple(one.name for one in self.detectors),
            "locks": tuple(one.name for one in self.locks),
            "sandboxes": tuple(one.name for one in self.sandboxes),
            "commands": tuple(one.name for one in self.commands),
            "listeners": tuple(one.__name__ for one in self.listeners),
        }


def ask(plugin: Any) -> Offers:
    """Everything that the module of one plugin offers. Raises FaultError and MisfitError."""
    answers = _answers(plugin)
    return Offers(
        handlers=_made(answers, "bldr_handlers", check_handler),
        detectors=_made(answers, "bldr_toolchains", check_detector),
        locks=_made(answers, "bldr_locks", check_lock_format),
        sandboxes=_made(answers, "bldr_sandboxes", check_sandbox),
        commands=tuple(_command(command) for command in answers.get("bldr_commands", ())),
        listeners=tuple(_listener(listener) for listener in answers.get("bldr_listeners", ())),
    )


def _answers(plugin: Any) -> dict[str, list[Any]]:
    """What each hook that the plugin implements returned, item by item."""
    import pluggy

    from bldr.api.hooks import PROJECT, Hooks

    known = [name for name in vars(Hooks) if name.startswith("bldr_")]
    pluggy_manager = pluggy.PluginManager(PROJECT)
    pluggy_manager.add_hookspecs(Hooks)
    try:
        pluggy_manager.register(plugin, "plugin")
        pluggy_manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise MisfitError(_misfit(plugin, known, error)) from error
    answers: dict[str, list[Any]] = {}
    for name in known:
        implementations = getattr(pluggy_manager.hook, name).get_hookimpls()
        if not implementations and callable(getattr(plugin, name, None)):
            raise MisfitError(f"its {name} is not marked: write @hook above it (from bldr.api import hook)")
        for one in implementations:
            _refuse_options(name, one.opts)
            answers.setdefault(name, []).extend(_answer(name, one.function))
    return answers


def _misfit(plugin: Any, known: list[str], error: Exception) -> str:
    marked = [name for name in dir(plugin) if hasattr(getattr(plugin, name, None), "bldr_impl")]
    unknown = [name for name in marked if name not in known]
    if not unknown:
        return f"a hook of it does not fit: {' '.join(str(error).split())}"
    hint = suggest(unknown[0], known) or f"the hooks are: {', '.join(known)}"
    return f'there is no hook "{unknown[0]}": {hint}'


def _refuse_options(name: str, options: Any) -> None:
    """A registration is a plain answer: nothing that orders, wraps, renames or excuses an implementation."""
    for option in ("wrapper", "hookwrapper", "tryfirst", "trylast", "optionalhook", "specname"):
        if options.get(option):
            raise MisfitError(f"its {name} is marked with {option}, which hooks of bldr do not have: write @hook alone")


def _answer(name: str, function: Callable[[], Any]) -> list[Any]:
    try:
        answer = function()
        if answer is None:
            raise FaultError(f"its {name} returned None: it must return a list, an empty one for nothing")
        if isinstance(answer, str | bytes | dict) or not isinstance(answer, Iterable):
            raise FaultError(f"its {name} returned {_kind(answer)} instead of a list")
        return list(answer)
    except (FaultError, Overdue):
        raise
    except BaseException as error:
        if not is_plugins_own(error):
            raise
        raise FaultError(f"its {name} raised {described(error)}") from error


def _made(answers: dict[str, list[Any]], hook: str, check: Callable[[Any], None]) -> tuple[Any, ...]:
    """One instance of every class that a hook returned."""
    made = []
    for offered in answers.get(hook, ()):
        if not isinstance(offered, type):
            raise FaultError(f"its {hook} returned {_kind(offered)} instead of a class")
        try:
            instance = offered()
            check(instance)
        except FaultError as error:
            raise FaultError(f"its class {offered.__name__} {error}") from error
        except Overdue:
            raise
        except BaseException as error:
            if not is_plugins_own(error):
                raise
            raise FaultError(f"its class {offered.__name__} raised {described(error)}") from error
        made.append(instance)
    return tuple(made)


def check_handler(handler: Any) -> None:
    """Raises FaultError, as the others do, for what the rest of bldr could not rely on."""
    _require(handler, "name", _is_word, "a word")
    _require(handler, "semantics_version", _is_integer, "an integer")
    _require(handler, "serves", _is_pairs, 'pairs of type and language, as (("library", "rust"), ("archive", None))')
    _require_methods(handler, "attributes", "analyze")
    for kind in dict.fromkeys(kind for kind, _ in handler.serves):
        struct = handler.attributes(kind)
        expected = TestAttributes if kind == "test" else TargetAttributes
        if not isinstance(struct, type) or not issubclass(struct, expected):
            what = f'gives {_kind(struct)} as the attributes of type "{kind}"'
            raise FaultError(f"{what}: it must be a struct that extends {expected.__name__}")
        if not struct.__struct_config__.frozen or not struct.__struct_config__.forbid_unknown_fields:
            raise FaultError(
                f"has attributes {struct.__name__} that may change or take any key: "
                "declare the struct with frozen=True, kw_only=True, forbid_unknown_fields=True"
            )


def check_detector(detector: Any) -> None:
    _require(detector, "name", lambda value: isinstance(value, str) and bool(_TOOLCHAIN.fullmatch(value)), "a word")
    _require(detector, "environment", _is_texts, "a tuple of strings")
    _require_methods(detector, "detect")


def check_lock_format(lock: Any) -> None:
    _require(lock, "name", _is_word, "a word")
    _require(lock, "file_names", _is_texts, "a tuple of strings")
    _require(lock, "environment", _is_texts, "a tuple of strings")
    _require(lock, "version", _is_integer, "an integer")
    if hasattr(lock, "beside"):
        _require(lock, "beside", _is_names, "a tuple of names of files")
    _require_methods(lock, "read", "builderfile")


def check_sandbox(sandbox: Any) -> None:
    _require(sandbox, "name", _is_word, "a word")
    _require(sandbox, "tree_layout", lambda value: value in ("overlay", "copy"), '"overlay" or "copy"')
    if hasattr(sandbox, "starter"):
        _require(sandbox, "starter", lambda value: isinstance(value, str), "the name of a module")
    _require_methods(sandbox, "probe", "open")


def _command(command: Any) -> Command:
    if not isinstance(command, Command):
        raise FaultError(f"its bldr_commands returned {_kind(command)} instead of bldr.api.Command")
    if not isinstance(command.name, str) or not _COMMAND.fullmatch(command.name):
        raise FaultError(f"its command {command.name!r} has no name that can be typed: small letters, digits and -")
    if not isinstance(command.summary, str) or not callable(command.add_arguments) or not callable(command.run):
        raise FaultError(f'its command "{command.name}" needs a summary and the functions add_arguments and run')
    return command


def _listener(listener: Any) -> type[Listener]:
    if not isinstance(listener, type):
        raise FaultError(f"its bldr_listeners returned {_kind(listener)} instead of a class")
    for method in ("on_event", "close"):
        if not callable(getattr(listener, method, None)):
            raise FaultError(f"its class {listener.__name__} has no method {method}")
    return listener


def _require(value: Any, name: str, is_right: Callable[[Any], bool], expected: str) -> None:
    try:
        found = getattr(value, name)
    except AttributeError:
        raise FaultError(f"has no {name}: it is {expected}") from None
    if not is_right(found):
        raise FaultError(f"has {found!r:.80} for its {name}: it must be {expected}")


def _require_methods(value: Any, *names: str) -> None:
    for name in names:
        if not callable(getattr(value, name, None)):
            raise FaultError(f"has no method {name}")


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(text, str) for text in value)


def _is_names(value: Any) -> bool:
    return _is_texts(value) and not any(name in ("", ".", "..") or "/" in name or "\0" in name for name in value)


def _is_pairs(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(
        isinstance(pair, tuple) and len(pair) == 2 and _is_word(pair[0]) and (pair[1] is None or _is_word(pair[1]))
        for pair in value
    )  # fmt: skip


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else f"a value of {type(value).__name__}"
