"""Writes the snapshot of a build that has just succeeded: what it knew, and a signature for all that it rests on.

Called while the workspace is still locked. Whatever cannot be proven, because it changed too recently or was never
looked at, makes this no snapshot at all: the next build is a whole one then, and tries again.
"""

import contextlib
import os
import stat
import sys
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bldr import __version__
from bldr.execute.building import BuildOutcome, Plan
from bldr.execute.materialize import OUTPUT_DIRECTORY
from bldr.execute.sources import signature
from bldr.execute.walk import walk
from bldr.graph.actions import requested_files
from bldr.graph.test_parts import test_directory
from bldr.graph.toolchains import HostToolchains
from bldr.load.directories import Directory, Kind
from bldr.load.workspace import Workspace
from bldr.plan.entries import Entry
from bldr.snapshot import actions, files
from bldr.snapshot.modules import modules_and_paths
from bldr.snapshot.proofs import FOLLOWED, FREE, UNFOLLOWED, listing, listing_digest, numbers
from bldr.snapshot.request import passed_on
from bldr.snapshot.twin import TWIN, NoTwinError, write_twin
from bldr.snapshot.wanted import Heard, Wanted
from bldr.store.database import SCHEMA
from bldr.store.store import Store

_MOST_UNSETTLED = 2048
"""More files than this that have to be read by every null build make it a slow one."""

_OUTPUTS_AT_ONCE = 500
"""So many are looked at together: what is known of one, until its signature is packed, takes a kilobyte."""


class UnprovableError(Exception):
    """Something that the build rests on cannot be proven by a stat later."""


class Built(msgspec.Struct, frozen=True):
    """A build that succeeded. `loaded_ns` is when its workspace began to be read, `directory` where it was called,
    `settings` what the request and the plugins say of how to run actions."""

    plan: Plan
    outcome: BuildOutcome
    entries: Mapping[str, Sequence[Entry]]
    workspace: Workspace
    toolchains: HostToolchains
    store: Store
    heard: Heard
    directory: str
    loaded_ns: int
    starter: str  # of the sandbox that was used; "" where it has none
    settings: dict[str, object]


def keep(wanted: Wanted, built: Built) -> None:
    """Write the snapshot of `built`, or take away the one that no longer holds. Raises OSError."""
    cache = os.path.dirname(built.store.root)
    place = files.place_of(cache, wanted.key)
    try:
        if built.heard.warnings:
            raise UnprovableError
        proofs = _Proofs(wanted, built)
        head, parts = proofs.collected(cache)
    except UnprovableError:
        forget(wanted, built)
        return
    has_externals = bool(built.workspace.externals)  # whose sources an edit would look for in the workspace
    if has_externals:
        files.forget(place)
    elif not built.plan.tests:
        more = {**built.settings, "base": head["base"], "total": len(built.plan.nodes), "quiet": wanted.is_quiet}
        labels = dict.fromkeys(built.plan.labels)
        requested = ((label, requested_files(built.plan.graph.targets[label])) for label in labels)
        actions.write(place, more, built.plan.nodes, built.entries, requested, proofs.sources)
    files.write(place, head, parts)
    if not has_externals:
        with contextlib.suppress(NoTwinError):
            proofs.write_twin(cache, head)
    files.prune(cache)


def forget(wanted: Wanted, built: Built) -> None:
    """Take away the snapshot of a build that failed."""
    files.forget(files.place_of(os.path.dirname(built.store.root), wanted.key))


