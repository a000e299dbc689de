"""Processors and memory, within what control groups leave of them."""

import os
import subprocess
import sys

import pytest

from bldr.execute import machine

GIB = 1 << 30


@pytest.fixture
def plenty(monkeypatch):
    """A machine of 64 processors and 64 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(machine, "_available_bytes", lambda: 64 * GIB)


@pytest.fixture
def groups(tmp_path, plenty):
    """A function that makes control groups of files; asks for what they leave."""

    def make(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "mount" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        where = str(tmp_path / "own"), str(tmp_path / "mount")
        return machine.processors(*where), machine.available_memory_bytes(*where)

    return make


def test_nothing_is_limited_where_there_are_no_groups(groups):
    assert groups("", {}) == (64, 64 * GIB)
    assert groups("0::/\n", {"cgroup.procs": ""}) == (64, 64 * GIB)


@pytest.mark.parametrize(
    ("quota", "processors"),
    [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("9900000 100000", 64)],
)
def test_a_share_of_time_is_as_many_processors_rounded_up(groups, quota, processors):
    assert groups("0::/\n", {"cpu.max": quota + "\n"})[0] == processors


def test_the_smallest_limit_of_all_groups_above_counts(groups):
    files = {
        "a/cpu.max": "400000 100000\n", "a/memory.max": f"{4 * GIB}\n", "a/memory.current": f"{GIB}\n",
        "a/b/cpu.max": "800000 100000\n", "a/b/memory.max": "max\n", "a/b/memory.current": f"{GIB}\n",
    }  # fmt: skip
    assert groups("0::/a/b\n", files) == (4, 3 * GIB)


def test_file_cache_counts_as_free(groups):
    files = {
        "memory.max": f"{2 * GIB}\n", "memory.current": f"{2 * GIB}\n",
        "memory.stat": f"anon {GIB}\ninactive_file {GIB // 2}\nactive_file {GIB // 4}\n",
    }  # fmt: skip
    assert groups("0::/\n", files)[1] == GIB * 3 // 4


def test_a_container_that_sees_its_own_group_only_is_told_the_host_s_path(groups):
    """Docker without a cgroup namespace: the path is not there, the top is what it names."""
    for own in ("0::/docker/0123\n", "0::/../../elsewhere\n"):
        assert groups(own, {"cpu.max": "300000 100000\n"})[0] == 3


def test_version_1_too(groups):
    own = "5:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n1:name=systemd:/y\n0::/\n"
    files = {
        "cpu,cpuacct/docker/x/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "memory/docker/x/memory.limit_in_bytes": f"{GIB}\n", "memory/docker/x/memory.usage_in_bytes": f"{GIB // 2}\n",
        "memory/docker/x/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB // 4}\ntotal_active_file 0\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": f"{GIB}\n",
    }  # fmt: skip
    assert groups(own, files) == (3, GIB * 3 // 4)


def test_a_group_that_uses_more_than_it_may_leaves_nothing(groups):
    assert groups("0::/\n", {"memory.max": "4096\n", "memory.current": "8192\n"})[1] == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen on this system")
def test_a_build_runs_as_many_actions_as_there_are_processors_for_it(tmp_path):
    """As under `taskset`, or a container's `cpuset`."""
    program = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from bldr.session import BuildRequest, Session;"
        f"print(Session(BuildRequest(command='doctor', cache_dir={str(tmp_path / 'cache')!r})).jobs)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert subprocess.check_output([sys.executable, "-c", program], env=env, text=True) == "1\n"


def test_this_machine_has_something_to_give():
    assert 1 <= machine.processors() <= (os.cpu_count() or 1)
    assert machine.available_memory_bytes() > 0
