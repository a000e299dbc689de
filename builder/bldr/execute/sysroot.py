"""Sysroots: immutable copies of what host toolchains consist of, staged once and shared by all actions.

A host file that is upgraded in the middle of a build changes nothing: the copy was made when the toolchain's identity
was taken. One sysroot holds all toolchains that an action names, so that it is mounted in one step.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bldr.api.spec import Input, Link
from bldr.api.toolchains import Toolchain
from bldr.execute.sources import signature
from bldr.store.digest import Digest, record_checksum
from bldr.store.errors import BlobMissing, storage_error
from bldr.store.store import Store
from bldr.store.trees import touch
from bldr.system import os

_LAYOUT = "1"
"""Version of the way a sysroot is laid out: raised when the same toolchains must be staged anew."""

_SHARED = "etc"
"""The directory in which both toolchains (the settings of a virtual machine) and every sandbox have files."""

_TOP_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


class Sysroot(NamedTuple):
    """What to mount for a set of toolchains."""

    inputs: tuple[Input, ...]
    links: tuple[Link, ...]


class _Staged(msgspec.Struct, frozen=True, array_like=True):
    """A sysroot on disk: its directory, and (path, hash, size, executable) of every file in it."""

    directory: str
    files: list[tuple[str, str, int, bool]]


class Sysroots:
    """Stages sysroots below the store and remembers them. One whose files are not what they were is staged anew, under
    another name: another process may be using the old one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parent = os.path.join(store.root, "sysroots")
        self._staged: dict[tuple[str, ...], Sysroot] = {}
        self._links = tuple(Link(path, os.readlink(path)) for path in _TOP_LINKS if os.path.islink(path))

    def stage(self, toolchains: Sequence[Toolchain]) -> Sysroot:
        """The sysroot of these toolchains; made where it is not there yet. Raises CacheError."""
        wanted = tuple(sorted(f"{toolchain.name} {toolchain.identity}" for toolchain in toolchains))
        if wanted not in self._staged:
            staged = [toolchain for toolchain in toolchains if not is_shown_in_place(toolchain)]
            parts = tuple(sorted(f"{toolchain.name} {toolchain.identity}" for toolchain in staged))
            made = self._sysroot(self._find(parts) or self._made(parts, staged), staged)
            places = [place for toolchain in toolchains if toolchain not in staged for place in in_place(toolchain)]
            self._staged[wanted] = made._replace(inputs=(*made.inputs, *places))
        return self._staged[wanted]

    def _sysroot(self, tree: str, toolchains: Sequence[Toolchain]) -> Sysroot:
        tops = set(os.listdir(tree))
        if _SHARED in tops:  # every sandbox has files of its own there
            tops.remove(_SHARED)
            tops.update(f"{_SHARED}/{name}" for name in os.listdir(os.path.join(tree, _SHARED)))
        inputs = [Input(f"/{top}", os.path.join(tree, top)) for top in sorted(tops)]
        inputs += [Input(place, host) for toolchain in toolchains for place, host in toolchain.trees]
        roots = {root for toolchain in toolchains for root in toolchain.roots}
        return Sysroot((*inputs, *(Input(root) for root in sorted(roots))), self._links)

    def _find(self, wanted: tuple[str, ...]) -> str | None:
        """The sysroot that an earlier build staged, if every file in it is still what it was."""
        remembered = self._store.memo.get(_memo_key(wanted))
        if remembered is None:
            return None
        staged = msgspec.msgpack.decode(remembered, type=_Staged)
        tree = os.path.join(self._parent, staged.directory)
        seen_key = f"{_memo_key(wanted)}/seen"
        try:
            if self._store.memo.get(seen_key) == _seen(tree, staged):
                touch(tree)
                return tree
            for path, digest, size_bytes, executable in staged.files:
                blob = os.stat(self._store.blobs.path(Digest(digest, size_bytes), executable))
                if os.lstat(tree + path).st_ino != blob.st_ino:
                    return None
            self._store.memo.put(seen_key, _seen(tree, staged))
            touch(tree)
        except (OSError, BlobMissing):
            return None
        return tree

    def _made(self, wanted: tuple[str, ...], toolchains: Sequence[Toolchain]) -> str:
        try:
            return self._stage(wanted, toolchains)
        except OSError as error:
            raise storage_error("stage toolchains in", self._parent, error) from error

    def _stage(self, wanted: tuple[str, ...], toolchains: Sequence[Toolchain]) -> str:
        import shutil  # both are dear, and few builds stage anything
        import tempfile

        os.makedirs(self._parent, 0o755, exist_ok=True)
        building = tempfile.mkdtemp(prefix=".building-", dir=self._parent)
        tree = os.path.join(self._parent, os.path.basename(building).removeprefix(".building-"))
        files: list[tuple[str, str, int, bool]] = []
        try:
            os.chmod(building, 0o755)  # mkdtemp gives 0700; the sandbox's user must get in
            for toolchain in toolchains:
                self._fill(building, toolchain, files)
            os.rename(building, tree)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        remembered = msgspec.msgpack.encode(_Staged(os.path.basename(tree), files))
        self._store.memo.put(_memo_key(wanted), remembered)
        return tree

    def _fill(self, building: str, toolchain: Toolchain, files: list[tuple[str, str, int, bool]]) -> None:
        for path in sorted({*toolchain.files, *_staged_programs(toolchain)}):
            place = _place(building, path)
            if not os.path.lexists(place):  # two toolchains may share the file
                digest = self._store.blobs.put_file(path)
                executable = os.access(path, os.X_OK)
                self._store.blobs.link(digest, executable, place)
                files.append((place.removeprefix(building), digest.hash, digest.size_bytes, executable))
        for path, target in toolchain.links:
            place = _place(building, path)
            if not os.path.lexists(place):
                os.symlink(target, place)
        for root in toolchain.roots:
            os.makedirs(_place(building, root), exist_ok=True)
        for place, _ in toolchain.trees:
            os.makedirs(building + place, exist_ok=True)
        commands = os.path.join(building, "toolchain", toolchain.name, "bin")
        os.makedirs(commands, exist_ok=True)
        for command, path in toolchain.executables.items():
            os.symlink(path, os.path.join(commands, command))


