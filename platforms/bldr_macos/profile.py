"""From a permission to the text of its profile. Pure: everything about the host is in the permission.

Rules match the path that the kernel has resolved, and the last rule that matches wins. So what lies deeper comes later,
an input below an output is denied to writers again, and what nobody may do comes last of all.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from bldr_macos import system
from bldr_macos.sbpl import Form, Param, Path, Word, call, literal, print_profile, rules, subpath, unfiltered

Network = Literal["none", "host"] | tuple[str, ...]
"""Nothing, the machine's own, or these ports of its loopback ("*": any)."""

_WRITE = ("file-write*",)
_SHOW = (*system.READ, "file-map-executable", *system.RUN)


class Place(msgspec.Struct, frozen=True):
    """A path that was declared, with all below it, by every name that it has: as given, and resolved.

    `seen` are the links on the way there, and for a parameter the directories above it, which nobody could tell
    from its name.
    """

    names: tuple[Path, ...]
    seen: tuple[Path, ...] = ()


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile is made of. Equal permissions make equal profiles.

    `own_reads` and `own_writes` lie in directories of the launch alone and are parameters; `files` are single files,
    and `listed` directories of such; `protected` is nobody's to change, whatever else is said. `passages` lie in what
    is written and lead to what is not: who renames one of them gives what lies below it a name that no rule knows.
    """

    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    files: tuple[Place, ...] = ()
    listed: tuple[str, ...] = ()
    own_reads: tuple[Place, ...] = ()
    own_writes: tuple[Place, ...] = ()
    devices: tuple[Place, ...] = ()
    network: Network = "none"
    user_directories: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    passages: tuple[Path, ...] = ()


def make_profile(permission: Permission) -> str:
    """The profile's text. Raises NameRefusedError where a path cannot be in one."""
    return print_profile([call("version", Word("1")), unfiltered("deny", "default"), *_rules(permission)])


def ancestors(path: str) -> list[str]:
    """The directories above an absolute path, the root first."""
    found = []
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        found.append(path)
    return found[::-1]


def _rules(permission: Permission) -> Iterator[Form]:
    places = (*permission.reads, *permission.writes, *permission.files, *permission.devices)
    own = (*permission.own_reads, *permission.own_writes)
    seen = (above for path in permission.user_directories for above in (*ancestors(path)[1:], path))
    yield from system.system_rules(tuple(seen))
    yield from rules("allow", system.SEE, _literals(_above((*places, *own))))
    if permission.listed:
        yield from rules("allow", ("file-read-data",), [*map(literal, permission.listed)])
    if permission.network == "host":
        yield from system.network_rules()
    elif permission.network != "none":
        yield from system.loopback_rules(permission.network)
    yield from _place_rules(permission)
    yield from _own_rules(permission)
    yield from _last_rules(permission)


def _place_rules(permission: Permission) -> Iterator[Form]:
    """From the outermost to the innermost, so that what was declared last is what was declared nearest."""
    reads, writes = set(_names(permission.reads)), set(_names(permission.writes))
    files, devices = set(_names(permission.files)), set(_names(permission.devices))
    depth = _depths((*reads, *writes, *files, *devices))
    for level in sorted(set(depth.values())):
        here = {name for name, found in depth.items() if found == level}
        yield from _shown(reads & here, files & here, covered=level > 0)
        yield from _written(sorted(writes & here))
        if devices & here:
            yield from rules("allow", (*system.READ, "file-write-data", "file-ioctl"), _literals(devices & here))


def _shown(reads: set[str], files: set[str], *, covered: bool) -> Iterator[Form]:
    filters = [*map(subpath, sorted(reads)), *map(literal, sorted(files - reads))]
    if not filters:
        return
    yield from rules("allow", _SHOW, filters)
    if covered:
        yield from rules("deny", _WRITE, filters)


def _written(paths: Sequence[Path]) -> Iterator[Form]:
    """Directories of an action's own: it may write there, run what it wrote, and have sockets there."""
    if not paths:
        return
    filters = [subpath(path) for path in paths]
    yield from rules("allow", (*_SHOW, *_WRITE), filters)
    yield from rules("allow", ("network-outbound", "network-inbound", "network-bind"), filters)


def _own_rules(permission: Permission) -> Iterator[Form]:
    """Inputs come last, since one may lie in the tree. What the engine opens by its path when the action has ended
    stays what it is: a link in its place would lead the engine to files of the user's that no action may read."""
    shown = [subpath(name) for place in permission.own_reads for name in place.names]
    written = [name for place in permission.own_writes for name in place.names]
    yield from _written(written)
    if written:
        yield from rules("deny", ("file-write-create", "file-write-unlink"), [*map(literal, written)])
    if shown:
        yield from rules("allow", _SHOW, shown)
        yield from rules("deny", _WRITE, shown)


def _last_rules(permission: Permission) -> Iterator[Form]:
    """With filters all of them: sources differ on whether a rule without any gives way to one that has some."""
    everywhere = [subpath("/")]
    if permission.protected:
        yield from rules("deny", _WRITE, [*map(subpath, permission.protected)])
    made = set(_names(permission.writes))  # an output may be made, and its passages are there already
    yield from rules("deny", ("file-write-unlink",), _literals(permission.passages))
    yield from rules("deny", ("file-write-create",), _literals(set(permission.passages) - made))
    # Who writes to a second name of an input, in a directory of the action's own, writes to the input; and sources
    # differ on which of both names a rule for `file-link` is about.
    yield from rules("deny", ("file-link", "file-mknod", "file-write-setugid"), everywhere)
    # What is locked, or whose removal a list forbids, nobody removes when the action has ended.
    yield from rules("deny", ("file-write-flags", "file-write-acl"), everywhere)


def _above(places: Iterable[Place]) -> set[Path]:
    """All that must be seen for programs to find their way to the places."""
    found: set[Path] = set()
    for place in places:
        found.update(place.seen)
        for name in (*place.names, *place.seen):
            if isinstance(name, str):
                found.update(ancestors(name))
    return found


def _depths(names: Iterable[str]) -> dict[str, int]:
    """How many of the names lie above each of them."""
    known = set(names)
    return {name: sum(above in known for above in ancestors(name)) for name in known}


def _names(places: Iterable[Place]) -> Iterator[str]:
    for place in places:
        yield from (name for name in place.names if isinstance(name, str))


def _literals(paths: Iterable[Path]) -> list[Form]:
    return [literal(path) for path in sorted(paths, key=lambda path: (isinstance(path, Param), str(path)))]
