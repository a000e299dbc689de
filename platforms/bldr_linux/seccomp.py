"""The system calls that actions do without: a deny list, assembled into a seccomp filter.

Compilers, the JVM, node and go live with it. What is denied fails with an error that programs expect (EPERM; ENOSYS
where they fall back to something older), so that nothing dies of a probe. The kernel remembers which calls are allowed
whatever their arguments, so those cost nothing. Source: seccomp(2), `include/uapi/linux/{bpf_common,seccomp,audit}.h`.

Left alone on purpose: ptrace, process_vm_readv, pidfd_getfd and kcmp, which debuggers and sanitizers need (they reach
the processes of the sandbox only, and of these not pid 1, which cannot be dumped); statmount and listmount, which tell
of the own mount namespace what /proc/self/mountinfo tells; landlock_*, seccomp and mseal, which only take away.
"""

from __future__ import annotations

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _NOTIFY, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
_EPERM, _EBUSY, _ENOSYS, _EAFNOSUPPORT = 1, 16, 38, 97
# Calls of a newer kernel than 6.18, which nobody has judged, and above them those of x32.
_UNKNOWN_FROM = 470
_NEW_LISTENER = 0x8  # SECCOMP_FILTER_FLAG_NEW_LISTENER

# All CLONE_NEW* flags: namespaces are the way back to capabilities. CLONE_NEWTIME exists for unshare only; in clone its
# bit belongs to the exit signal's byte.
_NEW_TIME_NAMESPACE = 0x80
_NAMESPACE_FLAGS = {
    _NEW_TIME_NAMESPACE: "CLONE_NEWTIME", 0x20000: "CLONE_NEWNS", 0x2000000: "CLONE_NEWCGROUP",
    0x4000000: "CLONE_NEWUTS", 0x8000000: "CLONE_NEWIPC", 0x10000000: "CLONE_NEWUSER", 0x20000000: "CLONE_NEWPID",
    0x40000000: "CLONE_NEWNET",
}  # fmt: skip
_NEW_NAMESPACE = sum(_NAMESPACE_FLAGS) & ~_NEW_TIME_NAMESPACE
# The families that a network namespace holds, and local ones. AF_VSOCK would reach the hypervisor whatever the
# namespace, AF_ALG and the like only add kernel code to attack.
_SOCKET_FAMILIES = (1, 2, 10, 16)
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SPECIAL = {
    "x86_64": {
        "ioctl": 16, "socket": 41, "socketpair": 53, "clone": 56, "unshare": 272, "prlimit64": 302, "seccomp": 317,
    },
    "aarch64": {
        "ioctl": 29, "socket": 198, "socketpair": 199, "clone": 220, "unshare": 97, "prlimit64": 261, "seccomp": 277,
    },
}  # fmt: skip
_DENIED = {
    "x86_64": {
        "acct": 163, "add_key": 248, "bpf": 321, "chroot": 161, "clock_adjtime": 305, "clock_settime": 227,
        "create_module": 174, "delete_module": 176, "fanotify_init": 300, "finit_module": 313, "init_module": 175,
        "ioperm": 173, "iopl": 172, "kexec_file_load": 320, "kexec_load": 246, "keyctl": 250, "lookup_dcookie": 212,
        "modify_ldt": 154, "mount": 165, "nfsservctl": 180, "open_by_handle_at": 304, "perf_event_open": 298,
        "pivot_root": 155, "quotactl": 179, "reboot": 169, "request_key": 249, "setdomainname": 171,
        "sethostname": 170, "setns": 308, "settimeofday": 164, "swapoff": 168, "swapon": 167, "sysfs": 139,
        "syslog": 103, "umount2": 166, "uselib": 134, "userfaultfd": 323, "ustat": 136, "vhangup": 153,
    },
    "aarch64": {
        "acct": 89, "add_key": 217, "bpf": 280, "chroot": 51, "clock_adjtime": 266, "clock_settime": 112,
        "delete_module": 106, "fanotify_init": 262, "finit_module": 273, "init_module": 105, "kexec_file_load": 294,
        "kexec_load": 104, "keyctl": 219, "lookup_dcookie": 18, "mount": 40, "nfsservctl": 42,
        "open_by_handle_at": 265, "perf_event_open": 241, "pivot_root": 41, "quotactl": 60, "reboot": 142,
        "request_key": 218, "setdomainname": 162, "sethostname": 161, "setns": 268, "settimeofday": 170,
        "swapoff": 225, "swapon": 224, "syslog": 116, "umount2": 39, "userfaultfd": 282, "vhangup": 58,
    },
}  # fmt: skip
_DENIED_EVERYWHERE = {
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "mount_setattr": 442, "quotactl_fd": 443, "lsm_set_self_attr": 460, "open_tree_attr": 467,
}  # fmt: skip
# A program that meets ENOSYS here uses what came before: epoll, threads, clone (clone3's flags cannot be read).
_ABSENT = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "clone3": 435}

