"""From a profile to what bubblewrap must show: the same host paths, read-only, writable or not at all, and what a
program of Linux needs besides, which is named here and nowhere else."""

import os
from typing import NamedTuple

from seatbelt import Profile, Target

MERGED_USR = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Directories of a Mac that are links to those of /usr here: a rule about one is about the other."""

LINUX_NEEDS = (
    # What dyld and its cache are there: the loader, its cache, and the libraries of the distribution.
    "/lib64",
    "/usr/lib64",
    "/etc/ld.so.cache",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
)
"""Shown read-only whatever the profile says; /proc (of the sandbox's own processes) comes on top."""

LINKS_OF_DISTRIBUTIONS = ("/bin/sh", "/usr/bin/env", "/usr/bin/perl", "/usr/bin/python3")
"""Programs of a Mac that are links here: what they lead to is shown where the profile shows them."""

READ, WRITE, EXECUTE = "file-read-data", ("file-write-data", "file-write-create", "file-write-unlink"), "process-exec"
_NOBODY_S = "\x01a name that no rule has"


class UnenforceableError(Exception):
    """A rule that nothing of Linux can be told of."""


class State(NamedTuple):
    """What may be done with a path."""

    read: bool
    write: bool


class Point(NamedTuple):
    """A path that rules name: what may be done with it and, where it is a directory, with what is below it."""

    path: str
    own: State
    below: State


def allows(profile: Profile, operation: str, path: str) -> bool:
    """Whether it is certain that the profile allows it."""
    return profile.decide(operation, Target(path=path)).action == "allow"


def ancestors(path: str) -> list[str]:
    """Below the root, the outermost first."""
    found = []
    while (path := os.path.dirname(path)) != "/":
        found.append(path)
    return found[::-1]


def state(profile: Profile, path: str) -> State:
    write = all(allows(profile, operation, path) for operation in WRITE)
    return State(allows(profile, READ, path), write)


def points(profile: Profile) -> list[Point]:
    """All paths that rules of files name, parents first."""
    named = set()
    for rule in profile.rules:
        if any(operation.startswith(("file", "default")) for operation in rule.operations):
            for kind, path in (named_path for one in rule.filters for named_path in one.paths):
                named |= (
                    {path} if kind in ("literal", "path", "path-literal", "subpath") else _among_devices(kind, path)
                )
    return [
        Point(path, state(profile, path), state(profile, f"{path.rstrip('/')}/{_NOBODY_S}"))
        for path in sorted(named, key=lambda path: path.split("/"))
    ]


def _among_devices(kind: str, text: str) -> set[str]:
    """A pattern is enforced where it is about devices: they can be counted."""
    if "/dev/" not in text and kind != "path-ancestors":
        raise UnenforceableError(f"({kind} {text!r}) is about more than can be mounted")
    return {f"/dev/{name}" for name in os.listdir("/dev")} if "/dev/" in text else set()


def operations(profile: Profile, cwd: str = "/") -> list[str]:
    """The words of bubblewrap's command line that show what the profile allows, and no more.

    `cwd` is there even where it may not be read: on a Mac it is inherited, not opened.
    """
    if profile.default == "allow":
        if profile.rules:
            raise UnenforceableError("rules after (allow default)")
        return ["--dev-bind", "/", "/"]
    made = _Mounts(profile)
    made.above(os.path.join(cwd, "."))
    for path in LINUX_NEEDS:
        made.show(path)
    made.words += ["--proc", "/proc"]
    for point in points(profile):
        made.point(point)
    for path in (*made.empty, "/"):  # last of all, as long as places are made in them
        made.words += ["--remount-ro", path]
    return made.words


class _Mounts:
    """The words so far, and what they show: a path and what may be done below it."""

    def __init__(self, profile: Profile) -> None:
        self.words: list[str] = []
        self.empty: list[str] = []
        self._shown: dict[str, State] = {"/": State(read=False, write=False)}
        self._links: set[str] = set()
        self._made: set[str] = set()
        self._profile = profile
        for path in MERGED_USR:
            if os.path.islink(path):
                self.words += ["--symlink", os.readlink(path), path]
                self._links.add(path)

    def above(self, path: str) -> None:
        """The directories above can be passed, and listed only where the profile says so."""
        for name in ancestors(path):
            if name not in {*self._made, *self._links, *self._shown} and self._above(name) == self._shown["/"]:
                self._made.add(name)
                mode = "0755" if allows(self._profile, READ, name) else "0111"
                self.words += ["--perms", mode, "--dir", name]

    def show(self, path: str) -> None:
        """Read-only, as it stands here."""
        path = _merged(path)
        if os.path.lexists(path) and not self._above(path).read:
            self._mount("--ro-bind", os.path.realpath(path), path, State(read=True, write=False))

    def point(self, point: Point) -> None:
        path = _merged(point.path)
        if path == "/":
            if point.below != State(read=False, write=False):
                raise UnenforceableError("the whole root is allowed")
            return
        if path.startswith("/proc"):
            return
        if os.path.islink(path):
            self._link(point, path)
        elif os.path.realpath(os.path.dirname(path)) != os.path.dirname(path):
            return  # a Mac's kernel resolves links first, and this rule never matches
        elif path.startswith("/dev/") and point.own.read:
            self._device(path)
        elif os.path.isdir(path):
            self._directory(point, path)
        else:
            self._file(point, path)

    def _above(self, path: str) -> State:
        while path not in self._shown:
            path = os.path.dirname(path)
        return self._shown[path]

    def _mount(self, option: str, source: str, path: str, shown: State) -> None:
        self.above(path)
        self.words += [option, source, path]
        self._shown[path] = shown

    def _link(self, point: Point, path: str) -> None:
        if self._above(path).read or path in self._links:
            return
        self.above(path)
        self._links.add(path)
        self.words += ["--symlink", os.readlink(path), path]
        if path in map(_merged, LINKS_OF_DISTRIBUTIONS) and point.own.read:
            target = os.path.realpath(path)
            step = path
            while os.path.islink(step := os.path.normpath(os.path.join(os.path.dirname(step), os.readlink(step)))):
                self.above(step)
                self._links.add(step)
                self.words += ["--symlink", os.readlink(step), step]
            self.show(target)

    def _device(self, path: str) -> None:
        if path in ("/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"):
            return
        if os.path.exists(path) and not os.path.isdir(path):
            self._mount("--dev-bind", path, path, State(read=True, write=True))

    def _directory(self, point: Point, path: str) -> None:
        above = self._above(path)
        if point.below.read:
            if point.below != above:
                self._mount("--bind" if point.below.write else "--ro-bind", path, path, point.below)
        elif above.read:
            self.words += ["--perms", "0111", "--tmpfs", path]
            self.empty.append(path)
            self._shown[path] = point.below
        elif point.below.write:
            raise UnenforceableError(f"{path} may be written and not read")
        else:
            self.above(f"{path}/.")

    def _file(self, point: Point, path: str) -> None:
        above = self._above(path)
        if point.own == above:
            return
        if not os.path.exists(path):
            if point.own.write and not above.write:
                raise UnenforceableError(f"{path} may be made in a directory that may not be written to")
        elif point.own.read:
            self._mount("--bind" if point.own.write else "--ro-bind", path, path, point.own)
        elif above.read:
            self.words += ["--perms", "0000", "--ro-bind-data", str(_nothing()), path]


def _nothing() -> int:
    """A descriptor without content."""
    reading, writing = os.pipe()
    os.close(writing)
    os.set_inheritable(reading, True)
    return reading


def _merged(path: str) -> str:
    """The path as it stands here, where `/bin` is in `/usr`."""
    top = "/" + path.split("/")[1]
    return os.path.realpath(top) + path[len(top) :] if top in MERGED_USR and os.path.islink(top) else path
