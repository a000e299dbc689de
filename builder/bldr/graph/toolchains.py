"""The toolchains of this machine: detected by plugins, once, and remembered while nothing they rest on has changed."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import msgspec
import xxhash

from bldr.api.errors import BldrError, PluginError, ToolchainError
from bldr.api.toolchains import Toolchain, ToolchainDetector
from bldr.graph.contract import BreachError, check_toolchain
from bldr.guard import Overdue, described, is_plugins_own
from bldr.load.suggest import suggest
from bldr.store.store import Store

if TYPE_CHECKING:
    from bldr.plugins import Registry

Pinned = Callable[[str], Toolchain | None]

_SETTLED_NS = 50_000_000
"""What changed less than this before it was looked at may change again within the clock's granularity."""


class _Detection(msgspec.Struct):
    """A remembered answer, and the state of the machine that it was given for."""

    state: str
    toolchain: Toolchain


class HostToolchains:
    """Finds toolchains by name. A stat of the sentinels proves that a remembered detection still holds.

    `pinned` is asked first: the toolchains that it answers come from somewhere else, and are not looked for.
    """

    def __init__(
        self, registry: "Registry", store: Store, env: Mapping[str, str], pinned: Pinned | None = None
    ) -> None:
        self._registry = registry
        self._store = store
        self._env = env
        self._pinned = pinned or (lambda _: None)
        self.pinned: set[str] = set()
        """Names of those that were not looked for."""
        self._found: dict[str, Toolchain] = {}
        self._states: dict[str, str] = {}

    def __call__(self, name: str) -> Toolchain:
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def names(self) -> tuple[str, ...]:
        """All that plugins can look for."""
        return tuple(sorted(self._registry.detectors))

    def _find(self, name: str) -> Toolchain:
        pinned = self._pinned(name)
        if pinned is not None:
            self.pinned.add(name)
            self._states[name] = _state(pinned.sentinels)[0]
            return pinned
        if name not in self._registry.detectors:
            hint = suggest(name, list(self._registry.detectors)) or "bldr doctor lists the toolchains"
            raise ToolchainError(f'no plugin knows the toolchain "{name}"', hint)
        detector, version = self._registry.detectors[name]
        asked = [version, *(f"{variable}={self._env.get(variable, '')}" for variable in detector.environment)]
        key = f"toolchain/{name}/{xxhash.xxh3_128_hexdigest(os.fsencode(chr(0).join(asked)))}"
        remembered = self._store.memo.get(key)
        if remembered is not None:
            detection = msgspec.msgpack.decode(remembered, type=_Detection)
            state = _state(detection.toolchain.sentinels)[0]
            if detection.state == state:
                self._states[name] = state
                return detection.toolchain
        before_ns = time.time_ns()
        toolchain = self._detect(name, detector)
        state, changed_ns = _state(toolchain.sentinels)
        if changed_ns < before_ns - _SETTLED_NS:  # else the state may be a later one than what was detected
            self._states[name] = state
            self._store.memo.put(key, msgspec.msgpack.encode(_Detection(state, toolchain)))
        return toolchain

    def _detect(self, name: str, detector: ToolchainDetector) -> Toolchain:
        """Ask the plugin. Raises ToolchainError where there is none, PluginError where the plugin is at fault."""
        origin = self._registry.origin("toolchain", name)
        hint = f"report it to the authors of {origin.distribution if origin else 'its plugin'}"
        try:
            with redirect_stdout(sys.stderr):  # what it prints is no part of what a command answers
                toolchain = detector.detect(self._env)
            check_toolchain(name, toolchain)
        except BldrError:
            raise
        except Overdue as overdue:
            raise PluginError(f"{overdue}: {origin}", hint) from overdue
        except BreachError as breach:
            message = f'the detector of the toolchain "{name}" of {origin} broke its contract: {breach}'
            raise PluginError(message, hint) from breach
        except BaseException as error:  # a stranger's code
            if not is_plugins_own(error):
                raise
            message = f'the detector of the toolchain "{name}" of {origin} failed: {described(error)}'
            raise PluginError(message, hint) from error
        return toolchain

    def variables(self) -> set[str]:
        """Names of the variables that decided what was found."""
        detected = self._found.keys() - self.pinned
        return {variable for name in detected for variable in self._registry.detectors[name][0].environment}

    def proven(self) -> dict[str, os.stat_result | None] | None:
        """Every path on which what was found rests, and its stat (None: nothing is there).

        None where that has changed meanwhile, or was too new to be remembered at all.
        """
        proofs: dict[str, os.stat_result | None] = {}
        for name, toolchain in self._found.items():
            if _state(toolchain.sentinels, proofs)[0] != self._states.get(name):
                return None
        return proofs


def _state(paths: tuple[str, ...], into: dict[str, os.stat_result | None] | None = None) -> tuple[str, int]:
    """The state of some paths, and when the latest of them changed. Their stats are put `into` a dictionary."""
    digest = xxhash.xxh3_128()
    changed_ns = 0
    status: os.stat_result | None
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            status = None
            digest.update(b"absent\0")
        else:
            digest.update(b"%d %d %d %d\0" % (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
            changed_ns = max(changed_ns, status.st_mtime_ns, status.st_ctime_ns)
        if into is not None:
            into[path] = status
    return digest.hexdigest(), changed_ns
