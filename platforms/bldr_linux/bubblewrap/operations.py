"""The operations that build the new root, one function each, and the one loop that applies them in order."""

from __future__ import annotations

import errno
import os
import stat

from bldr_linux import syscalls
from bldr_linux.bubblewrap import descriptors
from bldr_linux.bubblewrap.failure import FatalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bldr_linux.bubblewrap.newroot import NewRoot
    from bldr_linux.bubblewrap.values import Operation

_NOSUID, _NODEV, _NOEXEC = syscalls.MOUNT_ATTR_NOSUID, syscalls.MOUNT_ATTR_NODEV, syscalls.MOUNT_ATTR_NOEXEC
_READ_ONLY = syscalls.MOUNT_ATTR_RDONLY | _NOSUID | _NODEV
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_COVERED = ("sys", "sysrq-trigger", "irq", "bus")


class Surroundings:
    """What the operations must know of the world outside."""

    def __init__(self, *, own_proc: bool, terminal: str | None) -> None:
        self.own_proc = own_proc
        self.terminal = terminal
        self.overlays = 0
        self.data_files = 0


def resolve(operations: tuple[Operation, ...], proc_fd: int) -> list[Operation]:
    """The same with real paths for sources, as long as the host's paths mean what the caller meant."""
    return [_resolved(operation, proc_fd) for operation in operations]


def _resolved(operation: Operation, proc_fd: int) -> Operation:
    changed = operation
    if operation.kind == "bind" and operation.source is not None:
        changed = operation.changed(source=_real_path(operation.source, proc_fd, missing_ok=operation.missing_ok))
    elif operation.layers:
        upper = tuple(_real_path(path, proc_fd) for path in operation.upper)
        layers = tuple(_real_path(path, proc_fd) for path in operation.layers)
        changed = operation.changed(upper=upper, layers=layers)
    return changed


def _real_path(path: str, proc_fd: int, *, missing_ok: bool = False) -> str:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if missing_ok and error.errno == errno.ENOENT:
            return path
        raise FatalError.of(f"Can't find source path {path}", error) from error
    try:
        return os.readlink(f"self/fd/{fd}", dir_fd=proc_fd)
    finally:
        os.close(fd)


def apply(operations: list[Operation], root: NewRoot, around: Surroundings) -> None:
    """Do them, in order."""
    for operation in operations:
        if operation.kind not in ("chmod", "hostname"):
            _make_parents(operation, root)
        _OPERATIONS[operation.kind](operation, root, around)
        root.release()


def _make_parents(operation: Operation, root: NewRoot) -> None:
    mode = 0o755
    # A file that the group or others cannot reach gets parents that they cannot enter.
    if not operation.perms & 0o070:
        mode &= ~0o050
    if not operation.perms & 0o007:
        mode &= ~0o005
    path = operation.destination
    try:
        root.make_parents(path, mode)
    except OSError as error:
        raise FatalError.of(f"Can't mkdir parents for {path}", error) from error


def _inside(path: str) -> str:
    """A destination as messages show it."""
    return "/newroot/" + path.lstrip("/")


def _ensure_directory(root: NewRoot, path: str, mode: int = 0o755) -> None:
    try:
        root.ensure_directory(path, mode)
    except OSError as error:
        raise FatalError.of(f"Can't mkdir {path}", error) from error


def _ensure_file(root: NewRoot, path: str) -> None:
    try:
        root.ensure_file(path, 0o444)
    except OSError as error:
        raise FatalError.of(f"Can't create file at {path}", error) from error


def _attach_clone(root: NewRoot, source_fd: int, shown: str, path: str, attributes: int) -> None:
    try:
        root.attach_clone(source_fd, path, attributes)
    except OSError as error:
        what = f"Can't bind mount {shown} on {_inside(path)}: Unable to mount source on destination"
        raise FatalError.of_mount(what, error) from error


