"""Applies a plan's operations: builds the sandbox's root, then leaves the host's behind.

Runs as pid 1 of fresh namespaces with full capabilities over them. Every destination is resolved with the new root as
its root directory and mounted on by descriptor, so no symbolic link, planted or swapped at any moment, leads set-up
out of it.
"""

from __future__ import annotations

import errno
import os
import stat

from bldr_linux import syscalls
from bldr_linux.root import Root, StepError, enter_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bldr_linux.plan import Operation

_HIDDEN = ".bldr-cover"
_IS_KIND = {"character": stat.S_ISCHR, "block": stat.S_ISBLK}
_SAFE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
_ACCESS = {"ro": _SAFE | syscalls.MOUNT_ATTR_RDONLY, "rw": _SAFE}
_NODE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC | syscalls.MOUNT_ATTR_RDONLY
_KERNELS_VIEW = _SAFE | syscalls.MOUNT_ATTR_NOEXEC | syscalls.MOUNT_ATTR_RDONLY


def apply(operations: tuple[Operation, ...]) -> None:
    """Make `/` what the operations say. The current directory is the one that relative sources start from."""
    root = enter_root()
    apply_in(root, operations)
    try:
        os.fchdir(root.fd)
        syscalls.detach_old_root()
    except OSError as error:
        raise StepError.of("detach-old-root", "/", error) from error
    root.close()


def apply_in(root: Root, operations: tuple[Operation, ...]) -> None:
    """Do operations in a root that was entered before."""
    for name, path, *arguments in operations:
        try:
            _OPERATIONS[name](root, path, *arguments)
        except OSError as error:
            raise StepError.of(name, path, error) from error


def attach(root: Root, path: str, mount_fd: int, *, directory: bool) -> None:
    """Mount what was made elsewhere."""
    try:
        root.attach(mount_fd, path, directory=directory)
    except OSError as error:
        raise StepError.of("mount-point", path, error) from error


def _directory(root: Root, path: str) -> None:
    os.close(root.directory(path))


def _point(root: Root, path: str, of: str) -> None:
    try:
        os.close(root.mount_point(path, directory=True))
    except OSError as error:
        raise StepError.of(of, path, error) from error


def _bind(root: Root, path: str, source: str, access: str) -> None:
    mount_fd, is_directory = bound(root, source, access)
    root.attach(mount_fd, path, directory=is_directory)


def bound(root: Root, source: str, access: str) -> tuple[int, bool]:
    """A detached mount of something on the host, and whether that is a directory."""
    source_fd = root.open_source(source)
    try:
        mode = os.fstat(source_fd).st_mode
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise StepError("source", source, "neither a directory nor a regular file")
        mount_fd = syscalls.clone_mounts(source_fd)
    finally:
        os.close(source_fd)
    syscalls.restrict_mount(mount_fd, _ACCESS[access], recursive=True)
    return mount_fd, stat.S_ISDIR(mode)


def _device(root: Root, path: str, source: str, major: int, minor: int) -> None:
    root.attach(_open_node(root, source, "character", major, minor), path, directory=False)


def _named_device(root: Root, path: str, source: str, kind: str, major: int, minor: int) -> None:
    mount_fd = _open_node(root, source, kind, major, minor)
    # Not opened: that alone may rewind a tape or start a watchdog.
    entry = f"/proc/self/fd/{mount_fd}"
    if not os.access(entry, os.R_OK) and not os.access(entry, os.W_OK):
        raise StepError("device", source, os.strerror(errno.EACCES), errno.EACCES)
    root.attach(mount_fd, path, directory=False)


def _open_node(root: Root, source: str, kind: str, major: int, minor: int) -> int:
    source_fd = root.open_source(source)
    try:
        found = os.fstat(source_fd)
        if not _IS_KIND[kind](found.st_mode) or found.st_rdev != os.makedev(major, minor):
            raise StepError("device", source, f"not the {kind} device {major}:{minor}")
        mount_fd = syscalls.clone_mounts(source_fd)
    finally:
        os.close(source_fd)
    syscalls.restrict_mount(mount_fd, _NODE, recursive=True)
    return mount_fd


def _mask(root: Root, path: str, source: str, major: int, minor: int) -> None:
    try:
        destination = root.open(path)
    except FileNotFoundError:
        return
    mount_fd = _open_node(root, source, "character", major, minor)
    syscalls.move_mount(mount_fd, destination)
    os.close(mount_fd)
    os.close(destination)


def _tmpfs(root: Root, path: str, size_bytes: int, inodes: int, mode: int) -> None:
    options: dict[str, str | None] = {"size": str(size_bytes), "nr_inodes": str(inodes), "mode": f"{mode:o}"}
    root.attach(syscalls.new_mount("tmpfs", options, _SAFE), path, directory=True)


