"""Capabilities by name, and what of them this process and its command keep; capabilities(7)."""

from __future__ import annotations

import errno

from bldr_linux import syscalls
from bldr_linux.bubblewrap.failure import FatalError

# By number, from 0.
# fmt: off
_NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)
# fmt: on
EVERY = (1 << 64) - 1


def mask_of(name: str) -> int:
    """The bit of one capability, 0 for an unknown name."""
    lower = name.lower()
    if lower.isascii() and lower.isdigit():
        return 1 << int(lower) if int(lower) < 64 else 0
    short = lower.removeprefix("cap_")
    return 1 << _NAMES.index(short) if short != lower and short in _NAMES else 0


def requested(uid: int, changes: tuple[tuple[bool, int], ...]) -> int:
    """What the command is to have: root's own to begin with, nobody else's, then changed in order."""
    effective, permitted, _ = syscalls.capabilities()
    if uid != 0 and permitted:
        raise FatalError("Unexpected capabilities but not setuid, old file caps config?")
    mask = effective if uid == 0 else 0
    for add, change in changes:
        mask = mask | change if add else mask & ~change
    return mask


def bound(mask: int) -> None:
    """Take everything else out of the bounding set."""
    for number in range(len(_NAMES)):
        if not mask >> number & 1:
            try:
                syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)
            except OSError as error:
                _forgive(f"Dropping capability {number} from bounds", error)


def pass_on(mask: int) -> None:
    """Let the command have these, as far as this process may give them away."""
    for number in range(len(_NAMES)):
        if mask >> number & 1:
            try:
                syscalls.raise_ambient_capability(number)
            except OSError as error:
                _forgive(f"Adding ambient capability {number}", error)


def keep(mask: int, uid: int) -> None:
    """Give up all but these."""
    try:
        syscalls.set_capabilities(mask, mask, mask)
    except OSError as error:
        # Some containers' filters deny root this call.
        if error.errno != errno.EPERM or uid != 0:
            raise FatalError.of("capset failed", error) from error


def _forgive(what: str, error: OSError) -> None:
    # no_new_privs does not let the command gain what cannot be dropped here.
    if error.errno not in (errno.EINVAL, errno.EPERM):
        raise FatalError.of(what, error) from error