def _bind(operation: Operation, root: NewRoot, _: Surroundings) -> None:
    path, source = operation.destination, operation.source or ""
    try:
        source_fd = root.source(source)
    except OSError as error:
        if operation.missing_ok and error.errno == errno.ENOENT:
            return
        raise FatalError.of(f"Can't get type of source {source}", error) from error
    found = os.fstat(source_fd)
    if operation.fd is not None:
        # The descriptor itself belongs to the host's mount namespace and cannot be mounted from here.
        try:
            meant = os.fstat(operation.fd)
        except OSError as error:
            raise FatalError.of(f"Can't stat fd {operation.fd}", error) from error
        if (found.st_dev, found.st_ino) != (meant.st_dev, meant.st_ino):
            raise FatalError("Race condition binding dirfd")
        descriptors.close(operation.fd)
    if stat.S_ISDIR(found.st_mode):
        _ensure_directory(root, path)
    else:
        _ensure_file(root, path)
    attributes = _READ_ONLY if operation.read_only else _NOSUID if operation.devices else _NOSUID | _NODEV
    _attach_clone(root, source_fd, "/oldroot/" + source.lstrip("/"), path, attributes)


def _bind_data(operation: Operation, root: NewRoot, around: Surroundings) -> None:
    path, fd = operation.destination, operation.fd
    assert fd is not None
    name = f"bindfile{around.data_files}"
    around.data_files += 1
    try:
        scratch = root.scratch(name)
    except OSError as error:
        raise FatalError.of(f"Can't create tmpfile for {path}", error) from error
    os.fchmod(scratch, operation.perms)
    _copy(fd, scratch, path)
    _ensure_file(root, path)
    attributes = _READ_ONLY if operation.read_only else _NOSUID | _NODEV
    _attach_clone(root, scratch, f"/{name}", path, attributes)
    root.forget(name)


def _file(operation: Operation, root: NewRoot, _: Surroundings) -> None:
    path, fd = operation.destination, operation.fd
    assert fd is not None
    try:
        destination = root.create(path, operation.perms)
    except OSError as error:
        raise FatalError.of(f"Can't create file {path}", error) from error
    _copy(fd, destination, path)


def _copy(source: int, destination: int, path: str) -> None:
    """All of a descriptor, which is then closed."""
    try:
        while content := os.read(source, 65536):
            while content:
                content = content[os.write(destination, content) :]
        os.close(source)
    except OSError as error:
        raise FatalError.of(f"Can't write data to file {path}", error) from error


def _remount_read_only(operation: Operation, root: NewRoot, _: Surroundings) -> None:
    path = operation.destination
    what = f"Can't remount readonly on {_inside(path)}"
    try:
        fd = root.open(path)
    except OSError as error:
        raise FatalError.of(f"{what}: realpath(destination)", error) from error
    try:
        syscalls.restrict_mount(fd, _READ_ONLY, recursive=False)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise FatalError(f'{what}: Unable to find "{_inside(path)}" in mount table') from error
        raise FatalError.of_mount(f'{what}: Unable to apply mount flags: remount "{_inside(path)}"', error) from error


def _attach_new(root: NewRoot, kind: str, path: str, options: dict[str, str | None], attributes: int) -> None:
    try:
        root.attach(syscalls.new_mount(kind, {"source": kind, **options}, attributes), path)
    except OSError as error:
        raise FatalError.of_mount(f"Can't mount {kind} on {_inside(path)}", error) from error


def _tmpfs(operation: Operation, root: NewRoot, _: Surroundings) -> None:
    _ensure_directory(root, operation.destination)
    options: dict[str, str | None] = {"mode": f"{operation.perms:o}"}
    if operation.size_bytes is not None:
        options["size"] = str(operation.size_bytes)
    _attach_new(root, "tmpfs", operation.destination, options, _NOSUID | _NODEV)


def _mqueue(operation: Operation, root: NewRoot, _: Surroundings) -> None:
    _ensure_directory(root, operation.destination)
    _attach_new(root, "mqueue", operation.destination, {}, 0)


def _proc(operation: Operation, root: NewRoot, around: Surroundings) -> None:
    path = operation.destination
    _ensure_directory(root, path)
    if around.own_proc:
        _attach_new(root, "proc", path, {}, _NOSUID | _NOEXEC | _NODEV)
    else:
        _attach_clone(root, root.source("/proc"), "oldroot/proc", path, _NOSUID | _NODEV)
    fd = root.open(path)
    for name in _COVERED:
        # Most are root's alone, and what cannot be written needs no cover.
        if os.access(name, os.W_OK, dir_fd=fd):
            covered = f"{path}/{name}"
            _attach_clone(root, root.open(covered), _inside(covered), covered, _READ_ONLY)


