"""Loads, orders and validates plugins: bundled ones by entry point, exactly as a stranger's are."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from bldr.api.commands import Command
from bldr.api.errors import PluginError
from bldr.api.events import Listener
from bldr.api.handlers import Handler
from bldr.api.locks import LockFormat
from bldr.api.sandbox import Sandbox
from bldr.api.toolchains import ToolchainDetector

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "bldr"
"""The group of entry points, which is the name of the hooks' project too."""


class HandlerEntry(NamedTuple):
    """A handler and the distribution that brought it."""

    handler: Handler
    distribution: str
    version: str

    @property
    def identity(self) -> str:
        """What of the handler goes into every key."""
        return f"{self.distribution}:{self.handler.name}:{self.handler.semantics_version}"


class LockEntry(NamedTuple):
    """A kind of lock files and the distribution that brought it."""

    format: LockFormat
    distribution: str
    version: str

    @property
    def identity(self) -> str:
        """What of the format decides what is made of a lock file."""
        return f"{self.distribution}:{self.format.name}:{self.format.version}"


class BrokenPlugin(NamedTuple):
    """A plugin that could not be loaded: the rest goes on without it, and says so where it is missed."""

    name: str
    distribution: str
    reason: str


class Registry:
    """All that the plugins offer, by name. Two answers to one question are an error that names both plugins."""

    def __init__(self) -> None:
        self.handlers: dict[tuple[str, str | None], HandlerEntry] = {}
        self.detectors: dict[str, tuple[ToolchainDetector, str]] = {}
        self.locks: dict[str, LockEntry] = {}  # by the format's name
        self.sandboxes: list[Sandbox] = []
        self.commands: dict[str, tuple[Command, str]] = {}
        self.listeners: list[type[Listener]] = []
        self.broken: list[BrokenPlugin] = []

    def add_handlers(self, handlers: Iterable[type[Handler]], distribution: str, version: str) -> None:
        for handler_class in handlers:
            entry = HandlerEntry(handler_class(), distribution, version)
            for pair in entry.handler.serves:
                other = self.handlers.setdefault(pair, entry)
                if other is not entry:
                    kind, language = pair
                    raise PluginError(
                        f'{other.distribution} and {distribution} both serve type "{kind}" of language "{language}"',
                        "uninstall one of the two",
                    )

    def add_detectors(self, detectors: Iterable[type[ToolchainDetector]], distribution: str, version: str) -> None:
        for detector_class in detectors:
            detector = detector_class()
            if detector.name in self.detectors:
                raise PluginError(f'two plugins detect the toolchain "{detector.name}"', "uninstall one of the two")
            self.detectors[detector.name] = (detector, f"{distribution}-{version}")

    def add_locks(self, formats: Iterable[type[LockFormat]], distribution: str, version: str) -> None:
        """Formats by their names; a file name belongs to one format, so that a lock file alone tells which it is."""
        claimed = {name: entry for entry in self.locks.values() for name in entry.format.file_names}
        for format_class in formats:
            entry = LockEntry(format_class(), distribution, version)
            other = self.locks.setdefault(entry.format.name, entry)
            if other is not entry:
                raise PluginError(
                    f'{other.distribution} and {distribution} both bring the lock format "{entry.format.name}"',
                    "uninstall one of the two",
                )
            for name in entry.format.file_names:
                other = claimed.setdefault(name, entry)
                if other is not entry:
                    raise PluginError(
                        f'{other.distribution} and {distribution} both read lock files called "{name}"',
                        "uninstall one of the two",
                    )

    def add_commands(self, commands: Iterable[Command], distribution: str) -> None:
        for command in commands:
            if command.name in self.commands:
                other = self.commands[command.name][1]
                raise PluginError(
                    f'{other} and {distribution} both bring the command "{command.name}"', "uninstall one of the two"
                )
            self.commands[command.name] = (command, distribution)


def load_plugins() -> Registry:
    """Import every plugin of the entry-point group `bldr` and ask it what it offers, in the order of their names.

    A plugin that fails to import is listed in `Registry.broken`. Raises PluginError for duplicates and misspelt hooks.
    """
    from importlib.metadata import entry_points  # reads much, imports much

    registry = Registry()
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    for point in points:
        distribution = point.dist.name if point.dist else point.value
        version = point.dist.version if point.dist else ""
        try:
            module = point.load()
        except Exception as error:  # a stranger's code: anything may go wrong, and it must not take the build with it
            reason = f"{type(error).__name__}: {error}"
            registry.broken.append(BrokenPlugin(point.name, distribution, reason))
            continue
        _register(registry, point, module, distribution, version)
    return registry


def _register(registry: Registry, point: "EntryPoint", module: Any, distribution: str, version: str) -> None:
    """Ask one plugin by a manager of its own, so that every answer is known to be its."""
    import pluggy

    from bldr.api.hooks import PROJECT, Hooks

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    try:
        manager.register(module, point.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f'plugin "{point.name}" of {distribution} does not fit the hooks: {error}',
            "the hooks are: " + ", ".join(name for name in vars(Hooks) if name.startswith("bldr_")),
        ) from error
    for answer in manager.hook.bldr_handlers():
        registry.add_handlers(answer, distribution, version)
    for answer in manager.hook.bldr_toolchains():
        registry.add_detectors(answer, distribution, version)
    for answer in manager.hook.bldr_locks():
        registry.add_locks(answer, distribution, version)
    for answer in manager.hook.bldr_sandboxes():
        registry.sandboxes.extend(sandbox() for sandbox in answer)
    for answer in manager.hook.bldr_commands():
        registry.add_commands(answer, distribution)
    for answer in manager.hook.bldr_listeners():
        registry.listeners.extend(answer)
