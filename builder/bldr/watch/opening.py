"""Begins to watch a workspace in the way that fits it, and finds out what it says of itself beforehand."""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bldr.load.syntax import BUILDERFILE
from bldr.watch.inotify import WatchLimitError
from bldr.watch.tree import Tree

if TYPE_CHECKING:
    from bldr.watch.portable import PortableTree

_STALE_LOCK_S = 30.0


def open_source(root: str, warn: Callable[[str, str], None], *, polled: bool) -> "Tree | PortableTree":
    """What tells of changes below `root`. Raises FileNotFoundError where there is no such directory."""
    ignored = read_ignored(root)
    if not polled and hasattr(os, "O_PATH"):  # Linux
        try:
            return Tree(root, ignored)
        except WatchLimitError as error:
            reason = (error.strerror or "").lower()
            hint = "raise fs.inotify.max_user_watches and max_user_instances by sysctl; until then files are polled"
            warn(f"this user may watch no more directories: {reason}", hint)
            polled = True
    from bldr.watch.portable import PortableTree

    return PortableTree(root, ignored, polled=polled)


def read_ignored(root: str) -> tuple[str, ...]:
    """The directories that the workspace wants left alone; none while its Builderfile is broken."""
    import tomli

    try:
        with open(os.path.join(root, BUILDERFILE), "rb") as file:
            ignored = tomli.load(file)["workspace"].get("ignore", ())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(path.removesuffix("/") for path in ignored if isinstance(path, str))


def find_git_lock(root: str) -> str:
    """The path of the file that is there while git changes the files of the workspace, or ""."""
    at = root
    while True:
        git = os.path.join(at, ".git")
        if os.path.isdir(git):
            return os.path.join(git, "index.lock")
        if os.path.isfile(git):  # a worktree of another repository, or a submodule
            try:
                with open(git, encoding="utf-8", errors="surrogateescape") as file:
                    said = file.read(4096)
            except OSError:
                return ""
            directory = said.removeprefix("gitdir: ").strip()
            return os.path.join(at, directory, "index.lock") if said.startswith("gitdir: ") else ""
        above = os.path.dirname(at)
        if above == at:
            return ""
        at = above


def is_locked(lock: str) -> bool:
    """Whether git holds this lock, and did not leave it behind."""
    if not lock:
        return False
    try:
        return time.time() - os.lstat(lock).st_mtime < _STALE_LOCK_S
    except OSError:
        return False
