"""Where this process's own groups are, from what /proc says: pure text."""

from typing import NamedTuple

WANTED = ("memory", "pids", "cpu", "io")
LEGACY_WANTED = ("memory", "pids", "cpu", "cpuacct", "blkio")
"""Of v1. Not the freezer: killing pid 1 of a launch ends all of it, and every hierarchy that is joined costs time."""


class Hierarchies(NamedTuple):
    """Directories of the calling process's own groups; "" and nothing where a hierarchy is not mounted.

    `root` is where the hierarchy of v2 is mounted: the highest group that can be seen.
    """

    unified: str
    root: str
    legacy: dict[str, str]


def find(cgroup: str, mountinfo: str) -> Hierarchies:
    """From the texts of /proc/self/cgroup and /proc/self/mountinfo; cgroups(7), proc(5)."""
    own = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    unified = root = ""
    legacy = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount_root, mount_point = map(_unescape, before.split()[3:5])
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2" and not unified:
            unified = _below(own.get("", ""), mount_root, mount_point)
            root = mount_point
        elif kind == "cgroup":
            for controllers, path in own.items():
                directory = _below(path, mount_root, mount_point)
                names = set(controllers.split(","))
                if directory and names <= set(options.split(",")):
                    legacy.update({name: directory for name in LEGACY_WANTED if name in names})
    return Hierarchies(unified, root, legacy)


def _below(path: str, mount_root: str, mount_point: str) -> str:
    """The directory of a group in a mount that shows what is below `mount_root`; "" where that is out of sight."""
    if not path or path.startswith("/.."):
        return ""
    if mount_root != "/":
        if path != mount_root and not path.startswith(f"{mount_root}/"):
            return ""
        path = path[len(mount_root) :]
    return f"{mount_point.rstrip('/')}/{path.strip('/')}".rstrip("/")


def _unescape(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
