"""A group of cgroup v2 for a launch: born with its limits, born into by clone3, removed with what it counted.

On a hybrid machine the group has no controllers, and still kills and counts CPU time. Such a one serves the next launch
too, until it has killed: children that are born into a group after its `cgroup.kill` die at once (seen on Linux 6.18).
"""

from __future__ import annotations

import os
import time

from bldr_linux.cgroups import files

PERIOD_US = 100_000
_LEAST_QUOTA_US = 1000
_REMOVAL_TRIES = 100
_PAUSE_S = 0.002


class UnifiedGroup:
    """Owns the directory of the launch that is running, and of the next one's where it serves again."""

    def __init__(self, top: str, controllers: tuple[str, ...], disks: tuple[str, ...], name: str) -> None:
        self._top = top
        self._controllers = controllers
        self._disks = disks
        self._name = name
        self._launches = 0
        self._path = ""
        self._left: list[str] = []
        self._fd = -1
        self._counters = files.Counters("")
        self._attendants = 0
        self._has_killed = False
        self._cpu_before_us = 0

    def prepare(self, limits: dict[str, int | float], attendants: int) -> int:
        """Make the next launch's group; the descriptor for CLONE_INTO_CGROUP, which stays this object's."""
        self.leave()
        if self._path:
            self._cpu_before_us = self._cpu_us() or 0
            return self._fd
        self._has_killed = False
        self._cpu_before_us = 0
        self._launches += 1
        path = f"{self._top}/{self._name}-{self._launches}"
        os.mkdir(path, 0o755)
        self._path = path
        self._attendants = attendants
        self._counters = files.Counters(path)
        try:
            for file, value in self._settings(limits):
                files.write(f"{path}/{file}", value)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            self.close()
            raise
        return self._fd

    def _settings(self, limits: dict[str, int | float]) -> list[tuple[str, str | int]]:
        settings: list[tuple[str, str | int]] = []
        if "memory" in self._controllers:
            if "memory" in limits:
                settings.append(("memory.max", int(limits["memory"])))
                settings.append(("memory.oom.group", 1))
                # Absent without swap accounting; whether that matters, `tree` has found out.
                if self._counters.has("memory.swap.max"):
                    settings.append(("memory.swap.max", 0))
            if "memory_high" in limits:
                settings.append(("memory.high", int(limits["memory_high"])))
        if "pids" in self._controllers and "processes" in limits:
            settings.append(("pids.max", int(limits["processes"]) + self._attendants))
        if "cpu" in self._controllers:
            if "cpus" in limits:
                settings.append(("cpu.max", f"{quota_us(limits['cpus'])} {PERIOD_US}"))
            if "cpu_weight" in limits:
                settings.append(("cpu.weight", int(limits["cpu_weight"])))
        if "io" in self._controllers and "io" in limits:
            rate = int(limits["io"])
            settings += [("io.max", f"{disk} rbps={rate} wbps={rate}") for disk in self._disks]
        return settings

    def kill(self) -> bool:
        """End every process of the launch at once; False where the kernel cannot (before Linux 5.14)."""
        if not self._path:
            return False
        self._has_killed = True
        try:
            files.write(f"{self._path}/cgroup.kill", 1)
        except FileNotFoundError:
            return False
        return True

    def measure(self) -> dict[str, int | float]:
        """What the launch has used until now."""
        used: dict[str, int | float] = {}
        if not self._path:
            return used
        counters = self._counters
        if (cpu_us := self._cpu_us()) is not None:
            used["cpu_s"] = (cpu_us - self._cpu_before_us) / 1e6
        if "memory" in self._controllers:
            _put(used, "memory_bytes", counters.number("memory.current"))
            _put(used, "memory_peak_bytes", counters.number("memory.peak"))
        if "pids" in self._controllers:
            _put(used, "processes", counters.number("pids.current"), self._attendants)
            _put(used, "processes_peak", counters.number("pids.peak"), self._attendants)
        if "io" in self._controllers and (text := counters.text("io.stat")) is not None:
            used["read_bytes"], used["written_bytes"] = io_bytes(text)
        return used

    def _cpu_us(self) -> int | None:
        text = self._counters.text("cpu.stat")
        return None if text is None else files.number_after(text, "usage_usec")

    def oom_kills(self) -> int:
        """How many processes of the launch were killed for want of memory."""
        return self._counters.count("memory.events", "oom_kill") if self._has("memory") else 0

    def refused_forks(self) -> int:
        """How many processes or threads the limit kept from being made."""
        return self._counters.count("pids.events", "max") if self._has("pids") else 0

    def _has(self, controller: str) -> bool:
        return bool(self._path) and controller in self._controllers

    def leave(self) -> None:
        """Be done with the launch's group; unless it serves the next one, it is removed by the next `discard`."""
        if self._controllers or self._has_killed:
            self._let_go()

    def close(self) -> None:
        """Be done with all groups. All processes in them must be dead, or dying."""
        self._let_go()
        self.discard()

    def _let_go(self) -> None:
        self._counters.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._path:
            self._left.append(self._path)
            self._path = ""

    def discard(self) -> None:
        """Remove what was left. All processes in it must be dead, or dying."""
        while self._left:
            remove_when_empty(self._left.pop())


def remove_when_empty(path: str) -> None:
    """Remove a group whose processes are dying; one that stays is left for the tree to remove."""
    for _ in range(_REMOVAL_TRIES):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_PAUSE_S)
        else:
            return


def quota_us(cpus: float) -> int:
    """Processors as CPU time per period; the kernel refuses less than a millisecond."""
    return max(int(cpus * PERIOD_US), _LEAST_QUOTA_US)


def io_bytes(text: str) -> tuple[int, int]:
    """Bytes read and written on all devices, of io.stat."""
    read = written = 0
    for line in text.splitlines():
        for field in line.split()[1:]:
            key, _, value = field.partition("=")
            if key == "rbytes":
                read += int(value)
            elif key == "wbytes":
                written += int(value)
    return read, written


def _put(used: dict[str, int | float], key: str, value: int | None, less: int = 0) -> None:
    if value is not None:
        used[key] = max(value - less, 0)
