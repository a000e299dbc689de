"""Collection: takes what an action was declared to make out of the layer that it wrote, and checks the rest.

It runs when every process of the action is dead, so that nothing moves under its feet; still no link that the action
made is followed, and paths are walked component by component.
"""

import posixpath
import stat
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from bldr.api.actions import Artifact
from bldr.api.errors import CacheError
from bldr.execute.walk import walk
from bldr.graph.actions import ActionNode
from bldr.plan.entries import Entry
from bldr.printable import escaped
from bldr.store.blobs import Hashed
from bldr.store.store import Store
from bldr.system import os

_MOST_NAMED = 5
_PATH_BYTES = 2048  # of an output in its tree: PATH_MAX leaves as much to the places where trees stand
DEPFILE_BYTES = 64 << 20
"""Largest depfile that is read: compilers write kilobytes."""


class ViolationError(Exception):
    """The action did not keep to what was declared; `hint` says which line to change."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Collected(msgspec.Struct, frozen=True):
    """The entries of all declared outputs, sorted, and the depfile's text ("" where there is none)."""

    outputs: tuple[Entry, ...]
    depfile: str


Layout = Literal["overlay", "copy", "direct", "as staged"]
"""Of a tree after its action: as a platform's `tree_layout`, or shown to the action itself, and then known to be as it
was staged but for what was added, or not."""


