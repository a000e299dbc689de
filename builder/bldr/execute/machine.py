"""What this process may use of the machine: processors and memory, within what its control groups leave of them.

Source: Documentation/admin-guide/cgroup-v2.rst (`cpu.max`, `memory.max`) and cgroup-v1. A container's limit is the
machine's size for all that runs in it.
"""

import os

_MOUNT = "/sys/fs/cgroup"
_OWN = "/proc/self/cgroup"
_UNLIMITED_FROM = 1 << 60  # v1 says "no limit" by a number near 2**63


def processors(own: str = _OWN, mount: str = _MOUNT) -> int:
    """How many this process may keep busy: those that it may run on, and no more than its groups' share of time."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not every system has such a thing
        allowed = os.cpu_count() or 1
    shares = [_share(directory) for directory in _groups("cpu", own, mount)]
    return max(1, min((allowed, *(-int(-share // 1) for share in shares if share))))


def available_memory_bytes(own: str = _OWN, mount: str = _MOUNT) -> int:
    """What new processes can get without swapping, at this moment."""
    left = [_left_bytes(directory) for directory in _groups("memory", own, mount)]
    return max(0, min((_available_bytes(), *(bytes for bytes in left if bytes is not None))))


def _available_bytes() -> int:
    import psutil  # not for the many builds in which nothing is known to need much

    try:
        return int(psutil.virtual_memory().available)
    except OSError:  # without a /proc
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(controller: str, own: str, mount: str) -> list[str]:
    """The directories of this process's groups that may limit it, up to the topmost that can be seen."""
    found = []
    for line in _read(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        tops = (f"{mount}/{controllers}", f"{mount}/{controller}") if controllers else (mount, f"{mount}/unified")
        for top in tops:
            # In a container that shows no more than its own group, the path is the host's: then the top is that group.
            is_below = not path.startswith("/..") and os.path.isdir(top + path)
            place = path.rstrip("/") if is_below else ""
            while os.path.isdir(top + place):
                found.append(top + place)
                if not place:
                    break
                place = place.rpartition("/")[0]
    return found


def _share(directory: str) -> float:
    """How many processors' time a group may use; 0 for no limit."""
    quota, _, period = _read(f"{directory}/cpu.max").partition(" ")
    if not quota:
        quota, period = _read(f"{directory}/cpu.cfs_quota_us"), _read(f"{directory}/cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else 0.0


def _left_bytes(directory: str) -> int | None:
    """What a group may still take, its file cache counted as free; None for no limit."""
    for limit_name, used_name in (
        ("memory.max", "memory.current"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        limit, used = _read(f"{directory}/{limit_name}"), _read(f"{directory}/{used_name}")
        if limit.isdigit() and used.isdigit() and int(limit) < _UNLIMITED_FROM:
            return int(limit) - max(0, int(used) - _cached_bytes(directory))
    return None


def _cached_bytes(directory: str) -> int:
    values = dict(line.split(" ", 1) for line in _read(f"{directory}/memory.stat").splitlines() if " " in line)
    kinds = ("total_inactive_file", "total_active_file") if "total_inactive_file" in values else (
        "inactive_file", "active_file"
    )  # fmt: skip
    return sum(int(values.get(kind, 0)) for kind in kinds)


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
