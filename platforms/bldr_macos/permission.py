"""From a launch to its permission: which host paths it may use, by all of their names."""

import os
from collections.abc import Iterable

from bldr.api import Input, Launch, Output, SetupFailure, Temp
from bldr_macos.host import Host, folded
from bldr_macos.profile import Network, Permission, Place, ancestors
from bldr_macos.sbpl import Param, Path
from bldr_unmounted.confinement import RefusedError, Scratch

_LOCAL = ("localhost:", "127.0.0.1:", "[::1]:")


class Permissions:
    """Makes permissions for the launches of one launcher, whose directory is `root`, and remembers what it found of the
    machine: directories that are shown do not change while actions run."""

    def __init__(self, host: Host, root: str, protected: str, *, loopback: bool, case_insensitive: bool) -> None:
        self._host = host
        self._roots = {root, host.resolve(root).path}
        self._protected = tuple(sorted({protected, host.resolve(protected).path}))
        self._loopback = loopback
        self._case_insensitive = case_insensitive
        self._user_directories = host.user_directories()
        self._counterparts: dict[Input, tuple[Place, ...]] = {}

    def permission(self, launch: Launch, scratch: Scratch) -> tuple[Permission, dict[str, str]]:
        """The permission, and the values of its parameters. Raises RefusedError for what macOS cannot do, OSError for
        links that lead nowhere."""
        _refuse_foreign(launch)
        if self._case_insensitive:
            refuse_clashes(_declared(launch))
        own = _Own(self._host, self._roots, launch, scratch)
        spec = launch.spec
        for index, temp in enumerate(scratch.temps.values()):
            own.name(f"TEMP_{index}", temp, writes=True)
        if launch.tree is not None:
            own.name("TREE", launch.tree.upper, writes=True)
        reads, files = list[Place](), list[Place]()
        for item in spec.inputs:
            source = item.source or item.path
            if own.holds(source):
                own.name(f"INPUT_{len(own.reads)}", source, writes=False)
            else:
                reads.append(place(self._host, source))
            if source != item.path:
                files += self._named_alike(item, source)
        writes = [
            place(self._host, output.source or output.path)
            for output in spec.outputs
            if not _in_tree(output.path, launch)
        ]
        if self._case_insensitive:
            refuse_clashes([*own.inputs, *_resolved((*reads, *writes))])
        permission = Permission(
            reads=_unique(reads),
            writes=_unique(writes),
            files=_unique(files),
            listed=_listed(files),
            own_reads=tuple(own.reads),
            own_writes=tuple(own.writes),
            devices=_unique(place(self._host, path) for path in spec.devices),
            network=self._network(launch),
            user_directories=self._user_directories,
            protected=self._protected,
            passages=own.passages([*_resolved((*reads, *files)), *self._protected], _resolved(writes)),
        )
        return permission, own.values

    def _named_alike(self, item: Input, source: str) -> tuple[Place, ...]:
        """The machine's own files of the names that those below `source` have in the sandbox, where they hold the same
        and so say nothing new: scripts and programs refer to each other, and to what runs them, by these."""
        if item not in self._counterparts:
            below = ((f"/{name}" if name else "") for name in self._host.files_below(source))
            same = (item.path + name for name in below if self._host.is_copy(item.path + name, source + name))
            self._counterparts[item] = tuple(place(self._host, name) for name in same)
        return self._counterparts[item]

    def _network(self, launch: Launch) -> Network:
        network = launch.spec.network
        if network.host:
            return "host"
        if network.hosts:
            return tuple(sorted({_local_port(host) for host in network.hosts}))
        return ("*",) if self._loopback else "none"