class Collector:
    """Takes the outputs of one action."""

    def __init__(
        self,
        store: Store,
        node: ActionNode,
        inputs: Sequence[Entry],
        upper: str,
        layout: Layout,
        is_untouched: Callable[[str, os.stat_result], bool] = lambda _path, _status: False,
        hashed: Hashed | None = None,
    ) -> None:
        """`is_untouched` knows files of which a stat proves that they are as they were staged, `hashed` some digests of
        outputs."""
        self._store = store
        self._node = node
        self._inputs = {entry.path: entry for entry in inputs}
        self._upper = upper
        self._layout = layout
        self._is_untouched = is_untouched
        self._hashed: Hashed = hashed or {}

    def collect(self) -> Collected:
        """Raises ViolationError for a changed input, a missing output, or one that is not what an output may be."""
        if self._layout != "as staged":
            self._open_up(self._upper)
            self._check_inputs()
        depfile = self._read_depfile()
        outputs: list[Entry] = []
        missing: list[str] = []
        for artifact in self._node.action.outputs:
            status = self._lstat(artifact.path)
            if status is None or self._is_whiteout(status):
                if artifact.path not in self._node.optional_outputs and artifact.path != self._node.action.depfile:
                    missing.append(artifact.path)
            elif artifact.path != self._node.action.depfile:
                outputs.extend(self._take(artifact, status))
        if missing:
            raise ViolationError(
                f"the command succeeded but did not make {_names(missing)}",
                self._instead() or "write it below the working directory, at exactly this path",
            )
        return Collected(tuple(sorted(outputs)), depfile)

    def collect_optional(self) -> tuple[Entry, ...]:
        """What a failed test left of its report and its undeclared outputs; what is wrong with them is passed over."""
        self._open_up(self._upper)
        found: list[Entry] = []
        for artifact in self._node.action.outputs:
            status = self._lstat(artifact.path) if artifact.path in self._node.optional_outputs else None
            if status is not None and not self._is_whiteout(status):
                try:
                    found.extend(self._take(artifact, status))
                except (ViolationError, CacheError):
                    continue
        return tuple(sorted(found))

    # Inputs

    def _check_inputs(self) -> None:
        changed = self._changed_in_overlay("") if self._layout == "overlay" else self._changed_in_copy()
        if changed:
            raise ViolationError(
                f"the action changed its own inputs: {_names(sorted(changed))}",
                "inputs are read-only: copy the file to an output of another name and change the copy",
            )

    def _changed_in_copy(self) -> list[str]:
        changed = []
        for path, entry in self._inputs.items():
            status = self._lstat(path)
            if status is None or (not self._is_untouched(path, status) and self._differs(path, entry, status)):
                changed.append(path)
        return changed

    def _changed_in_overlay(self, start: str) -> list[str]:
        """Inputs that the upper layer covers: by another file, by a white-out, or by a directory that hides them."""
        changed: list[str] = []
        waiting = [start]
        parents = {parent for path in self._inputs for parent in _parents(path)}
        while waiting:
            directory = waiting.pop()
            self._open_up(self._host(directory))
            with os.scandir(self._host(directory)) as found:
                for item in found:
                    path = f"{directory}/{item.name}" if directory else item.name
                    status = item.stat(follow_symlinks=False)
                    if path in self._inputs:
                        if self._differs(path, self._inputs[path], status):
                            changed.append(path)
                    elif path in parents:
                        if not stat.S_ISDIR(status.st_mode) or _is_opaque(item.path):
                            changed.extend(self._hidden(path))
                        else:
                            waiting.append(path)
        return changed

    def _hidden(self, directory: str) -> list[str]:
        """The inputs below `directory` that are not to be seen any more."""
        below = [path for path in self._inputs if path.startswith(directory + "/")]
        return [
            path
            for path in below
            if (status := self._lstat(path)) is None or self._differs(path, self._inputs[path], status)
        ]

    def _differs(self, path: str, entry: Entry, status: os.stat_result) -> bool:
        if not entry.hash:
            if entry.link:
                return not stat.S_ISLNK(status.st_mode) or os.readlink(self._host(path)) != entry.link
            return not stat.S_ISDIR(status.st_mode)
        if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size_bytes:
            return True
        self._open_up(self._host(path))
        return self._store.blobs.put_file(self._host(path)).hash != entry.hash

    # Outputs

    def _take(self, artifact: Artifact, status: os.stat_result) -> list[Entry]:
        if artifact.is_directory:
            if not stat.S_ISDIR(status.st_mode):
                raise ViolationError(f'the output "{artifact.path}/" is a {_kind(status)}, not a directory')
            return self._take_directory(artifact.path)
        if stat.S_ISDIR(status.st_mode):
            raise ViolationError(
                f'the output "{artifact.path}" is a directory, not a file',
                f'declare the directory with a trailing slash: "{posixpath.basename(artifact.path)}/"',
            )
        return [self._take_one(artifact.path, status)]

    def _take_one(self, path: str, status: os.stat_result) -> Entry:
        if stat.S_ISLNK(status.st_mode):
            return Entry(path, link=self._checked_link(path))
        if not stat.S_ISREG(status.st_mode):
            raise ViolationError(
                f'the output "{_shown(path)}" is a {_kind(status)}', "outputs are regular files, directories or links"
            )
        host = self._host(path)
        # A hard link to somewhere else in the layer shares the inode: only the sole name may be taken over.
        sole = self._layout != "copy" and status.st_nlink == 1
        if not sole:
            self._open_up(host)
        digest = self._store.blobs.take_file(host, hashed=self._hashed) if sole else self._store.blobs.put_file(host)
        return Entry(path, digest.hash, digest.size_bytes, bool(status.st_mode & 0o111))

    def _take_directory(self, root: str) -> list[Entry]:
        found: list[Entry] = []
        waiting = [root]
        while waiting:
            directory = waiting.pop()
            self._open_up(self._host(directory))
            names = sorted(os.listdir(self._host(directory)))
            empty = True
            for name in names:
                path = f"{directory}/{name}"
                status = os.lstat(self._host(path))
                if self._is_whiteout(status):
                    continue
                empty = False
                _check_name(path)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
                else:
                    found.append(self._take_one(path, status))
            if empty:
                found.append(Entry(directory))
        return found

    def _checked_link(self, path: str) -> str:
        """The target of a link that cannot lead out of the tree, wherever the tree stands and whatever else is in it.

        That is so if `..` stands only at its beginning, and not more often than there are directories above the link:
        a name before `..` may be a link itself, and then `..` climbs from wherever that one leads.
        """
        target = os.readlink(self._host(path))
        names = [name for name in target.split("/") if name not in ("", ".")]
        climbs = next((index for index, name in enumerate(names) if name != ".."), len(names))
        hint = "make relative links inside the tree (ln -sr)"
        if target.startswith("/") or climbs > path.count("/"):
            raise ViolationError(f'the output "{_shown(path)}" is a link to "{_shown(target)}", outside the tree', hint)
        if ".." in names[climbs:]:
            raise ViolationError(
                f'the output "{_shown(path)}" is a link to "{_shown(target)}", with ".." after a name', hint
            )
        if not _is_text(target):
            raise ViolationError(
                f'the output "{_shown(path)}" is a link to "{_shown(target)}", which is not UTF-8',
                "give it another name",
            )
        return target

    def _is_whiteout(self, status: os.stat_result) -> bool:
        """Overlayfs marks a removed name by a character device 0:0 (kernel, filesystems/overlayfs); without an overlay
        that is a device like others."""
        return self._layout == "overlay" and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0

    # Paths

    def _host(self, path: str) -> str:
        return os.path.join(self._upper, path)

    def _lstat(self, path: str) -> os.stat_result | None:
        """Stat `path` without following any link: a directory of it that became a link is a missing output."""
        if self._layout == "as staged":  # its directories are there, since they were staged for it
            try:
                return os.lstat(self._host(path))
            except OSError:
                return None
        for parent in reversed(list(_parents(path))):
            try:
                status = os.lstat(self._host(parent))
            except OSError:
                return None
            if not stat.S_ISDIR(status.st_mode):
                return None
            self._open_up(self._host(parent), status)
        try:
            return os.lstat(self._host(path))
        except OSError:
            return None

    def _open_up(self, host: str, status: os.stat_result | None = None) -> None:
        """Give an ordinary user's permissions back that the action took from a file or directory of its own."""
        mode = (status or os.lstat(host)).st_mode
        if mode & 0o700 != 0o700 and (stat.S_ISDIR(mode) or not mode & 0o400):
            os.chmod(host, mode & 0o777 | (0o700 if stat.S_ISDIR(mode) else 0o400))

    def _read_depfile(self) -> str:
        depfile = self._node.action.depfile
        status = self._lstat(depfile) if depfile else None
        if status is None or not stat.S_ISREG(status.st_mode):
            return ""
        if status.st_size > DEPFILE_BYTES:
            raise ViolationError(f'the depfile "{depfile}" is larger than {DEPFILE_BYTES} bytes')
        self._open_up(self._host(depfile), status)
        with open(self._host(depfile), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    def _instead(self) -> str:
        """What the action made that nobody declared: most often the output under another name."""
        declared = {output.path for output in self._node.action.outputs}
        found = []
        for directory, _, names in walk(self._upper):
            for name in names:
                path = f"{directory}/{name}"[len(self._upper) + 1 :]
                if path not in declared and path not in self._inputs:
                    found.append(path)
        return f"it made {_names(sorted(found))} instead" if found else ""


def _parents(path: str) -> Sequence[str]:
    """All directories above `path`, the nearest first."""
    found = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found


def _check_name(path: str) -> None:
    if not _is_text(path):
        raise ViolationError(f'the output "{_shown(path)}" has a name that is not UTF-8', "give it another name")
    if len(path.encode()) > _PATH_BYTES:
        raise ViolationError(f'the output "{_shown(path[:80])}..." has a path longer than {_PATH_BYTES} bytes')


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8, so that it can stand in records and messages."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(name: str) -> str:
    return escaped(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _is_opaque(path: str) -> bool:
    """Overlayfs marks a directory that hides the one below by an attribute (`userxattr` puts it under `user.`)."""
    try:
        return os.getxattr(path, "user.overlay.opaque", follow_symlinks=False) in (b"y", b"x")
    except OSError:
        return False


def _kind(status: os.stat_result) -> str:
    kinds = {
        stat.S_IFREG: "regular file",
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "named pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "character device",
        stat.S_IFBLK: "block device",
    }
    return kinds[stat.S_IFMT(status.st_mode)]


def _names(paths: Sequence[str]) -> str:
    named = ", ".join(f'"{_shown(path)}"' for path in paths[:_MOST_NAMED])
    return named if len(paths) <= _MOST_NAMED else f"{named} and {len(paths) - _MOST_NAMED} more"
