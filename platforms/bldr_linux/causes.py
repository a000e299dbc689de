"""Finds out why no sandbox of namespaces can be made: which step is refused, and by which switch of the kernel."""

import errno
import marshal
import os
import sys
from typing import NamedTuple

from bldr.api import SetupFailure

_KINDS = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
_PATIENCE_S = 30
_CAP_SYS_ADMIN = 1 << 21
_REFUSED = (errno.EPERM, errno.EACCES)
_USER_MAX = "/proc/sys/user/max_user_namespaces"
_DEBIAN = "/proc/sys/kernel/unprivileged_userns_clone"
_UBUNTU = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_SWITCHES = (_USER_MAX, _DEBIAN, _UBUNTU)
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
_CONTAINER = (
    "run the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined` (Podman: `--security-opt seccomp=unconfined --security-opt unmask=ALL`)"
)
_FILTER = f"take the filter away: {_CONTAINER}; in a systemd unit set `RestrictNamespaces=no`"


class Refusal(NamedTuple):
    """The first step that the kernel refuses: "owner", "user", "maps", "private", or the kind of a namespace."""

    step: str
    errno: int


class Machine(NamedTuple):
    """What the kernel says of itself and of this process. `switches`: paths of sysctls with their values."""

    switches: dict[str, str]
    is_filtered: bool = False
    is_privileged: bool = False
    is_contained: bool = False
    is_chrooted: bool = False
    label: str = ""  # AppArmor's


def of(failure: SetupFailure, owner: tuple[int, int] | None) -> SetupFailure:
    """The same failure with its cause and a remedy that fits, as far as that can be found out by trying."""
    refusal = try_steps(owner)
    return failure if refusal is None else explain(failure, refusal, look())


def explain(failure: SetupFailure, refusal: Refusal, machine: Machine) -> SetupFailure:
    """What a refused step means on such a machine. Pure."""
    cause, remedy = _cause(refusal, machine)
    if not cause:
        return failure
    if machine.is_contained and "sysctl" in remedy:
        remedy += " on the container's host"
    return SetupFailure(f"{failure.message} ({cause})", remedy)


def _cause(refusal: Refusal, machine: Machine) -> tuple[str, str]:
    step, number = refusal
    if step == "owner":
        why = "root has not the capabilities CAP_SETUID and CAP_SETGID here, and actions must not run as root"
        return why, "give the container these capabilities, or run bldr as an ordinary user"
    if number in (errno.ENOSPC, errno.EUSERS):
        return _exhausted(step, machine)
    if number == errno.ENOSYS and machine.is_filtered:
        return "a system call filter hides them", _FILTER
    if number in (errno.ENOSYS, errno.EINVAL):
        return "", ""  # the kernel has none: the step's own hint says so
    if number not in _REFUSED:
        return "", ""
    if step == "user" and machine.switches.get(_DEBIAN) == "0" and not machine.is_privileged:
        return f"{_name(_DEBIAN)} is 0", _allow(f"`sysctl {_name(_DEBIAN)}=1`")
    if (
        machine.switches.get(_UBUNTU) == "1"
        and not machine.is_privileged
        and (step != "user" or not machine.is_filtered)
    ):
        return f"AppArmor forbids them: {_name(_UBUNTU)} is 1", _allow(f"`sysctl {_name(_UBUNTU)}=0`")
    if machine.is_filtered:
        return "a system call filter forbids them", _FILTER
    if step == "user" and machine.is_chrooted:
        return (
            "the root directory was changed by chroot",
            "enter the directory with `bldr-bwrap --bind DIR / ...` instead",
        )
    if machine.label and machine.label != "unconfined":
        return f'AppArmor\'s profile "{machine.label}" forbids them', f"take the profile away: {_CONTAINER}"
    return "", ""


def _exhausted(step: str, machine: Machine) -> tuple[str, str]:
    if step not in _KINDS:
        value = machine.switches.get(_USER_MAX, "")
        cause = f"user.max_user_namespaces is {value}" if value == "0" else "there are too many, or they lie too deep"
        return cause, _allow("`sysctl user.max_user_namespaces=65536`")
    knob = f"user.max_{step}_namespaces"
    return f"there are more than {knob} allows", f"raise the limit: `sysctl {knob}=65536`"


def _name(path: str) -> str:
    return path.removeprefix("/proc/sys/").replace("/", ".")


def _allow(command: str) -> str:
    return f"allow user namespaces: {command}"


def look() -> Machine:
    """Ask the kernel; what cannot be read is not there."""
    status = dict(line.split(":", 1) for line in read("/proc/self/status").splitlines() if ":" in line)
    places = [line.split(" ")[4] for line in read("/proc/self/mountinfo").splitlines()]
    return Machine(
        switches={path: read(path) for path in _SWITCHES},
        is_filtered=status.get("Seccomp", "").strip() == "2",
        is_privileged=bool(int(status.get("CapEff", "0"), 16) & _CAP_SYS_ADMIN),
        is_contained=any(os.path.exists(mark) for mark in _CONTAINER_MARKS) or "container" in os.environ,
        is_chrooted=bool(places) and "/" not in places,
        # The common file has the label of whichever module has the say, which may be SELinux.
        label=read("/proc/self/attr/apparmor/current").rstrip("\0").partition(" (")[0],
    )


def read(path: str) -> str:
    """The text of a file of the kernel's; "" where there is none."""
    try:
        with open(path) as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def try_steps(owner: tuple[int, int] | None) -> Refusal | None:
    """Make namespaces one kind after another, in a process of its own; None where none is refused."""
    import subprocess  # dear to import, and where everything works nobody comes here

    directory = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    program = f"import sys; sys.path.append({directory!r}); from bldr_linux.refused import main; main({owner!r})"
    flags = ["-I", "-S", "-X", "utf8", *(["-B"] if sys.dont_write_bytecode else [])]
    try:
        ran = subprocess.run(
            [sys.executable, *flags, "-c", program], capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Refusal(*marshal.loads(ran.stdout)) if ran.stdout else None  # noqa: S302 - our own program's
