"""The root directory of the sandbox while it is built.

A tmpfs, the base, becomes the process's root; `newroot` in it is what the command will see, and the host's old root
hangs at `oldroot`. Every destination is resolved by the kernel with the new root as its root directory and then used by
descriptor, so no symbolic link, whenever it was planted, leads out of it.
"""

from __future__ import annotations

import os
import stat

from bldr_linux import syscalls
from bldr_linux.bubblewrap.failure import FatalError

_PATH = os.O_PATH | os.O_CLOEXEC
_SAFE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV


class NewRoot:
    """Owns the descriptors of the base, of the new root and of the host's; those of one operation until `release`."""

    def __init__(self, base_fd: int, host_fd: int, proc_fd: int) -> None:
        self._base_fd = base_fd
        self._host_fd = host_fd
        self._proc_fd = proc_fd
        self._fd = os.open("newroot", _PATH, dir_fd=base_fd)
        self._held: list[int] = []

    def release(self) -> None:
        """Close what the operation opened."""
        for fd in self._held:
            os.close(fd)
        self._held.clear()

    def _hold(self, fd: int) -> int:
        self._held.append(fd)
        return fd

    def source(self, path: str) -> int:
        """A file or directory of the host."""
        return self._hold(syscalls.open_in(self._host_fd, path.lstrip("/") or ".", os.O_PATH))

    def open(self, path: str) -> int:
        """What stands at a destination."""
        return self._hold(syscalls.open_in(self._fd, path.lstrip("/") or ".", os.O_PATH))

    def create(self, path: str, mode: int) -> int:
        """Open a file for writing, empty, made where there is none."""
        return self._hold(syscalls.create_in(self._fd, path.lstrip("/"), os.O_WRONLY | os.O_TRUNC, mode))

    def scratch(self, name: str) -> int:
        """A new file outside the new root; `forget` takes its name away."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return self._hold(os.open(name, flags, 0o600, dir_fd=self._base_fd))

    def forget(self, name: str) -> None:
        os.unlink(name, dir_fd=self._base_fd)

    def parent(self, path: str) -> tuple[int, str]:
        """The directory that a destination stands in, and its name there."""
        directory, _, name = path.rstrip("/").rpartition("/")
        return self.open(directory), name or "."

    def make_parents(self, path: str, mode: int) -> None:
        """Make the missing directories above a destination."""
        directory = path.rstrip("/").rpartition("/")[0]
        try:
            self._check_directory(self.open(directory))
            return
        except FileNotFoundError:
            pass
        walked = ""
        for name in directory.split("/"):
            if name:
                self.ensure_directory(f"{walked}/{name}", mode)
                walked = f"{walked}/{name}"

    def ensure_directory(self, path: str, mode: int) -> None:
        """Make a directory where nothing stands; its parents are there."""
        try:
            self._check_directory(self.open(path))
        except FileNotFoundError:
            parent, name = self.parent(path)
            try:
                os.mkdir(name, mode, dir_fd=parent)
            except FileExistsError:
                return  # a link to nothing: whoever goes through it fails

    def ensure_file(self, path: str, mode: int) -> None:
        """Make an empty file where nothing stands."""
        try:
            if not stat.S_ISDIR(os.fstat(self.open(path)).st_mode):
                return
        except FileNotFoundError:
            pass
        self.create(path, mode)

    @staticmethod
    def _check_directory(fd: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise NotADirectoryError(20, "Not a directory")

    def attach(self, mount_fd: int, path: str) -> None:
        """Mount a detached mount on what stands at a destination."""
        syscalls.move_mount(self._hold(mount_fd), self.open(path))
        self._see_the_top()

    def attach_clone(self, source_fd: int, path: str, attributes: int) -> None:
        """Mount a host file or directory, with all that is mounted below it, at a destination."""
        mount_fd = self._hold(syscalls.clone_mounts(source_fd))
        syscalls.restrict_mount(mount_fd, attributes, recursive=True)
        syscalls.move_mount(mount_fd, self.open(path))
        self._see_the_top()

    def mount_by_path(self, kind: str, path: str, data: str) -> None:
        """mount(2) at a destination, for options that are paths: those start at the base."""
        os.fchdir(self.open(path))
        try:
            syscalls.mount(kind, ".", kind, 0, data)
        finally:
            os.fchdir(self._base_fd)
        self._see_the_top()

    def change_mode(self, path: str, mode: int) -> None:
        """chmod(2) of what stands at a destination."""
        os.chmod(f"self/fd/{self.open(path)}", mode, dir_fd=self._proc_fd)

    def _see_the_top(self) -> None:
        """What was mounted may cover the new root itself."""
        fd = os.open("newroot", _PATH, dir_fd=self._base_fd)
        os.close(self._fd)
        self._fd = fd

    def leave_the_host(self) -> None:
        """Make the new root the root directory, and the base and the host's root unreachable."""
        os.fchdir(self._base_fd)
        try:
            syscalls.unmount("oldroot", syscalls.MNT_DETACH)
        except OSError as error:
            raise FatalError.of("unmount old root", error) from error
        try:
            os.fchdir(self._fd)
            syscalls.pivot_root(".", ".")
            os.fchdir(self._base_fd)
            syscalls.unmount(".", syscalls.MNT_DETACH)
            os.chdir("/")
        except OSError as error:
            raise FatalError.of("pivot_root(/newroot)", error) from error
        for fd in (self._fd, self._base_fd, self._host_fd):
            os.close(fd)


def enter(proc_fd: int, overlays: int) -> NewRoot:
    """Cut this mount namespace off from the host's and make the base the root directory."""
    try:
        syscalls.mount("none", "/", None, syscalls.MS_SLAVE | syscalls.MS_REC, None)
    except OSError as error:
        raise FatalError.of_mount("Failed to make / slave", error) from error
    flags = _PATH | os.O_DIRECTORY
    host_fd = os.open("/", flags)
    try:
        base_fd = syscalls.new_mount("tmpfs", {"source": "tmpfs"}, _SAFE)
        # Any directory would do, for a moment: this one exists everywhere.
        place = os.open("/proc", flags)
        syscalls.move_mount(base_fd, place)
        os.close(place)
    except OSError as error:
        raise FatalError.of_mount("Failed to mount tmpfs", error) from error
    os.fchdir(base_fd)
    for name in ("newroot", "oldroot", *_overlay_directories(overlays)):
        os.mkdir(name, 0o755)
    try:
        # A mount of its own, which can become the root directory.
        directory = os.open("newroot", flags)
        mount_fd = syscalls.clone_mounts(directory)
        syscalls.move_mount(mount_fd, directory)
        os.close(mount_fd)
        os.close(directory)
    except OSError as error:
        raise FatalError.of_mount("setting up newroot bind", error) from error
    try:
        syscalls.pivot_root(".", "oldroot")
    except OSError as error:
        raise FatalError.of("pivot_root", error) from error
    return NewRoot(base_fd, host_fd, proc_fd)


def _overlay_directories(count: int) -> list[str]:
    return [f"tmp-overlay-{use}-{index}" for index in range(count) for use in ("upper", "work")]