class _Proofs:
    """Collects the groups of one snapshot."""

    def __init__(self, wanted: Wanted, built: Built) -> None:
        self._wanted = wanted
        self._built = built
        self._root = built.workspace.root
        self._groups: dict[tuple[int, str], tuple[list[str], array[int]]] = {}
        self._unsettled: dict[tuple[int, str, str], tuple[str, bool]] = {}
        self._directories: dict[str, tuple[str, bytes, bytes, bool]] = {}
        self._inodes: dict[str, tuple[str, int, int]] = {}
        self._absent: list[str] = []
        self._held: dict[str, Entry] = {}  # sources and outputs, by absolute path
        self._packed_groups: list[tuple[int, str, tuple[str, ...], bytes]] = []
        self.sources: list[str] = []
        """Tree paths of all sources, in the order of the groups."""

    def collected(self, cache: str) -> tuple[dict[str, object], list[bytes]]:
        """The snapshot's head and parts. Raises UnprovableError, OSError."""
        built = self._built
        said = built.heard.said(is_quiet=self._wanted.is_quiet)
        if said is None:
            raise UnprovableError
        self._add_installation()
        self._add_toolchains()
        self._add_workspace()
        self._add_sources()
        self._add_claims()
        for path in (built.store.root, f"{built.store.root}/blobs", f"{built.store.root}/store-{SCHEMA}.sqlite"):
            self._add_inode(path)
        self._add_outputs()
        groups = [
            (kind, directory, tuple(names), signatures.tobytes())
            for (kind, directory), (names, signatures) in self._groups.items()
        ]
        self._packed_groups = groups
        count = sum(len(group[2]) for group in groups)
        halves = _halves(groups, count)
        head: dict[str, object] = {
            "base": os.urandom(16),
            "bldr": __version__,
            "python": [sys.executable, sys.version, list(sys.path)],
            "cache": cache,
            "root": self._root,
            "written_ns": time.time_ns(),
            "passed_on": inherited(self._built.workspace, self._built.toolchains),
            "inodes": list(self._inodes.values()),
            "absent": self._absent,
            "directories": list(self._directories.values()),
            "files": count,
            "firsts": [0, len(halves[0])],
            "unsettled": self._unsettled_places(groups),
            "sources": self._number_sources(groups),
            "starter": self._built.starter,
            **said,
        }
        return head, [files.encoded(half) for half in halves]

    def write_twin(self, cache: str, head: Mapping[str, object]) -> None:
        """Write what another checkout of the same contents can use. Raises NoTwinError, OSError."""
        built, root = self._built, self._root
        toolchains = built.toolchains.proven() or {}
        outside = (cache, sys.executable, *map(os.path.abspath, sys.path), *toolchains)
        if (
            not self._wanted.twin
            or built.directory != root
            or built.plan.directory != OUTPUT_DIRECTORY
            or any(f"{path}/".startswith(f"{root}/") for path in outside)
        ):
            raise NoTwinError
        place = files.place_of(cache, self._wanted.twin)
        inodes = [inode for inode in self._inodes.values() if not inode[0].startswith(f"{root}/")]
        own = {**head, "inodes": inodes}
        write_twin(
            place, own, self._packed_groups, self._directories.values(), self._held, root, f"{root}/{OUTPUT_DIRECTORY}"
        )
        files.remove(place + TWIN + files.ACTIONS)
        if not built.plan.tests:
            os.link(files.place_of(cache, self._wanted.key) + files.ACTIONS, place + TWIN + files.ACTIONS)

    def _add(self, kind: int, path: str, status: os.stat_result) -> None:
        directory, _, name = path.rpartition("/")
        self._put(kind, directory or "/", name or ".", numbers(status))

    def _put(self, kind: int, directory: str, name: str, signature: tuple[int, ...]) -> None:
        group = self._groups.get((kind, directory))
        if group is None:
            group = self._groups[kind, directory] = ([], array("q"))
        group[0].append(name)
        try:
            group[1].extend(signature)
        except OverflowError as error:
            raise UnprovableError from error

    def _add_unsettled(self, kind: int, path: str, entry: Entry) -> None:
        if len(self._unsettled) == _MOST_UNSETTLED:
            raise UnprovableError
        directory, _, name = path.rpartition("/")
        self._put(kind, directory, name, (0, 0, 0, 0, 0))
        content = f"-> {entry.link}" if entry.link else entry.hash
        self._unsettled[kind, directory, name] = (content, entry.executable)

    def _unsettled_places(self, groups: list[tuple[int, str, tuple[str, ...], bytes]]) -> dict[tuple[int, int], object]:
        index_of = {(kind, directory): index for index, (kind, directory, _, _) in enumerate(groups)}
        found: dict[tuple[int, int], object] = {}
        for (kind, directory, name), content in self._unsettled.items():
            index = index_of[kind, directory]
            found[index, groups[index][2].index(name)] = content
        return found

    def _number_sources(self, groups: list[tuple[int, str, tuple[str, ...], bytes]]) -> dict[int, int]:
        """For each group of sources, the number of its first."""
        numbers: dict[int, int] = {}
        above = len(self._root) + 1
        for index, (kind, directory, names, _) in enumerate(groups):
            if kind == FREE:
                numbers[index] = len(self.sources)
                self.sources += [f"{directory}/{name}"[above:] for name in names]
        return numbers

    def _add_inode(self, path: str) -> None:
        if path not in self._inodes:
            status = os.lstat(path)
            self._inodes[path] = (path, status.st_ino, stat.S_IFMT(status.st_mode))

    def _add_settled(self, path: str, before_ns: int) -> None:
        """A file that was read at `before_ns` or later and must not have changed since."""
        status = os.stat(path)
        _demand_settled(status, before_ns)
        self._add(FOLLOWED, path, status)

    def _add_directory(self, path: str, before_ns: int, *, whole: bool = False) -> None:
        """A directory that was listed at `before_ns` or later."""
        if path in self._directories:
            return
        status = os.lstat(path)
        _demand_settled(status, before_ns)
        wanted = listing(path, whole=whole)
        if numbers(os.lstat(path)) != numbers(status):
            raise UnprovableError
        self._directories[path] = (path, _packed(numbers(status)), wanted, whole)

    def _add_read(self, path: str) -> None:
        """A directory that the loader listed. Where it is too new for a signature (the first build of a workspace has
        just made `bldr-out` in its root), what it held then is compared with what it holds, now and every time."""
        host = f"{self._root}/{path}" if path else self._root
        status = os.lstat(host)
        if _is_settled(status, self._built.loaded_ns):
            self._add_directory(host, self._built.loaded_ns)
            return
        lines = []
        for name, entry in self._built.workspace.listed(path).items():
            if entry is Kind.LINK:
                raise UnprovableError  # it may have led somewhere else then
            lines.append(f"{name}\0{'directory' if isinstance(entry, Directory) else entry.value}")
        wanted = listing_digest(lines, is_directory=True)
        self._directories[host] = (host, _packed((0, 0, 0, 0, 0)), wanted, False)

    def _add_installation(self) -> None:
        files, directories, absent = modules_and_paths()
        for path in files:
            self._add_settled(path, self._wanted.started_ns)
        for path in directories:
            self._add_settled(path, self._wanted.started_ns)
        self._absent += absent

    def _add_toolchains(self) -> None:
        proven = self._built.toolchains.proven()
        if proven is None:
            raise UnprovableError
        for path, status in proven.items():
            if status is None:
                self._absent.append(path)
            else:
                plain = path.rstrip("/")
                self._add(FOLLOWED, plain, status)

    def _add_workspace(self) -> None:
        workspace, loaded_ns = self._built.workspace, self._built.loaded_ns
        for path in workspace.files_read:
            self._add_settled(f"{self._root}/{path}", loaded_ns)
        for path in workspace.directories_read:
            self._add_read(path)
        self._absent += [f"{self._root}/{path}" for path in workspace.absent]
        for place in workspace.trees_read:
            self._add_tree(place)
        # From where the user stands, no nearer Builderfile may come to begin a workspace.
        at = self._built.directory
        while at != self._root:
            self._add_directory(at, loaded_ns)
            at = os.path.dirname(at)

    def _add_tree(self, place: str) -> None:
        """All that an external source holds in the cache: as a whole build looks at all of it, too."""
        self._add_cached(place)
        for directory, inside, names in walk(place):
            for name in (*inside, *names):
                self._add_cached(f"{directory}/{name}")

    def _add_cached(self, path: str) -> None:
        status = os.lstat(path)
        _demand_settled(status, self._built.loaded_ns)
        self._add(UNFOLLOWED, path, status)

    def _add_sources(self) -> None:
        """Files that are older than the build are what it read. Of newer ones the engine itself must know the content
        by a signature."""
        paths = list(dict.fromkeys(
            artifact.path
            for node in self._built.plan.nodes
            for artifact in (*node.action.inputs, *node.action.tools)
            if artifact.is_source and not self._built.workspace.is_external(artifact.path)
        ))  # fmt: skip
        hosts = {f"{self._root}/{path}": path for path in paths}
        self._held.update((host, self._built.entries[path][0]) for host, path in hosts.items())
        newer: dict[str, os.stat_result] = {}
        for host in hosts:
            status = os.stat(host)
            if _is_settled(status, self._built.loaded_ns):
                self._add(FREE, host, status)
            else:
                newer[host] = status
        known = self._built.store.files.get_many(list(newer))
        for host, status in newer.items():
            (entry,) = self._built.entries[hosts[host]]
            state = known.get(host)
            if state is not None and state[0] == signature(status) and state[1].hash == entry.hash:
                self._add(FREE, host, status)
            else:
                self._add_unsettled(FREE, host, entry)
        for directory in dict.fromkeys(os.path.dirname(host) for host in hosts):
            self._add_directory_within(directory)

    def _add_claims(self) -> None:
        """No source may come to stand where an output belongs: by the directory nearest to each that is there."""
        claimed = {
            os.path.dirname(output.path) for node in self._built.plan.graph.nodes for output in node.action.outputs
        }
        for path in claimed:
            directory = f"{self._root}/{path}".rstrip("/")
            while not os.path.isdir(directory):
                directory = os.path.dirname(directory)
            self._add_directory_within(directory)

    def _add_directory_within(self, directory: str) -> None:
        """A directory of the workspace, and those above it: any may become a link."""
        while directory not in self._directories:
            self._add_directory(directory, self._built.loaded_ns)
            directory = os.path.dirname(directory)

    def _add_outputs(self) -> None:
        below = self._built.plan.directory
        top = f"{self._root}/{below}"
        self._add_inode(f"{self._root}/{OUTPUT_DIRECTORY}")
        self._add_inode(top)
        wanted = [path.removeprefix(f"{below}/") for paths in self._built.outcome.outputs.values()
                  for path in paths]  # fmt: skip
        wanted += [test_directory(label) for label in self._built.plan.tests]
        held = {f"{top}/{entry.path}": entry for path in wanted for entry in self._built.entries.get(path, ())}
        self._held.update(held)
        places = list(held)
        for at in range(0, len(places), _OUTPUTS_AT_ONCE):
            self._add_some_outputs(places[at : at + _OUTPUTS_AT_ONCE], held)
        self._add_whole(top, wanted)

    def _add_some_outputs(self, places: Sequence[str], held: Mapping[str, Entry]) -> None:
        newer: dict[str, os.stat_result] = {}
        for place in places:
            entry = held[place]
            self._add_folders(place)
            status = os.lstat(place)
            if not entry.hash and not entry.link:
                continue  # an empty directory, which is listed with the others
            if entry.hash and _is_settled(status, self._built.loaded_ns):
                self._add(UNFOLLOWED, place, status)  # the build found it as it had to be
            else:
                newer[place] = status
        known = self._built.store.files.get_many(list(newer))
        now_ns = time.time_ns()
        for place, status in newer.items():
            entry = held[place]
            if entry.hash and known.get(place) != (signature(status), (entry.hash, entry.size_bytes)):
                raise UnprovableError
            if entry.link and os.readlink(place) != entry.link:
                raise UnprovableError
            if now_ns - max(status.st_mtime_ns, status.st_ctime_ns) > files.SETTLED_NS:
                self._add(UNFOLLOWED, place, status)
            else:
                self._add_unsettled(UNFOLLOWED, place, entry)

    def _add_folders(self, place: str) -> None:
        """The directories above an output: a link in the place of one would lead out of the folder."""
        directory = os.path.dirname(place)
        while directory not in self._inodes:
            self._add_inode(directory)
            directory = os.path.dirname(directory)

    def _add_whole(self, top: str, wanted: Iterable[str]) -> None:
        """Directories that are outputs: they hold what was written and nothing else, and nothing may be added."""
        for path in wanted:
            entries = self._built.entries.get(path, ())
            at = f"{top}/{path}"
            if not entries or (len(entries) == 1 and entries[0].path == path and entries[0] != Entry(path)):
                continue  # a file, or a link
            made = {f"{top}/{entry.path}" for entry in entries}
            for directory, _, names in walk(at):
                if any(f"{directory}/{name}" not in made for name in names):
                    raise UnprovableError
                self._add_listed(directory)

    def _add_listed(self, directory: str) -> None:
        """An output directory: by its names alone where it is too new for a signature."""
        status = os.lstat(directory)
        is_settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > files.SETTLED_NS
        packed = _packed(numbers(status)) if is_settled else _packed((0, 0, 0, 0, 0))
        self._directories[directory] = (directory, packed, listing(directory, whole=True), True)


def inherited(workspace: Workspace, toolchains: HostToolchains) -> dict[str, str | None]:
    """The variables that no request's key has in it, and targets or toolchains look at all the same."""
    names = {name for target in workspace.targets for name in target.attributes.env_inherit}
    names.update(toolchains.variables())
    return passed_on(sorted(names), os.environ)


def _is_settled(status: os.stat_result, before_ns: int) -> bool:
    return max(status.st_mtime_ns, status.st_ctime_ns) <= before_ns - files.SETTLED_NS


def _demand_settled(status: os.stat_result, before_ns: int) -> None:
    if not _is_settled(status, before_ns):
        raise UnprovableError


def _packed(values: Iterable[int]) -> bytes:

    try:
        return array("q", values).tobytes()
    except OverflowError as error:
        raise UnprovableError from error


def _halves(groups: list[tuple[int, str, tuple[str, ...], bytes]], files: int) -> tuple[list[object], list[object]]:
    """The groups in two parts of about as many files."""
    count = 0
    for index, group in enumerate(groups):
        if count >= files / 2:
            return list(groups[:index]), list(groups[index:])
        count += len(group[2])
    return list(groups), []
