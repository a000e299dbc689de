"""From a launch to its permission: which host paths it may use, by all of their names."""

import os
import unicodedata
from collections.abc import Iterable

from bldr.api import Input, Launch, Output, SetupFailure, Temp
from bldr_macos.host import Host
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
        reads, files = [], list[Place]()
        for item in spec.inputs:
            source = item.source or item.path
            if own.holds(source):
                own.name(f"INPUT_{len(own.reads)}", source, writes=False)
            else:
                reads.append(self._place(source))
            if source != item.path:
                files += self._named_alike(item, source)
        writes = [
            self._place(output.source or output.path) for output in spec.outputs if not _in_tree(output.path, launch)
        ]
        permission = Permission(
            reads=_unique(reads),
            writes=_unique(writes),
            files=_unique(files),
            own_reads=tuple(own.reads),
            own_writes=tuple(own.writes),
            devices=_unique(map(self._place, spec.devices)),
            network=self._network(launch),
            user_directories=self._user_directories,
            protected=self._protected,
        )
        return permission, own.values

    def _place(self, path: str) -> Place:
        resolved = self._host.resolve(path)
        return Place(tuple(dict.fromkeys((path, resolved.path))), tuple(sorted(set(resolved.links) - {path})))

    def _named_alike(self, item: Input, source: str) -> tuple[Place, ...]:
        """The machine's own files of the names that those below `source` have in the sandbox: scripts and programs
        refer to each other, and to what runs them, by these."""
        if item not in self._counterparts:
            names = (f"{item.path}/{name}" if name else item.path for name in self._host.files_below(source))
            self._counterparts[item] = tuple(self._place(name) for name in names if self._host.is_file(name))
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

    def holds(self, path: str) -> bool:
        return any(path == top or path.startswith(f"{top}/") for top in self._tops)

    def name(self, name: str, path: str, *, writes: bool) -> None:
        """Make `path` a parameter, with whatever lies above it below the launcher's directory."""
        resolved = self._host.resolve(path).path
        names = {name: path} if resolved == path else {name: resolved, f"{name}_GIVEN": path}
        self.values.update(names)
        seen: dict[Path, None] = {}
        for value in names.values():
            for above in ancestors(value):
                if any(above.startswith(f"{root}/") for root in self._roots):
                    seen[self._above(above)] = None
                else:
                    seen[above] = None
        place = Place(tuple(Param(found) for found in names), tuple(seen))
        (self.writes if writes else self.reads).append(place)

    def _above(self, path: str) -> Param:
        if path not in self._params:
            self._params[path] = Param(f"ABOVE_{len(self._params)}")
            self.values[self._params[path].name] = path
        return self._params[path]


def refuse_clashes(paths: Iterable[str]) -> None:
    """Raises RefusedError where two of the paths are one on a volume that does not tell upper from lower case."""
    known: dict[str, str] = {}
    for path in sorted(set(paths)):
        folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
        other = known.setdefault(folded, path)
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


def _in_tree(path: str, launch: Launch) -> bool:
    tree = launch.tree
    return tree is not None and (path == tree.path or path.startswith(f"{tree.path}/"))


def _unique(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(sorted(set(places), key=lambda place: (place.names, place.seen)))