MACHINES = tuple(_DENIED)


def denied(machine: str) -> dict[str, int]:
    """Names and numbers of the calls that are denied whatever their arguments."""
    return {**_DENIED[machine], **_DENIED_EVERYWHERE, **_ABSENT}


def special(machine: str) -> dict[str, int]:
    """Names and numbers of the calls that are judged by their arguments."""
    return dict(_SPECIAL[machine])


def program(machine: str, on_violation: str = "deny") -> bytes:
    """The filter as an array of `struct sock_filter`; KeyError for a machine that nobody has written down.

    With "kill" the calls that "deny" answers with EPERM wait for the judgement of the filter's listener instead; what
    programs probe for (ENOSYS, EAFNOSUPPORT) is answered as ever.
    """
    numbers = _SPECIAL[machine]
    forbidden = _fail(_EPERM) if on_violation == "deny" else _instruction(_RETURN, 0, 0, _NOTIFY)
    cases = {
        **{number: [forbidden] for number in (*_DENIED[machine].values(), *_DENIED_EVERYWHERE.values())},
        **{number: [_fail(_ENOSYS)] for number in _ABSENT.values()},
        numbers["clone"]: _deny_bits(0, _NEW_NAMESPACE, forbidden),
        numbers["unshare"]: _deny_bits(0, _NEW_NAMESPACE | _NEW_TIME_NAMESPACE, forbidden),
        # The kernel looks at the low half of the request only, so does the filter: bits above 32 change nothing.
        numbers["ioctl"]: _deny_values(1, (_TIOCSTI, _TIOCLINUX), forbidden),
        numbers["socket"]: _allow_values(0, _SOCKET_FAMILIES, _EAFNOSUPPORT),
        numbers["socketpair"]: _allow_values(0, _SOCKET_FAMILIES, _EAFNOSUPPORT),
        # Limits of the caller alone (0): pid 1 is of the same user, and without descriptors it could not report.
        numbers["prlimit64"]: _allow_values(0, (0,), _EPERM),
    }
    if on_violation == "kill":
        # The listener of a filter that came later would be asked in place of ours, and could say yes. Today's kernels
        # allow one listener, and this is their answer.
        cases[numbers["seccomp"]] = _deny_bits(1, _NEW_LISTENER, _fail(_EBUSY))
    code = [
        _load(_ARCHITECTURE),
        # Another architecture has other numbers (`int 0x80`): none of its calls exists here.
        _jump(_EQUAL, _AUDIT_ARCHITECTURE[machine], 1, 0),
        _fail(_ENOSYS),
        _load(_NUMBER),
        *_assemble(_search(_ranges(cases))),
    ]
    return b"".join(code)


def without_sockets(machine: str) -> bytes:
    """A filter besides the other one, where no network namespace keeps the host's network out: pairs only."""
    socket = _SPECIAL[machine]["socket"]
    return b"".join((_load(_NUMBER), _jump(_EQUAL, socket, 0, 1), _fail(_EAFNOSUPPORT), _allow()))


