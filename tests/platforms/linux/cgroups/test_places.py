"""Where groups are, read from what /proc says, and why there are none: texts only."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from bldr_linux.cgroups.hierarchies import find
from bldr_linux.cgroups.shortfalls import NO_SWAP_LIMIT, explain
from bldr_linux.cgroups.unified import io_bytes, quota_us

_UNIFIED = "25 1 0:22 {root} {point} rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate"
_LEGACY = "32 31 0:29 {root} /sys/fs/cgroup/{point} rw,relatime - cgroup cgroup rw,{options}"


def unified(root="/", point="/sys/fs/cgroup"):
    return _UNIFIED.format(root=root, point=point)


def legacy(point, options, root="/"):
    return _LEGACY.format(root=root, point=point, options=options)


def test_one_unified_hierarchy():
    found = find("0::/user.slice/session-1.scope\n", unified())
    assert found == ("/sys/fs/cgroup/user.slice/session-1.scope", "/sys/fs/cgroup", {})


def test_the_root_group():
    assert find("0::/\n", unified()) == ("/sys/fs/cgroup", "/sys/fs/cgroup", {})


def test_controllers_that_are_mounted_together():
    found = find(
        "4:memory:/m\n3:cpu,cpuacct:/a/b\n0::/\n", f"{legacy('memory', 'memory')}\n{legacy('x', 'cpu,cpuacct')}"
    )
    assert found.legacy == {
        "memory": "/sys/fs/cgroup/memory/m",
        "cpu": "/sys/fs/cgroup/x/a/b",
        "cpuacct": "/sys/fs/cgroup/x/a/b",
    }
    assert found.unified == ""


def test_hybrid():
    found = find("8:pids:/p\n1:name=systemd:/s\n0::/u\n", f"{unified(point='/run/u')}\n{legacy('pids', 'pids')}")
    assert found == ("/run/u/u", "/run/u", {"pids": "/sys/fs/cgroup/pids/p"})


def test_a_mount_that_shows_a_part_only():
    """As in a container without a cgroup namespace."""
    text = f"{unified(root='/docker/1234')}\n{legacy('pids', 'pids', root='/docker/1234')}"
    inside = find("8:pids:/docker/1234/x\n0::/docker/1234\n", text)
    assert inside == ("/sys/fs/cgroup", "/sys/fs/cgroup", {"pids": "/sys/fs/cgroup/pids/x"})
    outside = find("8:pids:/docker/12345\n0::/../other\n", text)
    assert (outside.unified, outside.legacy) == ("", {})


def test_a_mount_point_with_blanks():
    assert find("0::/a b\n", unified(point="/run/my\\040groups")).unified == "/run/my groups/a b"


def test_nothing_is_mounted():
    assert find("0::/\n", "21 1 0:20 / /proc rw - proc proc rw") == ("", "", {})


@pytest.mark.parametrize(
    ("limit", "mounted", "error", "why", "remedy"),
    [
        ("memory", "none", None, "no control groups are mounted", "container"),
        ("memory", "v2", NO_SWAP_LIMIT, "swap is not counted", "swapoff"),
        ("memory", "v2", PermissionError(errno.EACCES, "Permission denied", "/g/bldr-1-2-3-4"), '"/g"', "systemd-run"),
        ("memory", "v1", PermissionError(errno.EACCES, "Permission denied", "/g/bldr-1-2-3-4"), '"/g"', "root"),
        ("processes", "v2", OSError(errno.EROFS, "Read-only file system", "/g/bldr-1"), "read-only", "--privileged"),
        ("io", "v2", None, "no controller for io", "Delegate="),
        ("io", "v1", None, "page cache", "unified_cgroup_hierarchy"),
        ("memory-high", "v1", None, "cannot slow down", "unified_cgroup_hierarchy"),
        ("cpu-share", "v2", OSError(errno.EINVAL, "Invalid argument", "/g/cpu.max"), '"/g/cpu.max": invalid', "user@"),
    ],
)
def test_a_shortfall_says_why_and_what_to_do(limit, mounted, error, why, remedy):
    shortfall = explain(limit, mounted, error)
    assert shortfall.guarantee == limit
    assert why in shortfall.why
    assert remedy in shortfall.remedy


def test_bytes_of_all_disks_are_added():
    assert io_bytes("8:0 rbytes=10 wbytes=1 rios=1\n8:16 rbytes=20 wbytes=2 dbytes=9\n253:0 \n") == (30, 3)


def test_a_quota_is_never_less_than_the_kernel_takes():
    assert [quota_us(cpus) for cpus in (1.5, 1, 0.001)] == [150_000, 100_000, 1000]


def test_the_cell_s_side_imports_next_to_nothing():
    source = Path(__file__).parents[4] / "platforms"
    program = (
        f"import os, sys; sys.path.append({str(source)!r}); before = set(sys.modules)\n"
        "import bldr_linux.cgroups.group; print(*sorted(set(sys.modules) - before))"
    )
    result = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    ours = [name for name in result.stdout.split() if name.startswith("bldr_linux")]
    assert set(result.stdout.split()) - set(ours) <= {"__future__"}
    assert sorted(name.rpartition(".")[2] for name in ours if name.startswith("bldr_linux.cgroups.")) == [
        "files", "group", "legacy", "unified",
    ]  # fmt: skip
