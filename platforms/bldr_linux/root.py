"""The sandbox's root directory while it is made: every destination is resolved with it as the root.

So no symbolic link, planted or swapped at any moment, leads set-up out of it: what is mounted on is reached by a
descriptor.
"""

from __future__ import annotations

import os
import stat

from bldr_linux import syscalls


class StepError(Exception):
    """One operation that could not be done: its name, the path it was about, and why."""

    def __init__(self, step: str, path: str, reason: str, errno: int = 0) -> None:
        super().__init__(step, path, reason, errno)
        self.step = step
        self.path = path
        self.reason = reason
        self.errno = errno

    @classmethod
    def of(cls, step: str, path: str, error: OSError) -> StepError:
        """The same from what the system said."""
        return cls(step, path, error.strerror or str(error), error.errno or 0)


class Root:
    """Owns the descriptors of the new root, of the host's root and of the directory of relative sources."""

    def __init__(self, fd: int, host_fd: int, base_fd: int) -> None:
        self.fd = fd
        self.host_fd = host_fd
        self.base_fd = base_fd
        self._parent_path = ""
        self._parent_fd = os.dup(fd)

    def close(self) -> None:
        """Let go of the host: pid 1 lives on."""
        for fd in (self.fd, self.host_fd, self.base_fd, self._parent_fd):
            os.close(fd)

    def open_source(self, source: str) -> int:
        start = self.host_fd if source.startswith("/") else self.base_fd
        try:
            return syscalls.open_in(start, source.lstrip("/") or ".", os.O_PATH)
        except OSError as error:
            raise StepError.of("source", source, error) from error

    def open(self, path: str) -> int:
        return syscalls.open_in(self.fd, path.lstrip("/") or ".", os.O_PATH)

    def parent(self, path: str) -> tuple[int, str]:
        """The directory that holds `path`, made where it is missing, and the name in it; kept until the next call."""
        directory, _, name = path.rpartition("/")
        if directory != self._parent_path:
            fd = self.directory(directory)
            os.close(self._parent_fd)
            self._parent_path, self._parent_fd = directory, fd
        return self._parent_fd, name

    def directory(self, path: str) -> int:
        """The directory at `path`, made where it is missing."""
        try:
            return self.open(path)
        except FileNotFoundError:
            parent, name = self.parent(path)
            try:
                os.mkdir(name, 0o755, dir_fd=parent)
            except FileExistsError:
                # A link that points to nothing: there is no directory to make behind it.
                raise StepError("directory", path, "a symbolic link to nothing is in its place") from None
            return self.open(path)

    def mount_point(self, path: str, *, directory: bool) -> int:
        """What stands at `path`, made where nothing does; it must be of the kind that is to be mounted."""
        try:
            fd = self.open(path)
        except FileNotFoundError:
            if directory:
                fd = self.directory(path)
            else:
                parent, name = self.parent(path)
                os.mknod(name, stat.S_IFREG | 0o444, dir_fd=parent)
                fd = syscalls.open_in(parent, name, os.O_PATH)
        if stat.S_ISDIR(os.fstat(fd).st_mode) != directory:
            os.close(fd)
            wanted, found = ("directory", "file") if directory else ("file", "directory")
            raise StepError("mount-point", path, f"a {wanted} is to be mounted, but a {found} is in its place")
        return fd

    def write(self, path: str, content: bytes, mode: int) -> None:
        """Make a file; whatever has its name already is an error."""
        parent, name = self.parent(path)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            while content:
                content = content[os.write(fd, content) :]
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def attach(self, mount_fd: int, path: str, *, directory: bool) -> None:
        """Mount a detached mount at `path`."""
        try:
            destination = self.mount_point(path, directory=directory)
            try:
                syscalls.move_mount(mount_fd, destination)
            finally:
                os.close(destination)
        finally:
            os.close(mount_fd)
        if path == self._parent_path:
            # What was opened before lies below the mount now.
            self._parent_path = "no such path"


def enter_root() -> Root:
    """Make an empty tmpfs the root directory; the host's root stays reachable by descriptor until it is detached."""
    try:
        syscalls.make_mounts_private()
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        host_fd = os.open("/", flags)
        base_fd = os.open(".", flags)
        mount_fd = syscalls.new_mount(
            "tmpfs",
            {"mode": "0755", "size": "64m", "nr_inodes": "65536"},
            syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV,
        )
        # Any directory would do, for a moment: this one exists everywhere.
        place = os.open("/proc", flags)
        syscalls.move_mount(mount_fd, place)
        os.close(place)
        os.fchdir(mount_fd)
        syscalls.pivot_root_here()
    except OSError as error:
        raise StepError.of("enter-root", "/", error) from error
    return Root(mount_fd, host_fd, base_fd)