def _dev(operation: Operation, root: NewRoot, around: Surroundings) -> None:
    path = operation.destination
    _ensure_directory(root, path)
    _attach_new(root, "tmpfs", path, {"mode": "755"}, _NOSUID | _NODEV)
    directory = root.open(path)
    for name in _NODES:
        _device(root, f"/dev/{name}", path, name)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", name, dir_fd=directory)
    os.symlink("/proc/self/fd", "fd", dir_fd=directory)
    os.symlink("/proc/kcore", "core", dir_fd=directory)
    for name in ("shm", "pts"):
        os.mkdir(name, 0o755, dir_fd=directory)
    options = {"newinstance": None, "ptmxmode": "666", "mode": "620"}
    _attach_new(root, "devpts", f"{path}/pts", options, _NOSUID | _NOEXEC)
    os.symlink("pts/ptmx", "ptmx", dir_fd=directory)
    if around.terminal is not None:
        # The command can write to that terminal anyway, and ttyname(3) needs a name for it.
        _device(root, around.terminal, path, "console")


def _device(root: NewRoot, source: str, directory: str, name: str) -> None:
    path = f"{directory}/{name}"
    try:
        root.create(path, 0o444)
        source_fd = root.source(source)
    except OSError as error:
        raise FatalError.of(f"Can't create file {path}", error) from error
    _attach_clone(root, source_fd, f"/oldroot{source}", path, _NOSUID)


def _overlay(operation: Operation, root: NewRoot, around: Surroundings) -> None:
    path = operation.destination
    _ensure_directory(root, path)
    options = []
    if operation.kind == "overlay":
        upper, work = operation.upper
        options = [f"upperdir=/oldroot{_escaped(upper)}", f"workdir=/oldroot{_escaped(work)}"]
    elif operation.kind == "tmp-overlay":
        index = around.overlays
        around.overlays += 1
        options = [f"upperdir=/tmp-overlay-upper-{index}", f"workdir=/tmp-overlay-work-{index}"]
    lower = ":".join(f"/oldroot{_escaped(layer)}" for layer in operation.layers)
    data = ",".join([*options, f"lowerdir={lower}", "userxattr"])
    try:
        root.mount_by_path("overlay", path, data)
    except OSError as error:
        what = f"Can't make overlay mount on {_inside(path)} with options {data}"
        if error.errno == errno.ELOOP:
            raise FatalError(f"{what}: Overlay directories may not overlap") from error
        raise FatalError.of_mount(what, error) from error


def _escaped(path: str) -> str:
    """A path as overlayfs wants it among its options."""
    for character in ("\\", ",", ":"):
        path = path.replace(character, f"\\{character}")
    return path


def _directory(operation: Operation, root: NewRoot, _: Surroundings) -> None:
    _ensure_directory(root, operation.destination, operation.perms)


def _chmod(operation: Operation, root: NewRoot, _: Surroundings) -> None:
    path = operation.destination
    try:
        root.change_mode(path, operation.perms)
    except OSError as error:
        mode = f"{operation.perms:o}"
        raise FatalError.of(f"Can't chmod {mode if mode == '0' else '0' + mode} {path}", error) from error


def _symlink(operation: Operation, root: NewRoot, _: Surroundings) -> None:
    path, target = operation.destination, operation.source or ""
    what = f"Can't make symlink at {path}"
    parent, name = root.parent(path)
    try:
        os.symlink(target, name, dir_fd=parent)
    except FileExistsError:
        try:
            existing = os.readlink(name, dir_fd=parent)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise FatalError(f"{what}: destination exists and is not a symlink") from error
            raise FatalError.of(f"{what}: destination exists, and cannot read symlink target", error) from error
        if existing != target:
            raise FatalError(f"{what}: existing destination is {existing}") from None
    except OSError as error:
        raise FatalError.of(what, error) from error


def _hostname(operation: Operation, _: NewRoot, __: Surroundings) -> None:
    try:
        syscalls.set_hostname_only(operation.destination)
    except OSError as error:
        raise FatalError.of(f"Can't set hostname to {operation.destination}", error) from error


_OPERATIONS: dict[str, Callable[[Operation, NewRoot, Surroundings], None]] = {
    "bind": _bind,
    "bind-data": _bind_data,
    "chmod": _chmod,
    "dev": _dev,
    "dir": _directory,
    "file": _file,
    "hostname": _hostname,
    "mqueue": _mqueue,
    "overlay": _overlay,
    "proc": _proc,
    "remount-ro": _remount_read_only,
    "ro-overlay": _overlay,
    "symlink": _symlink,
    "tmp-overlay": _overlay,
    "tmpfs": _tmpfs,
}
