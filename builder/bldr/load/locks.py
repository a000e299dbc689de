"""Lock files: a plugin reads one, its packages are brought, and the plugin writes a Builderfile for them."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, Protocol, TypeVar

import msgspec

from bldr.api.actions import Platform
from bldr.api.errors import BldrError, PluginError, Problem, TargetError, WorkspaceError
from bldr.api.locks import Locked, LockError, LockFile, LockFormat
from bldr.fetch.pins import parse_pin
from bldr.guard import DETECTION_LIMIT_S, Guard, Overdue, described, is_plugins_own
from bldr.load.externals import ExternalSource
from bldr.load.glob import is_normal_path
from bldr.load.locked import LockedPackages, Tree
from bldr.load.suggest import suggest
from bldr.load.syntax import Parsed, Place, make_problem, read_text
from bldr.load.validate import quote

_FORM = 1
"""Raised when what is kept of a lock file must be made anew."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_Answer = TypeVar("_Answer")

Bring = Callable[[str, Sequence[Locked]], list[str]]
"""Brings the packages of the external source of this name; returns where each of them is."""


class LockEntry(Protocol):
    """What the registry of plugins knows of a format."""

    @property
    def format(self) -> LockFormat: ...

    @property
    def distribution(self) -> str: ...

    @property
    def identity(self) -> str: ...


class LockReader:
    """Reads the lock files of one workspace; `kept` remembers the Builderfiles that were written for them."""

    def __init__(
        self, root: str, formats: Mapping[str, LockEntry], platform: Platform, env: Mapping[str, str], kept: Parsed
    ) -> None:
        self._root = root
        self._formats = formats
        self._platform = platform
        self._env = env
        self._kept = kept

    def packages(self, source: ExternalSource) -> tuple[Locked, ...]:
        """What the lock file pins, checked. Raises WorkspaceError, PluginError."""
        return self._read(source)[0]

    def load(self, source: ExternalSource, bring: Bring) -> LockedPackages:
        """The packages of a lock file, brought where they are not here. Raises WorkspaceError, PluginError."""
        packages, lock = self._read(source)
        entry = self._entry(source)
        hosts = bring(source.name, packages)
        mounts = {package.path: host for package, host in zip(packages, hosts, strict=True)}
        locked = LockedPackages(source.name, mounts, None, source.lock, entry.distribution)
        if not source.builderfile:
            locked.tables = self._tables(source, entry, packages, locked, lock)
        return locked

    def _entry(self, source: ExternalSource) -> LockEntry:
        found = find_format(source, self._formats)
        assert not isinstance(found, Problem), "checked when the workspace was read"
        return found

    def _read(self, source: ExternalSource) -> tuple[tuple[Locked, ...], LockFile]:
        entry = self._entry(source)
        lock = LockFile(
            text=read_text(f"{self._root}/{source.lock}", source.lock, "lock file"),
            platform=self._platform,
            env={name: self._env[name] for name in entry.format.environment if name in self._env},
            options=source.options,
            path=source.lock,
            beside={
                path.rpartition("/")[2]: read_text(f"{self._root}/{path}", path, "file beside the lock file")
                for path in files_beside(self._root, source, entry.format)[0]
            },
        )
        try:
            answer = _asked(entry, source, "read", lambda: tuple[object, ...](entry.format.read(lock)))
        except LockError as error:
            raise _refusal(source, error.message, error.hint, error.line) from error
        except TargetError as error:
            raise _refusal(source, error.message, error.hint) from error
        packages = _typed(answer, entry, source)
        problems = _check(source, packages)
        if problems:
            raise WorkspaceError(problems)
        return packages, lock

    def _tables(
        self, source: ExternalSource, entry: LockEntry, packages: tuple[Locked, ...], locked: LockedPackages,
        lock: LockFile,
    ) -> dict[str, Any]:  # fmt: skip
        bare = tuple(msgspec.structs.replace(package, urls=()) for package in packages)
        lock = msgspec.structs.replace(lock, env={})
        key = _key(entry, bare, lock)
        remembered = self._kept.get(key)
        if remembered is not None:
            decoded: dict[str, Any] = msgspec.msgpack.decode(remembered)
            return decoded
        try:
            tree = Tree(locked)
            tables = _asked(entry, source, "describe", lambda: entry.format.builderfile(bare, tree, lock))
        except (TargetError, ValueError) as error:
            message, hint = (error.message, error.hint) if isinstance(error, BldrError) else (str(error), "")
            raise _refusal(source, message, hint) from error
        encoded = _encoded(tables, entry, source)
        self._kept.put(key, encoded)
        written: dict[str, Any] = msgspec.msgpack.decode(encoded)
        return written


def find_format(source: ExternalSource, formats: Mapping[str, LockEntry]) -> LockEntry | Problem:
    """Which format the lock file of an external source has, or why that is not known."""
    who = f'external "{source.name}"'
    if source.format:
        entry = formats.get(source.format)
        if entry is not None:
            return entry
        names = sorted(formats)
        hint = suggest(source.format, names) or (
            f"the formats are: {quote(names)}" if names else "no plugin brings one"
        )
        return make_problem(source.position, f'{who}: no plugin reads lock files of the format "{source.format}"', hint)
    name = source.lock.rpartition("/")[2]
    for entry in formats.values():
        if name in entry.format.file_names:
            return entry
    known = sorted({name for entry in formats.values() for name in entry.format.file_names})
    hint = f"known are {quote(known)}; for another name, write format = ..." if known else "no plugin brings one"
    return make_problem(source.position, f'{who}: no plugin reads lock files called "{name}"', hint)