def name(machine: str, number: int, arguments: tuple[int, ...]) -> str:
    """What people call a forbidden call: with the argument that made it one, where there is such a thing."""
    numbers = _SPECIAL[machine]
    if number == numbers["ioctl"]:
        requests = {_TIOCSTI: "TIOCSTI", _TIOCLINUX: "TIOCLINUX"}
        return f"ioctl({requests.get(arguments[1] & 0xFFFFFFFF, hex(arguments[1]))})"
    for call in ("clone", "unshare"):
        if number == numbers[call]:
            return f"{call}({'|'.join(_namespaces(arguments[0]))})"
    for table in (_DENIED[machine], _DENIED_EVERYWHERE):
        for call, known in table.items():
            if known == number:
                return call
    return f"number {number}"


def _namespaces(flags: int) -> list[str]:
    return [text for bit, text in _NAMESPACE_FLAGS.items() if flags & bit]


def _ranges(cases: dict[int, list[bytes]]) -> list[tuple[int, list[bytes]]]:
    """What is done from each number on, up to the next; neighbours that are treated alike are one range."""
    ranges: list[tuple[int, list[bytes]]] = [(0, [_allow()])]
    edges = sorted({*cases, *(number + 1 for number in cases)})
    for number in edges:
        body = cases.get(number, [_allow()])
        if body != ranges[-1][1]:
            ranges.append((number, body))
    return [*ranges, (_UNKNOWN_FROM, [_fail(_ENOSYS)])]


def _search(ranges: list[tuple[int, list[bytes]]]) -> list[bytes | tuple[int, int | bytes, int | bytes]]:
    """Find the range by halving: the kernel runs the filter for each of its calls when it is installed.

    The choices come as (first number above, where to for that one, where to for those below), see `_assemble`.
    """
    if len(ranges) == 1:
        return list(ranges[0][1])
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    to_below: int | bytes = 0
    if len(below) == 1 and isinstance(below[0], bytes):
        to_below, below = below[0], []
    to_above: int | bytes = len(below)
    if len(above) == 1 and isinstance(above[0], bytes):
        to_above, above = above[0], []
    return [(ranges[middle][0], to_above, to_below), *below, *above]


def _assemble(code: list[bytes | tuple[int, int | bytes, int | bytes]]) -> list[bytes]:
    """Make jumps of choices: past so many instructions, or to an answer, each of which stands once at the end. The
    kernel translates every instruction anew for every launch."""
    ends = (end for choice in code if isinstance(choice, tuple) for end in choice[1:])
    answers = list(dict.fromkeys(end for end in ends if isinstance(end, bytes)))
    place = {answer: len(code) + index for index, answer in enumerate(answers)}
    done = []
    for at, part in enumerate(code):
        if isinstance(part, tuple):
            above, below = (end if isinstance(end, int) else place[end] - at - 1 for end in part[1:])
            part = _jump(_AT_LEAST, part[0], above, below)
        done.append(part)
    return [*done, *answers]


def _instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + value.to_bytes(4, "little")


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, 0, 0, offset)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return _instruction(code, if_true, if_false, value)


def _fail(errno: int) -> bytes:
    return _instruction(_RETURN, 0, 0, _ERRNO | errno)


def _allow() -> bytes:
    return _instruction(_RETURN, 0, 0, _ALLOW)


def _low_half(argument: int) -> bytes:
    return _load(_ARGUMENTS + 8 * argument)


def _deny_bits(argument: int, bits: int, answer: bytes) -> list[bytes]:
    return [_low_half(argument), _jump(_ANY_BIT, bits, 0, 1), answer, _allow()]


def _deny_values(argument: int, values: tuple[int, ...], answer: bytes) -> list[bytes]:
    tests = [instruction for value in values for instruction in (_jump(_EQUAL, value, 0, 1), answer)]
    return [_low_half(argument), *tests, _allow()]


def _allow_values(argument: int, values: tuple[int, ...], errno: int) -> list[bytes]:
    tests = [instruction for value in values for instruction in (_jump(_EQUAL, value, 0, 1), _allow())]
    return [_low_half(argument), *tests, _fail(errno)]