class _Own:
    """Paths in the directories of one launch, which are another's next time: parameters of the profile."""

    def __init__(self, host: Host, roots: set[str], launch: Launch, scratch: Scratch) -> None:
        self.values: dict[str, str] = {}
        self.reads: list[Place] = []
        self.writes: list[Place] = []
        self._host = host
        self._roots = roots
        self._tops = {os.path.dirname(launch.tree.upper)} if launch.tree else set()
        self._tops |= {scratch.directory} - {""}
        self._params: dict[str, Param] = {}  # of the directories above
        self._read: list[str] = []
        self._written: list[str] = []

    def holds(self, path: str) -> bool:
        return any(path == top or path.startswith(f"{top}/") for top in self._tops)

    def name(self, name: str, path: str, *, writes: bool) -> None:
        """Make `path` a parameter, with whatever lies above it below the launcher's directory."""
        resolved, links = self._host.resolve(path)
        names = {name: path} if resolved == path else {name: resolved, f"{name}_GIVEN": path}
        self.values.update(names)
        (self._written if writes else self._read).append(resolved)
        seen = [above for value in (*names.values(), *links) for above in ancestors(value)]
        seen += [link for link in links if link != path]
        found = Place(tuple(map(Param, names)), tuple(dict.fromkeys(map(self._above, seen))))
        (self.writes if writes else self.reads).append(found)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Where they are on the host."""
        return tuple(self._read)

    def passages(self, guarded: Iterable[str], written: Iterable[str]) -> tuple[Path, ...]:
        """The directories between what is written and what is guarded; the launch's own are both."""
        found = passages([*guarded, *self._read, *self._written], [*written, *self._written])
        return tuple(self._above(path) for path in sorted(found.difference(self._written)))

    def _above(self, path: str) -> Path:
        if not any(path.startswith(f"{root}/") for root in self._roots):
            return path
        if path not in self._params:
            self._params[path] = Param(f"ABOVE_{len(self._params)}")
            self.values[self._params[path].name] = path
        return self._params[path]


def place(host: Host, path: str) -> Place:
    """A path of the host's, by all of its names."""
    resolved = host.resolve(path)
    return Place(tuple(dict.fromkeys((path, resolved.path))), tuple(sorted(set(resolved.links) - {path})))


def passages(guarded: Iterable[str], written: Iterable[str]) -> set[str]:
    """The directories at and below one of `written` that lead to one of `guarded`."""
    tops, found = frozenset(written), set[str]()
    for path in guarded:
        above = ancestors(path)
        first = next((number for number, name in enumerate(above) if name in tops), len(above))
        found.update(above[first:])
    return found


def refuse_clashes(paths: Iterable[str]) -> None:
    """Raises RefusedError where two of the paths, or of the directories above them, are one on a volume that does not
    tell upper from lower case."""
    known: dict[str, str] = {}
    for path in sorted({name for given in paths for name in (*ancestors(given), given)}):
        other = known.setdefault(folded(path), path)
        if other != path:
            raise RefusedError(
                SetupFailure(
                    f'"{other}" and "{path}" differ by case only, and are one on this volume',
                    "rename one of them, or keep the cache on a case-sensitive volume",
                )
            )


def _declared(launch: Launch) -> Iterable[str]:
    spec = launch.spec
    declared: tuple[Input | Output | Temp, ...] = (*spec.inputs, *spec.outputs, *spec.temps)
    return (place.path for place in declared)


def _refuse_foreign(launch: Launch) -> None:
    """What a spec may ask for and only Linux has. Raises RefusedError."""
    spec = launch.spec
    if spec.network.bridge is not None:
        raise _refused("a bridge cannot be joined", "take it away, or allow the machine's own network")
    if spec.filters:
        raise _refused("there are no seccomp filters", "take them away")
    if spec.process.as_pid_1:
        raise _refused("a command cannot be the first process of its sandbox", "take as_pid_1 away")
    if spec.sysfs:
        raise _refused("there is no /sys", "take it away")
    for name, _ in spec.env:
        if name.startswith("DYLD_"):
            raise _refused(f"{name} reaches no command, for the system's own programs drop it", "take it away")
    for path in spec.devices:
        if not path.startswith("/dev/") or os.path.normpath(path) != path:
            raise _refused(f'"{path}" is no name below /dev', "declare files as inputs")


def _local_port(host: str) -> str:
    for prefix in _LOCAL:
        if host.startswith(prefix):
            return host.removeprefix(prefix)
    raise _refused(
        f'of hosts, only the machine itself can be told from all others, and "{host}" is another one',
        "allow the machine's own network (network = true), or bring what is needed as an external source",
    )


def _refused(what: str, hint: str) -> RefusedError:
    return RefusedError(SetupFailure(f"the sandbox of macOS cannot do this: {what}", hint))


def _listed(files: Iterable[Place]) -> tuple[str, ...]:
    """The directories of files that programs look for by listing them (Python its modules, rustc its libraries), which
    tells the names of other files there and nothing else. Programs are looked up by their names."""
    directories = {os.path.dirname(name) for place in files for name in place.names if isinstance(name, str)}
    return tuple(sorted(path for path in directories if os.path.basename(path) not in ("", "bin", "sbin")))


def _in_tree(path: str, launch: Launch) -> bool:
    tree = launch.tree
    return tree is not None and (path == tree.path or path.startswith(f"{tree.path}/"))


def _resolved(places: Iterable[Place]) -> list[str]:
    return [name for name in (found.names[-1] for found in places) if isinstance(name, str)]


def _unique(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(sorted(set(places), key=lambda place: (place.names, place.seen)))