def files_beside(root: str, source: ExternalSource, format: LockFormat) -> tuple[list[str], list[str]]:
    """The files that a format reads with its lock file, as paths below the root: those that are there, and the rest."""
    above = source.lock.rpartition("/")[0]
    present: list[str] = []
    absent: list[str] = []
    for name in getattr(format, "beside", ()):
        path = f"{above}/{name}".lstrip("/")
        (present if os.path.isfile(f"{root}/{path}") else absent).append(path)
    return present, absent


def _asked(entry: LockEntry, source: ExternalSource, verb: str, ask: Callable[[], _Answer]) -> _Answer:
    """What a plugin answers. A stranger's code: what goes wrong in it, and is no refusal of ours, is its mistake."""
    who = f'external "{source.name}": the plugin {entry.distribution}'
    what = f'{verb} "{source.lock}"'
    hint = f"report it to the authors of {entry.distribution}"
    # the trees of packages that it reads may be large, and what it prints is no part of what a command answers
    with Guard(DETECTION_LIMIT_S) as guard, redirect_stdout(sys.stderr):
        guard.calls(f"{who}, which was to {what},")
        try:
            answer = ask()
        except BldrError:
            raise
        except Overdue as overdue:
            raise PluginError(str(overdue), hint) from overdue
        except BaseException as error:
            if not is_plugins_own(error):
                raise
            raise PluginError(f"{who} cannot {what}: {described(error)}", hint) from error
        finally:
            guard.is_back()
            changed = guard.changed()
    if changed:
        raise PluginError(f"{who} changed {changed} when it was to {what}", hint)
    return answer


def _typed(packages: tuple[object, ...], entry: LockEntry, source: ExternalSource) -> tuple[Locked, ...]:
    """The packages as what they were promised to be. Raises PluginError."""
    try:
        return msgspec.convert(msgspec.to_builtins(packages), tuple[Locked, ...])
    except (TypeError, ValueError, RecursionError) as error:  # of msgspec, too
        raise PluginError(
            f'external "{source.name}": what the plugin {entry.distribution} read of "{source.lock}" are no packages: '
            f"{error}",
            f"report it to the authors of {entry.distribution}",
        ) from error


def _check(source: ExternalSource, packages: tuple[Locked, ...]) -> list[Problem]:
    """What is wrong with packages, each by its name."""
    problems = []
    by_path: dict[str, Locked] = {}
    for package in packages:
        for message, hint in _mistakes(package):
            problems.append(_problem(source, f"{package.name}: {message}", hint))
        other = by_path.setdefault(package.path, package)
        if other is not package:
            message = f'{other.name} and {package.name} would both stand at "{package.path}"'
            problems.append(_problem(source, message))
    for package in packages:
        path = package.path.rpartition("/")[0]
        while path:
            above = by_path.get(path)
            if above is not None and not above.unpack:
                message = f'{package.name} would stand below "{path}", which is the file of {above.name}'
                problems.append(_problem(source, message))
            path = path.rpartition("/")[0]
    return problems


def _mistakes(package: Locked) -> list[tuple[str, str]]:
    found = []
    if not is_normal_path(package.path):
        found.append((f'it would stand at "{package.path}", which is no path below the tree', ""))
    if package.strip_prefix and not is_normal_path(package.strip_prefix):
        found.append((f'its directory "{package.strip_prefix}" is no path below its archive', ""))
    try:
        parse_pin(package.digest)
    except ValueError as error:
        found.append((str(error), "lock it by a package manager that writes hashes"))
    if not package.urls and not package.pypi:
        found.append(("the lock file does not say where it comes from", ""))
    for url in package.urls:
        if not url.startswith(("https://", "file:")):
            found.append((f'"{url}" is no address that bldr fetches from', "write https://host/path or file:path"))
    return found


def _encoded(tables: object, entry: LockEntry, source: ExternalSource) -> bytes:
    """Tables of a plugin as TOML could hold them."""
    who = f'external "{source.name}": the Builderfile that the plugin {entry.distribution} wrote for "{source.lock}"'
    try:
        encoded = msgspec.msgpack.encode(tables)
        text = msgspec.json.encode(tables)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise PluginError(f"{who} is none: {error}", f"report it to the authors of {entry.distribution}") from error
    if not text.startswith(b"{") or _NUL.search(text):
        what = "holds a NUL character" if text.startswith(b"{") else "is no table"
        raise PluginError(f"{who} {what}", f"report it to the authors of {entry.distribution}")
    return encoded


def _key(entry: LockEntry, packages: tuple[Locked, ...], lock: LockFile) -> str:
    from bldr.store.digest import sha256

    decides = msgspec.msgpack.encode((entry.identity, packages, lock))
    return f"lock/{_FORM}/{sha256(decides).hexdigest()}"


def _refusal(source: ExternalSource, message: str, hint: str = "", line: int = 0) -> WorkspaceError:
    return WorkspaceError([_problem(source, message, hint, line)])


def _problem(source: ExternalSource, message: str, hint: str = "", line: int = 0) -> Problem:
    place = Place(source.lock, line, 1 if line else 0)
    return make_problem(place, f'external "{source.name}": {message}', hint)
