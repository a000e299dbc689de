"""The system calls that Python does not offer, by ctypes; every function raises OSError.

Sources: the manual pages of section 2, `include/uapi/linux/{mount,openat2,sched,prctl,capability}.h`. Loaded by the
launcher, so it imports only what is needed at every launch.
"""

from __future__ import annotations

import ctypes
import errno
import os

# PyDLL keeps the interpreter's lock: `clone` must come back in the child with the lock that it left with.
_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long] + [ctypes.c_void_p] * 6

MACHINE = os.uname().machine
_NUMBERS = {
    "x86_64": {
        "clone": 56,
        "pivot_root": 155,
        "capset": 126,
        "umount2": 166,
        "mount": 165,
        "seccomp": 317,
        "mq_unlink": 241,
        "shmctl": 31,
    },
    "aarch64": {
        "clone": 220,
        "pivot_root": 41,
        "capset": 91,
        "umount2": 39,
        "mount": 40,
        "seccomp": 277,
        "mq_unlink": 181,
        "shmctl": 195,
    },
}.get(MACHINE, {})
# Added after the numbers were made the same for all machines.
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _FSPICK = 428, 429, 430, 431, 432, 433
_CLONE3, _CLOSE_RANGE, _OPENAT2, _MOUNT_SETATTR = 435, 436, 437, 442
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_CLONE_PIDFD = 0x00001000
_CLONE_INTO_CGROUP = 0x200000000
_SIGCHLD = 17
_IPC_RMID = 0

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_REC = 0x4000
MNT_DETACH = 2

_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10
_RESOLVING_TRIES = 10_000
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE, _FSCONFIG_CMD_RECONFIGURE = 0, 1, 6, 7
_FSPICK_CLOEXEC_EMPTY_PATH = 0x1 | 0x8

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4
_SET_MODE_FILTER, _FILTER_FLAG_NEW_LISTENER = 1, 8


# Looked up and made once, by the launcher, and not again by every child.
_before_fork, _after_fork_in_parent, _after_fork_in_child = (
    ctypes.pythonapi.PyOS_BeforeFork,
    ctypes.pythonapi.PyOS_AfterFork_Parent,
    ctypes.pythonapi.PyOS_AfterFork_Child,
)
_OpenHow = ctypes.c_uint64 * 3
_MountAttributes = ctypes.c_uint64 * 4
_CloneArguments = ctypes.c_uint64 * 11
_FilterProgram = ctypes.c_uint64 * 2
_Ruleset = ctypes.c_uint64 * 3
_CapabilityHeader = ctypes.c_uint32 * 2
_CapabilityData = ctypes.c_uint32 * 6
_prctl, _socket, _ioctl = _libc.prctl, _libc.socket, _libc.ioctl
_sethostname, _setdomainname = _libc.sethostname, _libc.setdomainname


def _call(
    number: int,
    first: int | bytes | None,
    second: int | bytes | None,
    third: int | bytes | None = None,
    fourth: int | bytes | None = None,
    fifth: int | bytes | None = None,
) -> int:
    result: int = _syscall(number, first, second, third, fourth, fifth, None)
    if result < 0:
        raise _error()
    return result


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))


def clone(flags: int) -> tuple[int, int]:
    """Like `os.fork`, into new namespaces: (pid, pidfd) in the parent, (0, -1) in the child."""
    pidfd = ctypes.c_int(-1)
    return _fork(pidfd, _NUMBERS["clone"], flags | _CLONE_PIDFD | _SIGCHLD, None, ctypes.addressof(pidfd))


def clone_into(flags: int, cgroup_fd: int) -> tuple[int, int]:
    """Like `clone`; the child is born in the control group (of v2) whose directory a descriptor refers to."""
    pidfd = ctypes.c_int(-1)
    flags |= _CLONE_PIDFD | _CLONE_INTO_CGROUP
    arguments = _CloneArguments(flags, ctypes.addressof(pidfd), 0, 0, _SIGCHLD, 0, 0, 0, 0, 0, cgroup_fd)
    return _fork(pidfd, _CLONE3, ctypes.addressof(arguments), ctypes.sizeof(arguments))


