"""Which limits the kernel takes in a group: each is written once, to a group made for that."""

import contextlib
import os

from bldr_linux.cgroups import files
from bldr_linux.cgroups.shortfalls import NO_SWAP_LIMIT

# limit -> controller, file, a value that changes nothing
UNIFIED = {
    "memory": ("memory", "memory.max", "max"),
    "memory-high": ("memory", "memory.high", "max"),
    "processes": ("pids", "pids.max", "max"),
    "cpu-share": ("cpu", "cpu.max", "max"),
}
LEGACY = {
    "memory": ("memory", "memory.limit_in_bytes", "-1"),
    "processes": ("pids", "pids.max", "max"),
    "cpu-share": ("cpu", "cpu.cfs_quota_us", "-1"),
}
_SWAP_FILES = ("memory.swap.max", "memory.memsw.limit_in_bytes")
_THROTTLES = (("io.max", "rbps=max wbps=max"), ("blkio.throttle.read_bps_device", "0"))


class Trial:
    """What was found in one top group."""

    def __init__(self, top: str, controllers: frozenset[str], limits: dict[str, tuple[str, str, str]]) -> None:
        self.holds: set[str] = set()
        self.disks: tuple[str, ...] = ()
        self.errors: dict[str, OSError] = {}
        self._path = f"{top}/trial"
        os.mkdir(self._path)
        try:
            for limit, (controller, file, value) in limits.items():
                if controller in controllers and self._takes(limit, file, value):
                    self.holds.add(limit)
            if "memory" in self.holds and not self._covers_swap():
                self.holds.discard("memory")
                self.errors["memory"] = NO_SWAP_LIMIT
            if not controllers.isdisjoint({"io", "blkio"}):
                self.disks = tuple(disk for disk in _disks() if self._throttles(disk))
        finally:
            os.rmdir(self._path)

    def _takes(self, limit: str, file: str, value: str) -> bool:
        try:
            files.write(f"{self._path}/{file}", value)
        except OSError as error:
            self.errors[limit] = error
            return False
        return True

    def _covers_swap(self) -> bool:
        """A limit of memory alone only moves what is too much to the swap, if there is any."""
        return any(os.path.exists(f"{self._path}/{name}") for name in _SWAP_FILES) or not _has_swap()

    def _throttles(self, disk: str) -> bool:
        return any(self._takes("io", file, f"{disk} {value}") for file, value in _THROTTLES if self._has(file))

    def _has(self, file: str) -> bool:
        return os.path.exists(f"{self._path}/{file}")


def _has_swap() -> bool:
    try:
        return files.read("/proc/swaps").count("\n") > 1
    except OSError:
        return False


def _disks() -> list[str]:
    """The numbers of real disks; what is stacked on them would be counted twice."""
    numbers = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir("/sys/block")):
            if os.path.exists(f"/sys/block/{name}/device"):
                numbers.append(files.read(f"/sys/block/{name}/dev").strip())
    return numbers