def _overlay(root: Root, path: str, lower: str, upper: str, work: str) -> None:
    root.attach(overlaid(root, lower, upper, work), path, directory=True)


def overlaid(root: Root, lower: str, upper: str, work: str) -> int:
    """A detached mount of an action's tree."""
    return _new_overlay([root.open_source(source) for source in (lower, upper, work)])


def _try_overlay(root: Root, path: str) -> None:
    fds = [root.directory(f"{path}.{part}") for part in ("lower", "upper", "work")]
    root.attach(_new_overlay(fds), path, directory=True)


def _new_overlay(fds: list[int]) -> int:
    # Descriptors, because a path in an overlay's option is bounded, and read with escapes of its own.
    paths = [f"/proc/self/fd/{fd}" for fd in fds]
    options: dict[str, str | None] = {
        "lowerdir": paths[0],
        "upperdir": paths[1],
        "workdir": paths[2],
        "userxattr": None,
        # Without it the kernel syncs the whole file system of `upper` at the end of every action.
        "volatile": None,
    }
    try:
        return syscalls.new_mount("overlay", options, _SAFE)
    finally:
        for fd in fds:
            os.close(fd)


def _link(root: Root, path: str, target: str) -> None:
    parent, name = root.parent(path)
    try:
        os.symlink(target, name, dir_fd=parent)
    except OSError:
        # In a read-only input the link that is wanted may stand already.
        if not _is_link_to(name, parent, target):
            raise


def _is_link_to(name: str, directory_fd: int, target: str) -> bool:
    try:
        return os.readlink(name, dir_fd=directory_fd) == target
    except OSError:
        return False


def _file(root: Root, path: str, content: bytes, mode: int) -> None:
    root.write(path, content, mode)


def _cover(root: Root, path: str, content: bytes, mode: int) -> None:
    root.write(f"/{_HIDDEN}", content, mode)
    source_fd = root.open(f"/{_HIDDEN}")
    mount_fd = syscalls.clone_mounts(source_fd)
    os.close(source_fd)
    syscalls.restrict_mount(mount_fd, _ACCESS["ro"], recursive=False)
    root.attach(mount_fd, path, directory=False)
    os.unlink(_HIDDEN, dir_fd=root.fd)


def _proc(root: Root, path: str) -> None:
    root.attach(new_proc(), path, directory=True)


def new_proc() -> int:
    """A detached mount of /proc, of this process's pid namespace. Another one must be in sight, the kernel wants it."""
    return syscalls.new_mount("proc", {}, _KERNELS_VIEW)


def _sysfs(root: Root, path: str) -> None:
    root.attach(syscalls.new_mount("sysfs", {}, _KERNELS_VIEW), path, directory=True)


def _bind_sysfs(root: Root, path: str, source: str) -> None:
    source_fd = root.open_source(source)
    mount_fd = syscalls.clone_mounts(source_fd)
    os.close(source_fd)
    syscalls.restrict_mount(mount_fd, _KERNELS_VIEW, recursive=True)
    root.attach(mount_fd, path, directory=True)


def _hide(root: Root, path: str) -> None:
    try:
        destination = root.open(path)
    except FileNotFoundError:
        return
    mount_fd = syscalls.new_mount("tmpfs", {"mode": "0555", "nr_inodes": "1"}, _KERNELS_VIEW)
    syscalls.move_mount(mount_fd, destination)
    os.close(mount_fd)
    os.close(destination)


def _pts(root: Root, path: str) -> None:
    options: dict[str, str | None] = {"mode": "0620", "ptmxmode": "0666"}
    attributes = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC
    root.attach(syscalls.new_mount("devpts", options, attributes), path, directory=True)


def _seal(root: Root, path: str) -> None:
    fd = root.open(path)
    syscalls.restrict_mount(fd, syscalls.MOUNT_ATTR_RDONLY, recursive=False)
    os.close(fd)


def _freeze(root: Root, path: str) -> None:
    _seal(root, path)
    syscalls.seal_file_system(root.fd)


_OPERATIONS: dict[str, Callable[..., None]] = {
    "dir": _directory,
    "point": _point,
    "bind": _bind,
    "device": _device,
    "node": _named_device,
    "mask": _mask,
    "tmpfs": _tmpfs,
    "overlay": _overlay,
    "try-overlay": _try_overlay,
    "link": _link,
    "file": _file,
    "cover": _cover,
    "proc": _proc,
    "sysfs": _sysfs,
    "bind-sysfs": _bind_sysfs,
    "hide": _hide,
    "pts": _pts,
    "seal": _seal,
    "freeze": _freeze,
}
