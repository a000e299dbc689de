"""Watches a handler while it analyses: it reads no file, clock or environment, ends, and answers the same twice."""

import builtins
import io
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import msgspec

from bldr.api.actions import Action, Artifact, Platform
from bldr.api.attributes import TargetAttributes
from bldr.api.configuration import Configuration
from bldr.api.errors import TargetError, ToolchainError
from bldr.api.handlers import Analysis, Context, Dep, Handler
from bldr.api.labels import Label
from bldr.api.toolchains import Toolchain

ANSWER_TIMEOUT_S = 20.0
"""How long a handler may think about one target: far beyond what any needs, and short for whoever waits for a test."""

# Not os.getcwd: posixpath.relpath asks for it, and takes it out again.
_FORBIDDEN: tuple[tuple[Any, str], ...] = (
    *((builtins, name) for name in ("open", "input")),
    (io, "open"),
    *((os, name) for name in ("open", "stat", "lstat", "listdir", "scandir", "readlink", "access", "system")),
    *((os, name) for name in ("urandom", "getpid", "uname", "cpu_count", "sched_getaffinity")),
    *((time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")),
    *((random, name) for name in ("random", "randint", "choice", "shuffle")),
    (subprocess, "Popen"),
    (socket, "socket"),
)


class ImpureError(AssertionError):
    """A handler asked the machine instead of its context."""


class WatchedHandler:
    """A handler in the place of the one that it wraps: passes everything on and holds `analyze` to its contract.

    `breaches` are the sentences about what it did wrong, one for each target and mistake.
    """

    def __init__(self, handler: Handler) -> None:
        self.name = handler.name
        self.serves = handler.serves
        self.semantics_version = handler.semantics_version
        self.breaches: list[str] = []
        self._handler = handler

    def attributes(self, type: str) -> builtins.type[TargetAttributes]:
        return self._handler.attributes(type)

    def analyze(self, attributes: Any, context: Context) -> Analysis:
        recorded = _Declarations()
        answers = [self._ask(attributes, context, recorded) for _ in range(2)]
        if answers[0] != answers[1]:
            self._breach(context.label, f"the same target gave two analyses: {_difference(*answers)}")
        self.breaches += [f"{context.label}: {what}" for what in mistakes_of(answers[0])]
        return answers[0]

    def _ask(self, attributes: Any, context: Context, recorded: "_Declarations") -> Analysis:
        guard = _Guard()
        try:
            with _ends(), guard:
                return self._handler.analyze(attributes, _GuardedContext(context, guard, recorded.again()))
        except (TargetError, ToolchainError):
            raise
        except Exception as error:
            self._breach(context.label, f"{type(error).__name__}: {error}")
            raise

    def _breach(self, label: Label, what: str) -> None:
        self.breaches.append(f"{label}: {what}")


class _Declarations:
    """What one target declared in its first analysis: the second gets the same artifacts."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool], Artifact] = {}
        self._used: set[tuple[str, bool]] = set()

    def again(self) -> "_Declarations":
        self._used = set()
        return self

    def get(self, name: str, is_directory: bool, declare: Callable[[str], Artifact]) -> Artifact:
        key = (name, is_directory)
        if key in self._used or key not in self._known:
            self._known[key] = declare(name)  # which refuses a second one
        self._used.add(key)
        return self._known[key]


class _GuardedContext:
    """A context whose own work may touch the machine, where the handler's may not."""

    def __init__(self, context: Context, guard: "_Guard", declared: _Declarations) -> None:
        self._context = context
        self._guard = guard
        self._declared = declared

    @property
    def label(self) -> Label:
        return self._context.label

    @property
    def platform(self) -> Platform:
        return self._context.platform

    @property
    def configuration(self) -> Configuration:
        return self._context.configuration

    def files(self, attribute: str) -> tuple[Artifact, ...]:
        with self._guard.lifted():
            return self._context.files(attribute)

    def deps(self, attribute: str = "deps") -> tuple[Dep, ...]:
        with self._guard.lifted():
            return self._context.deps(attribute)

    def declare_file(self, name: str) -> Artifact:
        return self._declared.get(name, False, self._context.declare_file)

    def declare_directory(self, name: str) -> Artifact:
        return self._declared.get(name, True, self._context.declare_directory)

    def toolchain(self, name: str) -> Toolchain:
        with self._guard.lifted():
            return self._context.toolchain(name)

    def fail(self, message: str, hint: str = "", attribute: str = "") -> NoReturn:
        self._context.fail(message, hint, attribute)


class _Guard:
    """While it is entered, the functions of `_FORBIDDEN` raise ImpureError and the environment is out of reach."""

    def __init__(self) -> None:
        self._kept: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> "_Guard":
        for module, name in _FORBIDDEN:
            if hasattr(module, name):
                named = f"{module.__name__}.{name}".removeprefix("builtins.")
                self._replace(module, name, _refuse(named, getattr(module, name)))
        self._replace(os, "environ", _NoEnvironment(os.environ))
        _asked.add(threading.get_ident())
        return self

    def __exit__(self, *_: object) -> None:
        _asked.discard(threading.get_ident())
        while self._kept:
            module, name, value = self._kept.pop()
            setattr(module, name, value)

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """For the time of the block everything is as it was."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def _replace(self, module: Any, name: str, value: Any) -> None:
        self._kept.append((module, name, getattr(module, name)))
        setattr(module, name, value)


_asked: set[int] = set()
"""The threads in which a handler is asked just now."""


def _refuse(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Raises in the thread of the handler while that is asked; all others (those of pytest-xdist, for one) go on as
    before, and so does an import, however late it is. Modules that it imports may keep the function for good."""

    def refuse(*arguments: Any, **keywords: Any) -> Any:
        if threading.get_ident() not in _asked or _is_importing():
            return original(*arguments, **keywords)
        shown = f"({arguments[0]!r})" if arguments and isinstance(arguments[0], str | bytes | os.PathLike) else "()"
        raise ImpureError(
            f"it called {name}{shown}: a handler reads no file, clock or environment, it asks its context, "
            "or lets an action or a toolchain's detector do it"
        )

    return refuse


def _is_importing() -> bool:
    """Whether the handler is importing a module: what that reads is a part of the plugin, as the module is."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not WatchedHandler._ask.__code__:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


class _NoEnvironment(Mapping[str, str]):
    """Stands for os.environ: whoever looks is refused."""

    def __init__(self, original: Mapping[str, str]) -> None:
        self._getitem = _refuse("os.environ", original.__getitem__)
        self._iter = _refuse("iter(os.environ)", original.__iter__)
        self._len = _refuse("len(os.environ)", original.__len__)

    def __getitem__(self, name: str) -> str:
        return str(self._getitem(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._iter())

    def __len__(self) -> int:
        return int(self._len())


@contextmanager
def _ends() -> Iterator[None]:
    """Raise ImpureError in the block when it does not end. Where no alarm can be set, somebody else has to watch."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(_number: int, _frame: object) -> NoReturn:
        raise ImpureError(f"it did not answer within {ANSWER_TIMEOUT_S:g} seconds: does it loop?")

    before = signal.signal(signal.SIGALRM, late)
    rest_s, interval_s = signal.setitimer(signal.ITIMER_REAL, ANSWER_TIMEOUT_S)  # pytest-timeout may use the same one
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, rest_s, interval_s)


def mistakes_of(analysis: object) -> Iterator[str]:
    """Sentences about values of an analysis that are not what `bldr.api` says they are, or that could change."""
    if not isinstance(analysis, Analysis):
        yield f"it answered {type(analysis).__name__} instead of Analysis"
        return
    for action in analysis.actions:
        if not isinstance(action, Action):
            yield f"among its actions is {type(action).__name__}, which is no Action"
            continue
        try:
            msgspec.convert(msgspec.to_builtins(action), Action, strict=True)
        except (msgspec.ValidationError, TypeError) as error:
            yield f"its action {action.mnemonic} is not well-formed: {error}"
        yield from (f"its action {action.mnemonic} {what}" for what in _changeable(action, ""))
    for provider in analysis.provides:
        name = type(provider).__name__
        if not isinstance(provider, msgspec.Struct) or not provider.__struct_config__.frozen:
            yield f"its provider {name} is no frozen struct"
            continue
        yield from (f"its provider {name} {what}" for what in _changeable(provider, ""))
    kinds = [type(provider).__name__ for provider in analysis.provides]
    yield from (f"it provides {name} twice" for name in sorted(set(kinds)) if kinds.count(name) > 1)


def _changeable(value: object, place: str) -> Iterator[str]:
    """What below a value could be changed by somebody who gets hold of it; `env` is a dictionary by its definition."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            if name != "env" or not type(value).__module__.startswith("bldr.api."):
                yield from _changeable(getattr(value, name), f"{place}.{name}" if place else name)
    elif isinstance(value, tuple | frozenset):
        for element in value:
            yield from _changeable(element, place)
    elif isinstance(value, list | dict | set | bytearray):
        yield f"holds a {type(value).__name__} in {place}, which can be changed: use a tuple or a frozenset"


def _difference(first: object, second: object) -> str:
    if isinstance(first, Analysis) and isinstance(second, Analysis):
        for one, other in zip(first.actions, second.actions, strict=False):
            if one != other:
                return f"{one} and {other}"
    return f"{first} and {second}"