def is_shown_in_place(toolchain: Toolchain) -> bool:
    """Whether its paths are none of a sandbox's tree, but those of drives: nothing there could stand for them."""
    return any(os.path.splitdrive(path)[0] for path in (*toolchain.executables.values(), *toolchain.roots))


def in_place(toolchain: Toolchain) -> tuple[Input, ...]:
    """What stands for the commands of such a toolchain: each of them, and the directory of the first for all."""
    commands = f"/toolchain/{toolchain.name}/bin"
    inputs = [Input(f"{commands}/{command}", path) for command, path in toolchain.executables.items()]
    if inputs:
        inputs.append(Input(commands, os.path.dirname(inputs[0].source)))
    return (*inputs, *(Input(place, host) for place, host in toolchain.trees))


def _staged_programs(toolchain: Toolchain) -> list[str]:
    """The programs that are copied: those of the host, and none that a tree shows."""
    places = tuple(f"{place}/" for place, _ in toolchain.trees)
    return [path for path in toolchain.executables.values() if not path.startswith(places)]


def _seen(tree: str, staged: _Staged) -> bytes:
    """What proves later by a stat of every file that none of them has changed. Raises OSError.

    The change time is among it, which nobody can set, and which every use of a blob sets anew: then they are read once
    more. What a power failure tore has lost no time of its own, so that a proof holds until the next start of the
    machine.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            started = file.read()
    except OSError:
        started = os.urandom(16)  # who cannot tell has no proof
    return record_checksum(started, *(signature(os.lstat(tree + path)) for path, _, _, _ in staged.files))


def _memo_key(wanted: tuple[str, ...]) -> str:
    return f"sysroot/{hashlib.sha256(chr(0).join((_LAYOUT, *wanted)).encode()).hexdigest()}"


def _place(building: str, path: str) -> str:
    """Where a host path stands in the sysroot; its directory is made. Links among its parents are resolved as on the
    host, so that `/lib64/ld.so` of a merged-usr system stands in `/usr/lib64`."""
    parent, name = os.path.split(path)
    directory = building + os.path.realpath(parent)
    os.makedirs(directory, exist_ok=True)
    return os.path.join(directory, name)
