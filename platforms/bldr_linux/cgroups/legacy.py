"""Groups of cgroup v1 that a cell lives in, one in each hierarchy; the processes of its launches are born there.

To attach a process costs 1 to 12 ms, so the cell joins once, and for every launch only limits are set, peaks reset and
counters remembered. What the cell itself uses is therefore in the numbers: little, and taken off where it counts.
"""

from __future__ import annotations

import os

from bldr_linux.cgroups import files
from bldr_linux.cgroups.unified import PERIOD_US, quota_us, remove_when_empty

_SOCKETS = "memory.kmem.tcp.limit_in_bytes"
_UNLIMITED = -1
_WEIGHT_DEFAULT, _SHARES_DEFAULT = 100, 1024
# Page cache that earlier launches left in the group counts as its use, and would pass for the next launch's peak.
_LEFT_OVER_LEAST_BYTES, _LEFT_OVER_MOST_BYTES = 8 << 20, 128 << 20
_LEFT_OVER_SHARE = 8


class LegacyGroup:
    """Owns the directories of one cell, which must be the calling process."""

    def __init__(self, tops: dict[str, str], disks: tuple[str, ...], name: str) -> None:
        self._tops = tops
        self._disks = disks
        self._name = name
        self._renewals = 0
        self._paths: dict[str, str] = {}
        self._counters: dict[str, files.Counters] = {}
        self._written: dict[str, str | int] = {}
        self._start: dict[str, int] = {}
        self._attendants = 0
        try:
            for controller, top in tops.items():
                self._join(controller, f"{top}/{name}")
        except OSError:
            self.close()
            raise

    def _join(self, controller: str, path: str) -> None:
        # Controllers that are mounted together share a directory.
        if path not in self._paths.values():
            _make(path)
            files.write(f"{path}/cgroup.procs", 0)
        self._paths[controller] = path
        self._counters[controller] = files.Counters(path)

    def prepare(self, limits: dict[str, int | float], attendants: int) -> bool:
        """Set the limits of the next launch and remember where the counters stand; whether the group changed."""
        renewals = self._renewals
        self._attendants = attendants + 1
        if "memory" in self._paths:
            self._prepare_memory(limits)
        if "pids" in self._paths:
            most = int(limits["processes"]) + self._attendants if "processes" in limits else "max"
            self._set("pids", "pids.max", most)
            self._start["peak"] = self._number("pids", "pids.peak") or 0
            self._start["refused"] = self._count("pids", "pids.events", "max")
        if "cpu" in self._paths:
            quota = quota_us(limits["cpus"]) if "cpus" in limits else _UNLIMITED
            if quota != _UNLIMITED:
                self._set("cpu", "cpu.cfs_period_us", PERIOD_US)
            self._set("cpu", "cpu.cfs_quota_us", quota, _UNLIMITED)
            weight = limits.get("cpu_weight", _WEIGHT_DEFAULT)
            self._set("cpu", "cpu.shares", max(int(weight * _SHARES_DEFAULT / _WEIGHT_DEFAULT), 2), _SHARES_DEFAULT)
        if "blkio" in self._paths:
            self._prepare_io(int(limits.get("io", 0)))
        if "cpuacct" in self._paths:
            self._start["cpu"] = self._number("cpuacct", "cpuacct.usage") or 0
        return renewals != self._renewals

    def _prepare_memory(self, limits: dict[str, int | float]) -> None:
        most = int(limits["memory"]) if "memory" in limits else _UNLIMITED
        allowed = _LEFT_OVER_MOST_BYTES
        if most != _UNLIMITED:
            allowed = max(min(most // _LEFT_OVER_SHARE, allowed), _LEFT_OVER_LEAST_BYTES)
        if (self._number("memory", "memory.usage_in_bytes") or 0) > allowed:
            self._renew()
        # Memory and swap together may never be limited to less than memory alone.
        names = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
        now = self._written.get(names[0], _UNLIMITED)
        if most == _UNLIMITED or (isinstance(now, int) and 0 <= now < most):
            names.reverse()
        for name in names:
            if self._counters["memory"].has(name):
                self._set("memory", name, most, _UNLIMITED)
        # What sockets of TCP hold is a count of its own here, kept from the first limit on; past it they wait.
        if self._counters["memory"].has(_SOCKETS):
            self._set("memory", _SOCKETS, most, _UNLIMITED)
        self._counters["memory"].reset("memory.max_usage_in_bytes")
        self._start["memory"] = self._number("memory", "memory.usage_in_bytes") or 0
        self._start["oom"] = self._count("memory", "memory.oom_control", "oom_kill")

    def _renew(self) -> None:
        """Move on to an empty group: what the old one still holds stays with its parent."""
        old = self._paths["memory"]
        self._renewals += 1
        self._written.clear()
        for controller in [controller for controller, path in self._paths.items() if path == old]:
            counters = self._counters[controller]
            self._join(controller, f"{self._tops[controller]}/{self._name}.{self._renewals}")
            counters.close()
        remove_when_empty(old)

    def _prepare_io(self, rate: int) -> None:
        for name in ("blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"):
            if self._written.get(name, 0) != rate:
                for disk in self._disks:
                    files.write(f"{self._paths['blkio']}/{name}", f"{disk} {rate}")
                self._written[name] = rate

    def _set(self, controller: str, name: str, value: str | int, default: str | int | None = None) -> None:
        if self._written.get(name, default) != value:
            files.write(f"{self._paths[controller]}/{name}", value)
            self._written[name] = value

    def places(self) -> list[str]:
        """The directories of the groups."""
        return sorted(set(self._paths.values()))

    def measure(self) -> dict[str, int | float]:
        """What the launch has used until now; of bytes read and written v1 knows too little."""
        used: dict[str, int | float] = {}
        start = self._start
        if (now := self._number("cpuacct", "cpuacct.usage")) is not None:
            used["cpu_s"] = (now - start["cpu"]) / 1e9
        if (now := self._number("memory", "memory.usage_in_bytes")) is not None:
            used["memory_bytes"] = max(now - start["memory"], 0)
        if (now := self._number("memory", "memory.max_usage_in_bytes")) is not None:
            used["memory_peak_bytes"] = max(now - start["memory"], 0)
        if (now := self._number("pids", "pids.current")) is not None:
            used["processes"] = max(now - self._attendants, 0)
        # It cannot be reset: what an earlier launch reached says nothing about this one.
        if (now := self._number("pids", "pids.peak")) is not None and now > start["peak"]:
            used["processes_peak"] = max(now - self._attendants, 0)
        return used

    def oom_kills(self) -> int:
        """How many processes of the launch were killed for want of memory."""
        return self._count("memory", "memory.oom_control", "oom_kill") - self._start.get("oom", 0)

    def refused_forks(self) -> int:
        """How many processes or threads the limit kept from being made."""
        return self._count("pids", "pids.events", "max") - self._start.get("refused", 0)

    def _number(self, controller: str, name: str) -> int | None:
        return self._counters[controller].number(name) if controller in self._counters else None

    def _count(self, controller: str, name: str, key: str) -> int:
        return self._counters[controller].count(name, key) if controller in self._counters else 0

    def close(self) -> None:
        """Close what is open. The cell stays in its groups until it ends: to leave them costs as much as to join."""
        for counters in self._counters.values():
            counters.close()
        self._counters.clear()


def _make(path: str) -> None:
    """A new group; one of a cell that died goes first."""
    if os.path.isdir(path):
        remove_when_empty(path)
    os.mkdir(path, 0o755)
