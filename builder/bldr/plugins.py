"""Loads, orders and validates plugins: bundled ones by entry point, exactly as a stranger's are."""

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from bldr.api import API_VERSION
from bldr.api.commands import Command
from bldr.api.deprecation import ApiDeprecationWarning, misfit
from bldr.api.errors import PluginError
from bldr.api.events import Listener
from bldr.api.handlers import Handler
from bldr.api.locks import LockFormat
from bldr.api.sandbox import Sandbox
from bldr.api.toolchains import ToolchainDetector
from bldr.cli.commands import BUNDLED
from bldr.entrypoints import EntryPoint, entry_points
from bldr.guard import Guard, Overdue, described, is_plugins_own
from bldr.offers import FaultError, MisfitError, Offers, ask

GROUP = "bldr"
"""The group of entry points, which is the name of the hooks' project too."""


class Origin(NamedTuple):
    """Where something came from: a distribution and the plugin (the entry point) that brought it."""

    distribution: str
    version: str = ""
    plugin: str = ""

    def __str__(self) -> str:
        name = f"{self.distribution} {self.version}".rstrip()
        return f'{name} (plugin "{self.plugin}")' if self.plugin else name


class HandlerEntry(NamedTuple):
    """A handler and where it came from."""

    handler: Handler
    distribution: str
    version: str
    plugin: str = ""

    @property
    def identity(self) -> str:
        """What of the handler goes into every key."""
        return f"{self.distribution}:{self.handler.name}:{self.handler.semantics_version}"

    def __str__(self) -> str:
        return f'the handler "{self.handler.name}" of {Origin(self.distribution, self.version, self.plugin)}'


class LockEntry(NamedTuple):
    """A kind of lock files and where it came from."""

    format: LockFormat
    distribution: str
    version: str
    plugin: str = ""

    @property
    def identity(self) -> str:
        """What of the format decides what is made of a lock file."""
        return f"{self.distribution}:{self.format.name}:{self.format.version}"

    def __str__(self) -> str:
        return f'the lock format "{self.format.name}" of {Origin(self.distribution, self.version, self.plugin)}'


class BrokenPlugin(NamedTuple):
    """A plugin that could not be loaded: the rest goes on without it, and says so where it is missed."""

    name: str
    distribution: str
    reason: str
    version: str = ""

    def __str__(self) -> str:
        return f'the plugin "{self.name}" of {Origin(self.distribution, self.version)}'


class LoadedPlugin(NamedTuple):
    """A plugin that was loaded, and what it offers by kind."""

    origin: Origin
    offers: dict[str, tuple[str, ...]]


class Registry:
    """All that the plugins offer, by name. Two answers to one question are an error that names both plugins."""

    def __init__(self) -> None:
        self.handlers: dict[tuple[str, str | None], HandlerEntry] = {}
        self.detectors: dict[str, tuple[ToolchainDetector, str]] = {}
        self.locks: dict[str, LockEntry] = {}  # by the format's name
        self.sandboxes: list[Sandbox] = []
        self.commands: dict[str, tuple[Command, str]] = {}
        self.listeners: list[type[Listener]] = []
        self.plugins: list[LoadedPlugin] = []
        self.broken: list[BrokenPlugin] = []
        self.conflicts: list[PluginError] = []
        """What nothing can be built with; `load_plugins` raises it unless somebody only wants to look."""
        self.notes: list[str] = []
        """What is not right about plugins that work."""
        self._origins: dict[tuple[str, object], Origin] = {}  # by kind and name

    def origin(self, kind: str, name: object) -> Origin | None:
        """Where the handler, toolchain, sandbox, command, listener or plugin of a name came from."""
        return self._origins.get((kind, name))

    def make_listeners(self) -> list[Listener]:
        """A listener of each class, for one build; one that cannot be made is noted and left out."""
        made = []
        for listener in self.listeners:
            try:
                made.append(listener())
            except (Exception, SystemExit) as error:
                origin = self.listener_origins[listener]
                self.notes.append(f"{origin}: its listener {listener.__name__} cannot be made: {described(error)}")
        return made

    @property
    def listener_origins(self) -> dict[type, Origin]:
        """Where each class of listeners came from."""
        return {listener: self._origins["listener", listener] for listener in self.listeners}

    def add(self, offers: Offers, origin: Origin) -> None:
        """Everything that one plugin offers. Raises PluginError where somebody else offers the same."""
        self._claim("plugin", origin.plugin, origin, f'call themselves "{origin.plugin}"')
        for handler in offers.handlers:
            self._add_handler(handler, origin)
        for detector in offers.detectors:
            self._claim("toolchain", detector.name, origin, f'detect the toolchain "{detector.name}"')
            self.detectors[detector.name] = (detector, f"{origin.distribution}-{origin.version}")
        for lock in offers.locks:
            self._add_lock(lock, origin)
        for sandbox in offers.sandboxes:
            self._claim("sandbox", sandbox.name, origin, f'bring the sandbox "{sandbox.name}"')
            self.sandboxes.append(sandbox)
        self._add_commands(offers.commands, origin)
        for listener in offers.listeners:
            what = f'bring the listener "{listener.__module__}.{listener.__qualname__}"'
            self._claim("listener", listener, origin, what)
            self.listeners.append(listener)
        self.plugins.append(LoadedPlugin(origin, offers.names()))

    def add_handlers(self, handlers: Iterable[type[Handler]], distribution: str, version: str) -> None:
        """Handlers without a plugin."""
        for handler in handlers:
            self._add_handler(handler(), Origin(distribution, version))

    def add_commands(self, commands: Iterable[Command], distribution: str) -> None:
        """Commands without a plugin."""
        self._add_commands(commands, Origin(distribution))

    def _add_handler(self, handler: Handler, origin: Origin) -> None:
        entry = HandlerEntry(handler, *origin)
        for kind, language in handler.serves:
            of = f' of language "{language}"' if language is not None else ""
            self._claim("handler", (kind, language), origin, f'serve type "{kind}"{of}')
            self.handlers[kind, language] = entry

    def _add_lock(self, lock: LockFormat, origin: Origin) -> None:
        """A file name belongs to one format, so that a lock file alone tells which it is."""
        self._claim("lock", lock.name, origin, f'bring the lock format "{lock.name}"')
        for name in lock.file_names:
            self._claim("lock file", name, origin, f'read lock files called "{name}"')
        self.locks[lock.name] = LockEntry(lock, *origin)

    def _add_commands(self, commands: Iterable[Command], origin: Origin) -> None:
        for command in commands:
            if command.name in BUNDLED or command.name in ("help", "version"):
                raise PluginError(
                    f'{origin} brings the command "{command.name}", which bldr has itself',
                    f"uninstall {origin.distribution}, or ask its authors for another name",
                )
            self._claim("command", command.name, origin, f'bring the command "{command.name}"')
            self.commands[command.name] = (command, origin.distribution)

    def _claim(self, kind: str, name: object, origin: Origin, what: str) -> None:
        other = self._origins.get((kind, name))
        if other is None:
            self._origins[kind, name] = origin
            return
        if other == origin:
            raise PluginError(f"{origin} says twice that it would {what}", _report_to(origin))
        hint = f"uninstall {origin.distribution if origin.distribution != 'bldr' else other.distribution}"
        raise PluginError(f"{other} and {origin} both {what}", f"{hint}, or the other of the two")