def clone_in_group(flags: int, group_fd: int) -> tuple[int, int, int]:
    """The pid and pidfd of a child that is born in a group (-1: none); the group where it has to join that itself."""
    if group_fd >= 0:
        try:
            return *clone_into(flags, group_fd), -1
        except OSError as error:
            if error.errno != errno.ENOSYS:  # so container runtimes answer clone3, whose arguments they cannot see
                raise
    return *clone(flags), group_fd


def _fork(
    pidfd: ctypes.c_int, number: int, first: int, second: int | None, third: int | None = None
) -> tuple[int, int]:
    """Make a system call that forks, with what the interpreter has to do before and after; `pidfd` is what it fills."""
    _before_fork()
    try:
        pid = _call(number, first, second, third)
    except OSError:
        _after_fork_in_parent()
        raise
    if pid == 0:
        _after_fork_in_child()
        return 0, -1
    _after_fork_in_parent()
    return pid, pidfd.value


def prctl(option: int, second: int = 0) -> None:
    """prctl(2)."""
    if _prctl(option, ctypes.c_ulong(second), 0, 0, 0) < 0:
        raise _error()


def close_range(first: int, last: int = 0xFFFFFFFF) -> None:
    """Close all descriptors from `first` to `last`: one after another where a filter of the caller's denies it."""
    try:
        _call(_CLOSE_RANGE, first, last, 0)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        for name in os.listdir("/proc/self/fd"):
            if first <= int(name) <= last:
                try:  # noqa: SIM105 - contextlib is not imported here
                    os.close(int(name))
                except OSError:  # the listing's own, which is closed
                    pass


def open_in(root_fd: int, path: str, flags: int) -> int:
    """Open `path` as if `root_fd` were the root directory: no link, absolute or with `..`, leads out of it."""
    return _resolve(root_fd, path, _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS))


def _resolve(root_fd: int, path: str, how: ctypes.Array[ctypes.c_uint64]) -> int:
    arguments = (root_fd, os.fsencode(path), ctypes.addressof(how), ctypes.sizeof(how))
    for _ in range(_RESOLVING_TRIES):
        try:
            return _call(_OPENAT2, *arguments)
        except BlockingIOError:
            # Something was renamed or mounted somewhere on the machine while a `..` was followed; openat2(2).
            continue
    return _call(_OPENAT2, *arguments)


def clone_mounts(fd: int) -> int:
    """A detached copy of what is mounted at a descriptor's place, with all that is mounted below it."""
    return _call(_OPEN_TREE, fd, b"", _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE)


def restrict_mount(fd: int, attributes: int, *, recursive: bool) -> None:
    """Add attributes (never take one away) to the mount at a descriptor."""
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    change = _MountAttributes(attributes, 0, 0, 0)
    _call(_MOUNT_SETATTR, fd, b"", flags, ctypes.addressof(change), ctypes.sizeof(change))


def move_mount(fd: int, destination_fd: int) -> None:
    """Attach a detached mount on the directory or file of a descriptor."""
    both_empty_paths = 0x4 | 0x40
    _call(_MOVE_MOUNT, fd, b"", destination_fd, b"", both_empty_paths)


