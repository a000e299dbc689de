"""Which file systems the kernel tells the changes of, and whether one was mounted meanwhile: proc_pid_mountinfo(5)."""

import os
import select

LOCAL = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "reiserfs", "tmpfs", "xfs", "zfs")
)
"""File systems that nobody but this kernel changes. Of any other a change may come from outside, and nobody tells."""

_MOUNTINFO = "/proc/self/mountinfo"


class Mounts:
    """Owns a descriptor of this process's table of mounts."""

    def __init__(self) -> None:
        self.descriptor = os.open(_MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLERR | select.POLLPRI)

    def changed(self) -> bool:
        """Whether anything was mounted or unmounted since this was asked last."""
        return bool(self._poll.poll(0))

    def strangers(self, root: str) -> list[str]:
        """Where, at `root` or below it, lies a file system whose changes may come from outside; sorted."""
        with open(_MOUNTINFO, encoding="utf-8", errors="surrogateescape") as table:
            return strangers_in(table.read(), root)

    def close(self) -> None:
        os.close(self.descriptor)


def strangers_in(table: str, root: str) -> list[str]:
    """The mount points of `table` that `root` lies on, or that lie in it, whose file system is not a local one."""
    holding, kind = "", ""
    found = set()
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        fields, types = left.split(" "), right.split(" ")
        if len(fields) < 5 or not types[0]:
            continue
        point = _unescaped(fields[4])
        if _is_at_or_below(root, point) and len(point) >= len(holding):
            holding, kind = point, types[0]  # of two at one point, the later one hides the other
        elif _is_at_or_below(point, root) and types[0] not in LOCAL:
            found.add(point)
    if kind not in LOCAL:
        found.add(holding or "/")
    return sorted(found)


def _is_at_or_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top.rstrip('/')}/")


def _unescaped(text: str) -> str:
    """The table writes blanks, tabs, ends of lines and backslashes as three octal digits."""
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, letter)
    return text