def load_plugins(*, tolerant: bool = False) -> Registry:
    """Import every plugin of the entry-point group `bldr` and ask it what it offers, in the order of their names.

    A plugin that cannot be imported, raises, or answers nonsense is listed in `Registry.broken`, and nothing of it is
    used. Raises PluginError for duplicates and misspelt hooks, unless `tolerant`: then they are in `conflicts`.
    """
    registry = Registry()
    points = sorted(entry_points(GROUP), key=lambda point: (point.name, point.distribution))
    with Guard() as guard, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ApiDeprecationWarning)
        for point in points:
            origin = Origin(point.distribution or point.value, point.version, point.name)
            guard.calls(origin)
            _load(registry, point, origin)
            guard.is_back()
            if changed := guard.changed():
                registry.notes.append(f"{origin} changed {changed} while it was loaded, which was put back")
            registry.notes.extend(f"{origin}: {text}" for text in _deprecations(told))
    registry.notes += [f"{who} prints to standard output while it is loaded" for who in guard.printed]
    if registry.conflicts and not tolerant:
        first, *others = registry.conflicts
        raise PluginError("; ".join(error.message for error in (first, *others)), first.hint)
    return registry


def _load(registry: Registry, point: EntryPoint, origin: Origin) -> None:
    """Import one plugin and take what it offers, all of it or nothing."""
    try:
        registry.add(_offers(point), origin)
    except MisfitError as error:
        registry.conflicts.append(PluginError(f"{origin} does not fit the hooks: {error}", _report_to(origin)))
    except PluginError as error:
        registry.conflicts.append(error)
    except (FaultError, Overdue) as error:
        registry.broken.append(BrokenPlugin(origin.plugin, origin.distribution, str(error), origin.version))


def _offers(point: EntryPoint) -> Offers:
    try:
        plugin: Any = point.load()
    except Overdue:
        raise
    except BaseException as error:  # a stranger's code: anything may go wrong, and it must not take the build with it
        if not is_plugins_own(error):
            raise
        if isinstance(error, ImportError) and error.name == "bldr.api":
            raise FaultError(f"{described(error)} (this bldr has API {API_VERSION})") from error
        raise FaultError(described(error)) from error
    wanted = getattr(plugin, "bldr_api", API_VERSION)
    if why := misfit(wanted, API_VERSION):
        raise FaultError(why)
    return ask(plugin)


def _deprecations(told: list[warnings.WarningMessage]) -> list[str]:
    """What was said about names of the API since the last time. Other warnings are for a plugin's authors."""
    own = dict.fromkeys(str(one.message) for one in told if issubclass(one.category, ApiDeprecationWarning))
    told.clear()
    return list(own)


def _report_to(origin: Origin) -> str:
    return f"report it to the authors of {origin.distribution}, or uninstall it"
