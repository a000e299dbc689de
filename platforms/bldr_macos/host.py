"""The edge: what is asked of the machine before a profile is made."""

import filecmp
import os
import subprocess
import tempfile
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple, Protocol

_MOST_LINKS = 40
_PATH_BYTES = 1024  # F_GETPATH takes no other size
_GETCONF = "/usr/bin/getconf"
_USER_DIRECTORIES = ("DARWIN_USER_TEMP_DIR", "DARWIN_USER_CACHE_DIR")


class Resolved(NamedTuple):
    """Where a path leads: to `path`, over `links`, each of them named as the kernel meets it."""

    path: str
    links: tuple[str, ...] = ()


class Host(Protocol):
    """What a permission depends on besides the launch."""

    def resolve(self, path: str) -> Resolved:
        """Follow all links, and spell names as the volume does; what is not there is taken as it is written."""

    def files_below(self, directory: str) -> Sequence[str]:
        """The files at and below `directory`, and links to files, as paths relative to it ("" for itself)."""

    def is_copy(self, path: str, source: str) -> bool:
        """Whether files stand at both that hold the same, links followed."""

    def user_directories(self) -> tuple[str, ...]:
        """The directories that the system gives each user for temporary files and caches."""


class RealHost:
    """This machine; see `Host`."""

    def resolve(self, path: str) -> Resolved:
        done, links = "", list[str]()
        left = [name for name in path.split("/") if name]
        while left:
            name = left.pop(0)
            if name in (".", ".."):
                done = done if name == "." else os.path.dirname(done).rstrip("/")
                continue
            at = f"{done}/{name}"
            try:
                target = os.readlink(at)
            except OSError:
                done = at
                continue
            links.append(at)
            if len(links) > _MOST_LINKS:
                raise OSError(62, "too many levels of symbolic links", path)
            left = [part for part in target.split("/") if part] + left
            done = "" if target.startswith("/") else done
        return Resolved(_spelled(done or "/"), tuple(links))

    def files_below(self, directory: str) -> Sequence[str]:
        if not os.path.isdir(directory):
            return ("",) if os.path.isfile(directory) else ()
        found = []
        for above, _, names in os.walk(directory):
            found += [os.path.join(above, name)[len(directory.rstrip("/")) + 1 :] for name in names]
        return sorted(found)

    def is_copy(self, path: str, source: str) -> bool:
        try:
            return os.path.isfile(path) and filecmp.cmp(source, path, shallow=False)
        except OSError:  # a link that leads nowhere, or what the user may not read
            return False

    def user_directories(self) -> tuple[str, ...]:
        found = set()
        for name in _USER_DIRECTORIES:
            try:
                ran = subprocess.run([_GETCONF, name], capture_output=True, text=True, timeout=10, check=False)
            except (OSError, subprocess.SubprocessError):
                continue
            path = ran.stdout.strip().rstrip("/")
            if ran.returncode == 0 and path.startswith("/"):
                found |= {path, self.resolve(path).path}
        return tuple(sorted(found))


def folded(path: str) -> str:
    """The same for all paths that are one where upper and lower case are not told apart."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _spelled(path: str) -> str:
    """As the volume spells what is there: so does the kernel, when it asks a profile."""
    import fcntl  # which only POSIX systems have

    get_path = getattr(fcntl, "F_GETPATH", None)
    there = path
    while get_path is not None and there != "/" and not there.startswith("/dev/"):
        try:
            descriptor = os.open(there, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_EVTONLY", 0))
        except OSError:
            there = os.path.dirname(there)
            continue
        try:
            found = os.fsdecode(fcntl.fcntl(descriptor, get_path, bytes(_PATH_BYTES)).rstrip(b"\0"))
        finally:
            os.close(descriptor)
        same = folded(found) == folded(there)  # it may be another name of the same file
        return found + path[len(there) :] if same else path
    return path


def is_case_insensitive(directory: str) -> bool:
    """Whether the volume takes two names for one that differ by case only; tried with a file of its own."""
    with tempfile.NamedTemporaryFile(prefix="bldr-Case-", dir=directory) as file:
        return os.path.exists(os.path.join(directory, os.path.basename(file.name).swapcase()))
