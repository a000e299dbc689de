"""The guest is what the other tests need: the kernel does what they ask of it, for root and for an ordinary user."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.vm

GROUPS = Path("/sys/fs/cgroup")
PATIENCE_S = 120
MIB = 1 << 20
ROOT = os.geteuid() == 0


def own_group():
    """The group that this process is in."""
    (line,) = Path("/proc/self/cgroup").read_text().splitlines()
    return GROUPS / line.removeprefix("0::/")


def write(path, text):
    """By one system call, whose error is not lost."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def read(path):
    return dict(line.split() for line in path.read_text().splitlines())


@pytest.fixture
def group():
    """A fresh group with controllers beside this process's own, emptied and removed afterwards."""
    made = own_group().parent / f"test-{os.getpid()}"
    made.mkdir()
    yield made
    write(made / "cgroup.kill", "1")
    deadline = time.monotonic() + PATIENCE_S
    while read(made / "cgroup.events")["populated"] == "1" and time.monotonic() < deadline:
        time.sleep(0.01)
    for path in sorted(made.rglob("*/"), reverse=True):
        if path.is_dir():
            path.rmdir()
    made.rmdir()


def start(group, code):
    """Python in the group from its first instruction."""
    join = f"import os; os.write(os.open({str(group / 'cgroup.procs')!r}, os.O_WRONLY), b'0')\n"
    return subprocess.Popen([sys.executable, "-S", "-c", join + code], stdout=subprocess.PIPE, text=True)


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# The hierarchy


def test_the_hierarchy_is_unified_and_holds_the_controllers():
    assert read_mounts("cgroup") == []
    assert read_mounts("cgroup2") == [str(GROUPS)]
    assert {"cpu", "io", "memory", "pids"} <= set((GROUPS / "cgroup.controllers").read_text().split())


def read_mounts(kind):
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [words[1] for words in lines if words[2] == kind]


def test_the_suite_has_its_own_group_as_systemd_would_lay_it_out():
    group = own_group()
    expected = {"cpu", "io", "memory", "pids"} if ROOT else {"cpu", "memory", "pids"}
    assert group.parent.parent.name == ("cgroup" if ROOT else "user@1000.service")
    assert set((group / "cgroup.controllers").read_text().split()) == expected
    assert str(os.getpid()) in (group / "cgroup.procs").read_text().split()


@pytest.mark.skipif(ROOT, reason="is about an ordinary user")
def test_delegation_ends_at_the_user_s_own_subtree():
    manager = own_group().parents[1]
    assert manager.name == "user@1000.service"
    for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
        assert (manager / name).stat().st_uid == os.getuid()
    with pytest.raises(PermissionError):
        (manager.parent / "test").mkdir()
    with pytest.raises(PermissionError):
        write(manager / "memory.max", "max")
    with pytest.raises(PermissionError):
        write(manager.parent / "cgroup.procs", "0")


# Limits


def test_memory_max_kills_and_is_counted(group):
    write(group / "memory.max", str(32 * MIB))
    write(group / "memory.swap.max", "0")
    process = start(group, f"bytearray({64 * MIB})\nprint('alive')")
    assert process.communicate(timeout=PATIENCE_S) == ("", None)
    assert process.returncode == -signal.SIGKILL
    assert read(group / "memory.events")["oom_kill"] == "1"
    assert 24 * MIB < int((group / "memory.peak").read_text()) <= 32 * MIB


def test_pids_max_refuses_a_fork_and_is_counted(group):
    write(group / "pids.max", "2")
    code = "import time\nos.fork() or time.sleep(1000)\n"
    process = start(group, code + "try: os.fork()\nexcept BlockingIOError: print('refused', flush=True)")
    with process:
        assert process.stdout.readline() == "refused\n"
        assert read(group / "pids.events")["max"] == "1"
        write(group / "cgroup.kill", "1")


def test_cpu_max_throttles(group):
    write(group / "cpu.max", "10000 100000")
    process = start(group, "while True: pass")
    with process:
        wait_for(lambda: int(read(group / "cpu.stat")["nr_throttled"]) > 2)
        process.kill()
    assert int(read(group / "cpu.stat")["usage_usec"]) > 0


@pytest.mark.root
def test_io_max_holds_writes_back(group, request):
    """The kernel's own count of the device shows that the limit is on this very disk."""
    file = Path("/var/tmp") / f"test-{os.getpid()}"
    request.addfinalizer(lambda: file.unlink(missing_ok=True))
    number = os.stat(file.parent).st_dev
    disk = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().parent
    device = (disk / "dev").read_text().strip()
    write(group / "io.max", f"{device} wbps={MIB}")
    assert f"{device} rbps=max wbps={MIB}" in (group / "io.max").read_text()
    code = f"file = os.open({str(file)!r}, os.O_CREAT | os.O_WRONLY | os.O_DIRECT)\nimport mmap, time\n"
    code += f"block = mmap.mmap(-1, {MIB})\nbegan = time.monotonic()\nfor _ in range(3): os.write(file, block)\n"
    process = start(group, code + "print(time.monotonic() - began)")
    seconds, _ = process.communicate(timeout=PATIENCE_S)
    assert float(seconds) > 1.5, "the kernel lets three seconds' worth through at once"
    (line,) = (line for line in (group / "io.stat").read_text().splitlines() if line.startswith(device))
    assert f"wbytes={3 * MIB}" in line


def test_cgroup_kill_ends_the_whole_tree(group):
    (group / "below").mkdir()
    code = "import time\nos.fork()\nprint('up', flush=True)\ntime.sleep(1000)"
    processes = [start(place, code) for place in (group, group / "below")]
    for process in processes:
        assert [process.stdout.readline() for _ in range(2)] == ["up\n", "up\n"]
    write(group / "cgroup.kill", "1")
    for process in processes:
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
        process.stdout.close()
    wait_for(lambda: read(group / "cgroup.events")["populated"] == "0")


def test_controllers_can_be_handed_down(group):
    write(group / "cgroup.subtree_control", "+memory +pids +cpu")
    (group / "below").mkdir()
    assert set((group / "below/cgroup.controllers").read_text().split()) == {"cpu", "memory", "pids"}


# Namespaces


def test_a_user_namespace_needs_no_privilege():
    command = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--net", "id", "-u"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0\n"


def test_an_overlay_can_be_mounted_in_a_user_namespace(tmp_path):
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower/file").write_text("below\n")
    options = f"userxattr,lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    script = f"mount -t overlay -o {options} overlay {tmp_path}/merged && echo more >>{tmp_path}/merged/file"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    subprocess.run(command, check=True)
    assert (tmp_path / "upper/file").read_text() == "below\nmore\n"
    assert (tmp_path / "lower/file").read_text() == "below\n"


# What the tests themselves stand on


def test_loopback_is_up_and_nothing_else_is_there():
    assert os.listdir("/sys/class/net") == ["lo"]
    assert Path("/sys/class/net/lo/flags").read_text() == "0x9\n"


def test_bldr_is_found_with_its_plugins():
    code = "import json; from importlib.metadata import entry_points\n"
    code += "import bldr, bldr_linux, bldr_cc\n"
    code += "print(json.dumps([point.name for point in entry_points(group='bldr')]))"
    ran = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True)
    assert {"linux", "plain"} <= set(json.loads(ran.stdout))


def test_only_root_can_write_to_the_system():
    for path in ("/usr", "/etc/passwd", "/checkout/tests"):
        assert os.stat(path).st_uid == 0
        assert os.access(path, os.W_OK) == ROOT