def new_mount(kind: str, options: dict[str, str | None], attributes: int) -> int:
    """A detached new file system; an option of value None is a flag."""
    context = _call(_FSOPEN, kind.encode(), 1)
    try:
        for name, value in options.items():
            if value is None:
                _call(_FSCONFIG, context, _FSCONFIG_SET_FLAG, name.encode(), None, 0)
            else:
                _call(_FSCONFIG, context, _FSCONFIG_SET_STRING, name.encode(), os.fsencode(value), 0)
        _call(_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return _call(_FSMOUNT, context, 1, attributes)
    finally:
        os.close(context)


def remove_queue(name: str) -> None:
    """Remove a message queue of the IPC namespace, as mq_unlink(3) does."""
    _call(_NUMBERS["mq_unlink"], os.fsencode(name), 0)


def remove_shared_memory(identifier: int) -> None:
    """Remove a System V segment; at once where no process has it attached."""
    _call(_NUMBERS["shmctl"], identifier, _IPC_RMID, None)


def seal_file_system(fd: int) -> None:
    """Make the file system at a descriptor read-only, however it is mounted."""
    context = _call(_FSPICK, fd, b"", _FSPICK_CLOEXEC_EMPTY_PATH)
    try:
        _call(_FSCONFIG, context, _FSCONFIG_SET_FLAG, b"ro", None, 0)
        _call(_FSCONFIG, context, _FSCONFIG_CMD_RECONFIGURE, None, None, 0)
    finally:
        os.close(context)


def make_mounts_private() -> None:
    """Cut this mount namespace off from mounts and unmounts elsewhere."""
    _call(_NUMBERS["mount"], b"none", b"/", None, MS_REC | MS_PRIVATE)


def pivot_root_here() -> None:
    """Make the current directory the root; the old root lies on top of it until `detach_old_root`."""
    _call(_NUMBERS["pivot_root"], b".", b".")


def detach_old_root() -> None:
    """Take the old root away; the current directory must be the new one."""
    _call(_NUMBERS["umount2"], b".", MNT_DETACH)


def set_hostname(name: str) -> None:
    """The UTS namespace's host name, and no NIS domain."""
    encoded = name.encode()
    if _sethostname(encoded, len(encoded)) < 0 or _setdomainname(b"(none)", 6) < 0:
        raise _error()


def bring_loopback_up() -> None:
    """Set IFF_UP on `lo` of the current network namespace; netdevice(7)."""
    af_inet, sock_dgram_cloexec, set_flags, up_and_running = 2, 0x80002, 0x8914, 0x41
    request = b"lo".ljust(16, b"\0") + up_and_running.to_bytes(2, "little") + bytes(22)
    fd: int = _socket(af_inet, sock_dgram_cloexec, 0)
    if fd < 0:
        raise _error()
    try:
        if _ioctl(fd, set_flags, request) < 0:
            raise _error()
    finally:
        os.close(fd)


def drop_capabilities(last: int) -> None:
    """Empty the bounding, ambient, permitted, effective and inheritable sets for good; `last` is the highest one."""
    bound_capabilities(last)
    drop_held_capabilities()


def bound_capabilities(last: int) -> None:
    """Empty the bounding set: whoever descends from here gets no capability by executing a program."""
    for capability in range(last + 1):
        if _prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            raise _error()


def drop_held_capabilities() -> None:
    """Empty the ambient, permitted, effective and inheritable sets for good."""
    if _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0:
        raise _error()
    header = _CapabilityHeader(0x20080522, 0)
    nothing = _CapabilityData()
    _call(_NUMBERS["capset"], ctypes.addressof(header), ctypes.addressof(nothing))


class Filter:
    """A seccomp filter, an array of `struct sock_filter`, ready to be installed: owns the memory that the kernel reads.

    To be made once: types of ctypes are dear to make, and dearer in a child that shares the memory with its parent.
    """

    def __init__(self, program: bytes) -> None:
        self._code = ctypes.create_string_buffer(program, len(program))
        self._program = _FilterProgram(len(program) // 8, ctypes.addressof(self._code))
        self._address = ctypes.addressof(self._program)

    def install(self, *, listener: bool = False) -> int:
        """Put this process under it for good: its listener's descriptor, -1 without; seccomp(2)."""
        flags = _FILTER_FLAG_NEW_LISTENER if listener else 0
        fd = _call(_NUMBERS["seccomp"], _SET_MODE_FILTER, flags, self._address)
        return fd if listener else -1


def install_filter(program: bytes, *, listener: bool = False) -> int:
    """Install a filter that is needed once."""
    return Filter(program).install(listener=listener)


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    """mount(2)."""
    encoded = None if kind is None else kind.encode()
    options = None if data is None else os.fsencode(data)
    _call(_NUMBERS["mount"], os.fsencode(source), os.fsencode(target), encoded, flags, options)


def unmount(target: str, flags: int) -> None:
    """umount2(2)."""
    _call(_NUMBERS["umount2"], os.fsencode(target), flags)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    _call(_NUMBERS["pivot_root"], os.fsencode(new_root), os.fsencode(put_old))


def unshare(flags: int) -> None:
    """unshare(2), which Python has since 3.12."""
    if _libc.unshare(flags) < 0:
        raise _error()


def join_namespace(fd: int, kind: int) -> None:
    """setns(2), which Python has since 3.12."""
    if _libc.setns(fd, kind) < 0:
        raise _error()


def create_in(root_fd: int, path: str, flags: int, mode: int) -> int:
    """Like `open_in`, for a regular file that is made with `mode` where there is none."""
    resolve = _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS
    return _resolve(root_fd, path, _OpenHow(flags | os.O_CREAT | os.O_CLOEXEC, mode, resolve))


def set_hostname_only(name: str) -> None:
    """sethostname(2); the domain stays as it is."""
    encoded = os.fsencode(name)
    if _sethostname(encoded, len(encoded)) < 0:
        raise _error()


def capabilities() -> tuple[int, int, int]:
    """This process's effective, permitted and inheritable sets, as masks."""
    header = _CapabilityHeader(0x20080522, 0)
    low_and_high = _CapabilityData()
    _call(_NUMBERS["capset"] - 1, ctypes.addressof(header), ctypes.addressof(low_and_high))
    masks = [low_and_high[index] | low_and_high[index + 3] << 32 for index in range(3)]
    return masks[0], masks[1], masks[2]


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) of this process, with masks."""
    header = _CapabilityHeader(0x20080522, 0)
    masks = (effective, permitted, inheritable)
    halves = [mask & 0xFFFFFFFF for mask in masks] + [mask >> 32 & 0xFFFFFFFF for mask in masks]
    data = _CapabilityData(*halves)  # named, because its address keeps nothing alive
    _call(_NUMBERS["capset"], ctypes.addressof(header), ctypes.addressof(data))


def raise_ambient_capability(capability: int) -> None:
    """Let programs started by this process have a capability that it holds and may pass on."""
    if _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, ctypes.c_ulong(capability), 0, 0) < 0:
        raise _error()


def execute(file: bytes, argv: list[bytes]) -> None:
    """execvp(3) with the C library's own environment; returns only by raising."""
    _libc.execvp(file, (ctypes.c_char_p * (len(argv) + 1))(*argv, None))
    raise _error()


def landlock_abi() -> int:
    """The version of Landlock that this kernel offers, 0 for none."""
    try:
        return landlock_version()
    except OSError:
        return 0


def landlock_version() -> int:
    """The version of Landlock; landlock_create_ruleset(2) says by its errors why there is none."""
    version_wanted = 1
    return _call(_LANDLOCK_CREATE_RULESET, None, 0, version_wanted)


def landlock_ruleset(handled_files: int, handled_network: int, scoped: int) -> int:
    """A descriptor of an empty ruleset, which denies all that it handles."""
    attributes = _Ruleset(handled_files, handled_network, scoped)
    return _call(_LANDLOCK_CREATE_RULESET, ctypes.addressof(attributes), ctypes.sizeof(attributes), 0)


def landlock_allow(ruleset_fd: int, fd: int, rights: int) -> None:
    """Allow rights on the file or directory of a descriptor and all that is below it; landlock_add_rule(2)."""
    path_beneath = 1
    rule = rights.to_bytes(8, "little") + fd.to_bytes(4, "little")
    _call(_LANDLOCK_ADD_RULE, ruleset_fd, path_beneath, rule, 0)


def landlock_restrict_self(ruleset_fd: int) -> None:
    """Put this thread and all that it starts under the ruleset for good; landlock_restrict_self(2)."""
    _call(_LANDLOCK_RESTRICT_SELF, ruleset_fd, 0)
