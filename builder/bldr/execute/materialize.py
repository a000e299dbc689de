"""Materialisation: copies of requested outputs under `bldr-out/`, for people; never links into the store."""

import contextlib
import stat
from collections.abc import Iterable, Iterator, Sequence

from bldr.api.actions import Artifact
from bldr.api.errors import BldrError, ExitCode
from bldr.execute.fresh import fill, small_contents, write_fresh
from bldr.execute.sources import signature
from bldr.execute.walk import walk
from bldr.graph.actions import LOCK_NAME, RESERVED_NAMES
from bldr.plan.entries import Entry
from bldr.printable import escaped
from bldr.store.digest import Digest
from bldr.store.removal import remove_tree
from bldr.store.states import FileState
from bldr.store.store import Store
from bldr.system import os

OUTPUT_DIRECTORY = "bldr-out"
_ASKED_AT_ONCE = 4096  # whose states are in memory together


class OutputError(BldrError):
    """An output cannot be written into the workspace."""

    exit_code = ExitCode.BUILD_FAILED


class Outputs:
    """The folder of outputs of one workspace and configuration. What is there with the right content is left alone."""

    def __init__(self, store: Store, workspace_root: str, directory: str = OUTPUT_DIRECTORY) -> None:
        self._store = store
        self._root = os.path.join(workspace_root, directory)
        self._real: set[str] = set()  # directories that are known to be there, reached through no link
        self._tops: dict[str, str] = {"": ""}

    def write(self, artifacts: Iterable[tuple[Artifact, Sequence[Entry]]]) -> None:
        """Bring every artifact's entries to their place below the folder. Raises OutputError."""
        self._real.clear()  # since the last time anybody may have removed anything
        self._tops = {"": ""}
        wanted = list(artifacts)
        entries = [entry for _, held in wanted for entry in held]
        for entry in entries:
            _check_place(entry.path)
        try:
            for artifact, held in wanted:
                if artifact.is_directory:
                    self._clear(artifact.path, {entry.path for entry in held})
            self._write(entries)
        except OSError as error:
            raise OutputError(
                f"cannot write {escaped(error.filename or self._root)}: {error.strerror}",
                "is the disk full, or read-only?",
            ) from error

    def path(self, tree_path: str) -> str:
        """Where an output stands, absolute."""
        return os.path.join(self._root, tree_path)

    def _write(self, entries: list[Entry]) -> None:
        self._make_directories(self._root)
        by_path = {entry.path: entry for entry in entries}
        paths = list(by_path)
        stale: list[Entry] = []
        for at in range(0, len(paths), _ASKED_AT_ONCE):
            stale += self._stale([by_path[path] for path in paths[at : at + _ASKED_AT_ONCE]])
        fresh: dict[str, list[Entry]] = {}
        changed: list[Entry] = []
        for entry in stale:
            top = self._missing(entry.path.rpartition("/")[0]) if entry.hash else ""
            (fresh.setdefault(top, []) if top else changed).append(entry)
        written: dict[str, FileState] = {}
        for top in fresh:
            if os.path.lexists(self.path(top)):
                os.unlink(self.path(top))  # a link, or a file, where a directory has to be
        if fresh:
            written.update(write_fresh(self._store.blobs, self._root, fresh))
        self._tops = {"": ""}
        contents = small_contents(self._store.blobs, changed)
        for entry in changed:
            place = self.path(entry.path)
            self._make_directories(os.path.dirname(place))
            self._make_way(place, _lstat(place), is_directory=not entry.hash and not entry.link)
            if entry.hash:
                self._replace(place, entry, contents)
                written[place] = (signature(os.lstat(place)), Digest(entry.hash, entry.size_bytes))
            elif entry.link:
                _replace_link(entry.link, place)
            else:
                os.makedirs(place, exist_ok=True)
        if written:
            self._store.files.put_many(written)

    def _stale(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that are not in their place as they were written there."""
        prefix = f"{self._root}/"
        known = self._store.files.get_many([prefix + entry.path for entry in entries])
        stale = []
        for entry in entries:
            path, place = entry.path, prefix + entry.path
            state = known.get(place)
            if not entry.hash or state is None or self._missing(path.rpartition("/")[0]):
                stale.append(entry)
                continue
            status = _lstat(place)
            if (
                status is None
                or state != (signature(status), (entry.hash, entry.size_bytes))
                or bool(status.st_mode & stat.S_IXUSR) != entry.executable
            ):
                stale.append(entry)
        return stale

    def _missing(self, directory: str) -> str:
        """The topmost directory at or above this one that is not there, as a path below the folder; "" for none.

        A link that stands in for a directory may lead anywhere: the directory is not there.
        """
        unknown = []
        above = directory
        while above not in self._tops:
            unknown.append(above)
            above = above.rpartition("/")[0]
        top = self._tops[above]
        for path in reversed(unknown):
            if not top:
                place = self.path(path)
                status = _lstat(place)
                if status is not None and stat.S_ISDIR(status.st_mode):
                    self._real.add(place)
                else:
                    top = path
            self._tops[path] = top
        return top

    def _replace(self, place: str, entry: Entry, contents: Iterator[bytes]) -> None:
        """Write beside and rename: somebody who reads the old output keeps it whole."""
        temporary = f"{place}.bldr-{os.getpid()}"
        target = _create(temporary, 0o755 if entry.executable else 0o644)
        try:
            try:
                fill(target, self._store.blobs, entry, contents)
            finally:
                os.close(target)
            os.rename(temporary, place)
        except BaseException:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            raise

    def _make_way(self, place: str, status: os.stat_result | None, *, is_directory: bool) -> None:
        """What stands at `place` in another shape goes."""
        if status is not None and stat.S_ISDIR(status.st_mode) and not is_directory:
            _remove(place)
            self._real.clear()
        elif status is not None and is_directory and not stat.S_ISDIR(status.st_mode):
            os.unlink(place)

    def _make_directories(self, directory: str) -> None:
        """Make a directory and those above it. A link that stands in for one may lead anywhere (a checkout can bring
        links along): it is replaced, not followed."""
        unknown = []
        while directory not in self._real and directory != self._root:
            unknown.append(directory)
            directory = os.path.dirname(directory)
        if directory not in self._real:
            os.makedirs(directory, exist_ok=True)
            _check_folder(directory)
            self._real.add(directory)
        for place in reversed(unknown):
            status = _lstat(place)
            if status is not None and not stat.S_ISDIR(status.st_mode):
                os.unlink(place)
                status = None
            if status is None:
                os.mkdir(place)
            self._real.add(place)

    def _clear(self, tree_path: str, keep: set[str]) -> None:
        """Remove what an output directory held before and holds no more."""
        top = self.path(tree_path)
        self._make_directories(os.path.dirname(top))
        if os.path.islink(top):
            return
        skipped = len(top) - len(tree_path)
        for directory, inside, names in reversed(list(walk(top))):
            for name in names:
                place = f"{directory}/{name}"
                if place[skipped:] not in keep:
                    os.unlink(place)
            for name in inside:
                place = f"{directory}/{name}"
                if place[skipped:] not in keep and not os.listdir(place):
                    os.rmdir(place)


def output_directory(configuration: str) -> str:
    """Where the outputs of a configuration go, below the workspace; those of the default one stand at the top."""
    return f"{OUTPUT_DIRECTORY}/.{configuration}" if configuration else OUTPUT_DIRECTORY


def memory_of(workspace_root: str, directory: str) -> str:
    """Under which name durations, records and explanations are kept: that of a workspace and of a configuration."""
    return workspace_root if directory == OUTPUT_DIRECTORY else f"{workspace_root}/{directory}"


def clean_outputs(workspace_root: str, configuration: str = "") -> None:
    """Remove everything in the folder of outputs but the lock, which the caller holds; of one configuration only what
    is its own."""
    root = os.path.join(workspace_root, OUTPUT_DIRECTORY)
    _check_folder(root)
    if configuration:
        if os.path.lexists(place := os.path.join(workspace_root, output_directory(configuration))):
            _remove(place)
        return
    for name in os.listdir(root):
        if name != LOCK_NAME:
            _remove(os.path.join(root, name))


def _check_folder(folder: str) -> None:
    """Refuse a link in place of the folder of outputs: what a checkout brings must not choose where we write."""
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise OutputError(f"{folder} is not a directory", "take it away: bldr makes it, and follows no link there")


def _check_place(path: str) -> None:
    """Refuse what collection cannot have found: a record from elsewhere names places as it likes."""
    if (
        "\0" in path
        or any(part in f"/{path}/" for part in ("//", "/./", "/../"))
        or (path.partition("/")[0].casefold() in RESERVED_NAMES)
    ):
        raise OutputError(
            f"{path!r} is no place for an output below {OUTPUT_DIRECTORY}", "remove the cache: its results were changed"
        )


def _create(temporary: str, mode: int) -> int:
    """A descriptor of a new file; what an earlier process left under its name, or somebody planted, goes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(temporary, flags, mode)
    except FileExistsError:
        os.unlink(temporary)
    return os.open(temporary, flags, mode)


def _replace_link(target: str, place: str) -> None:
    if os.path.islink(place) and os.readlink(place) == target:
        return
    temporary = f"{place}.bldr-{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, place)


def _remove(place: str) -> None:
    descriptor = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(descriptor, os.path.basename(place))
    finally:
        os.close(descriptor)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
