"""Devices by name, /sys on demand, and what is refused of both."""

import os
import stat

import pytest

import bldr_linux.devices
from bldr.api import Input, Launch, Level, NetworkPolicy, SandboxSpec
from bldr_linux.compile import Host, RefusedError, compile_launch
from bldr_linux.devices import Node, look

HOST = Host(root="/store", relative=False, is_root=False)


def plan(host=HOST, **spec):
    found = Launch(launch_id=1, spec=SandboxSpec(**spec), argv=("x",), cwd="/", stdin=0, stdout=1, stderr=2)
    return compile_launch(found, host)["operations"]


def added(host=HOST, **spec):
    usual = plan(network=spec.get("network", NetworkPolicy()))
    return [operation for operation in plan(host, **spec) if operation not in usual]


def test_a_device_is_shown_at_its_own_name_with_its_number():
    nodes = (Node("/dev/dri/renderD128", "character", 226, 128), Node("/dev/loop0", "block", 7, 0))
    assert added(HOST._replace(nodes=nodes), devices=("/dev/loop0", "/dev/dri/renderD128")) == [
        ("node", "/dev/dri/renderD128", "/dev/dri/renderD128", "character", 226, 128),
        ("node", "/dev/loop0", "/dev/loop0", "block", 7, 0),
    ]


def test_what_every_sandbox_has_is_nothing_new():
    assert added(devices=("/dev/null", "/dev/zero", "/dev/tty")) == []


REFUSED = {
    "/etc/passwd": "no name below /dev",
    "dev/kvm": "no name below /dev",
    "/dev/../etc/passwd": "no name below /dev",
    "/dev//kvm": "no name below /dev",
    "/dev/none": 'no device "/dev/none" on this machine',
    "/dev/mem": "the machine's memory",
    "/dev/kmem": "the kernel's memory",
    "/dev/port": "the machine's ports",
    "/dev/link-to-mem": "the machine's memory",
    "/dev/pts/0": "the sandbox has its own",
    "/dev/ptmx": "the sandbox has its own",
    "/dev/shm": "the sandbox has its own",
    "/dev/fd/3": "the sandbox has its own",
    "/dev/stdin": "the sandbox has its own",
}
NODES = (
    Node("/dev/none"),
    Node("/dev/mem", "character", 1, 1),
    Node("/dev/kmem", "character", 1, 2),
    Node("/dev/port", "character", 1, 4),
    Node("/dev/link-to-mem", "character", 1, 1),
    Node("/dev/pts/0", "character", 136, 0),
)


@pytest.mark.parametrize("path", REFUSED)
def test_what_cannot_be_given_is_refused_with_a_reason(path):
    with pytest.raises(RefusedError) as caught:
        plan(HOST._replace(nodes=NODES), devices=(path,))
    assert REFUSED[path] in caught.value.failure.message
    assert caught.value.failure.hint


def test_what_a_name_stands_for_is_looked_up(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("/dev/zero")
    names = [str(tmp_path / name) for name in ("file", "link", "missing")]
    assert look(names) == (Node(names[0]), Node(names[1], "character", 1, 5), Node(names[2]))


def test_sysfs_is_fresh_where_the_network_is_the_action_s_own():
    fresh = added(sysfs=True)
    assert fresh[0] == ("sysfs", "/sys")
    assert ("hide", "/sys/firmware") in fresh
    bound = added(sysfs=True, network=NetworkPolicy(host=True))
    assert bound[0] == ("bind-sysfs", "/sys", "/sys")
    assert {("hide", "/sys/firmware"), ("hide", "/sys/fs/cgroup"), ("hide", "/sys/kernel/debug")} < set(bound)


def test_nothing_else_stands_in_sys():
    with pytest.raises(RefusedError) as caught:
        plan(sysfs=True, inputs=(Input("/sys/x", "/x"),))
    assert "/sys is the sandbox's own" in caught.value.failure.message
    assert ("bind", "/sys/x", "/x", "ro") in plan(inputs=(Input("/sys/x", "/x"),))


def test_filters_of_the_caller_s_are_programs():
    def filters(*programs):
        found = Launch(
            launch_id=1, spec=SandboxSpec(filters=programs), argv=("x",), cwd="/", stdin=0, stdout=1, stderr=2
        )
        return compile_launch(found, HOST)["filters"]

    allow = bytes((6, 0, 0, 0, 0, 0, 0xFF, 0x7F))
    assert filters(allow, allow * 4096) == (allow, allow * 4096)
    for program in (b"", b"1234567", allow + b"1", allow * 4097):
        with pytest.raises(RefusedError) as caught:
            filters(allow, program)
        assert f"filter 2 is {len(program)} bytes long" in caught.value.failure.message


@pytest.fixture
def device(box):
    """A device that actions may open and do not have anyway."""
    for path in ("/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/hwrng", "/dev/autofs"):
        try:
            mode, owner = os.stat(path).st_mode, box.launcher.owner
        except OSError:
            continue
        # Root's launcher is somebody else by now.
        if mode & stat.S_IROTH if owner else os.access(path, os.R_OK):
            return path
    pytest.skip("there is no device that an ordinary user may open")


def test_a_device_works_in_the_sandbox(box, device):
    """That it can be opened is enough: what it then does is its own affair."""
    there = os.stat(device)
    ended = box.sh(f"stat -c '%F %t %T' {device}; exec 3< {device}; echo opened; ls /dev", devices=(device,))
    kind, major, minor, opened, *names = ended.out.replace("character special file", "character").split()
    assert (kind, int(major, 16), int(minor, 16)) == ("character", os.major(there.st_rdev), os.minor(there.st_rdev))
    assert opened == "opened"
    assert device.split("/")[2] in names
    assert ended.exit.isolation["devices"] is Level.KERNEL
    assert device not in box.sh("ls /dev").out.split()


def test_the_modes_of_devices_are_not_the_action_s_to_change(box, device):
    mode = os.stat(device).st_mode
    assert box.sh(f"chmod 600 {device} 2>/dev/null && exit 7; true", devices=(device,)).exit_code == 0
    assert os.stat(device).st_mode == mode


def test_a_device_that_became_another_is_refused(box, monkeypatch):
    """Between the look at its name and the mount somebody swapped it."""
    monkeypatch.setattr(bldr_linux.devices, "look", lambda paths: tuple(Node(p, "character", 10, 99) for p in paths))
    if not os.path.exists("/dev/kmsg"):
        pytest.skip("there is no device to be taken for another")
    ended = box.run("true", devices=("/dev/kmsg",))
    assert "not the character device 10:99" in ended.exit.failure.message
    monkeypatch.setattr(bldr_linux.devices, "look", lambda paths: tuple(Node(p, "block", 1, 11) for p in paths))
    assert "not the block device 1:11" in box.run("true", devices=("/dev/kmsg",)).exit.failure.message


def test_a_device_that_the_action_may_not_open_fails_set_up(box):
    closed = [path for path in ("/dev/loop-control", "/dev/fuse", "/dev/kvm", "/dev/console") if os.path.exists(path)]
    closed = [path for path in closed if stat.S_IMODE(os.stat(path).st_mode) & 0o006 == 0]
    closed = [path for path in closed if box.launcher.owner or not os.access(path, os.R_OK)]
    if not closed:
        pytest.skip("every device may be opened by everybody here")
    failure = box.run("true", devices=(closed[0],)).exit.failure
    assert failure.message == f'cannot use the device "{closed[0]}": permission denied'
    assert "member of its group" in failure.hint


def test_there_is_no_sysfs_unless_it_is_asked_for(box):
    assert box.sh("test -e /sys || echo absent").out == "absent\n"


@pytest.mark.parametrize("network", [NetworkPolicy(), NetworkPolicy(host=True)], ids=["own", "host"])
def test_sysfs_is_read_only_and_holds_no_secrets(box, network):
    script = """
        ls -d /sys/devices/system/cpu /sys/class/net/lo
        ls -A /sys/firmware /sys/kernel/debug /sys/kernel/tracing /sys/kernel/security /sys/fs/cgroup 2>/dev/null |
            grep -v : | grep . | wc -l
        grep ' /sys' /proc/self/mounts | cut -d' ' -f4 | cut -d, -f1 | sort -u
        (: > /sys/kernel/mm/transparent_hugepage/enabled) 2>/dev/null && exit 7
        (: > /sys/kernel/uevent_helper) 2>/dev/null && exit 7
        true
    """
    ended = box.sh(script, sysfs=True, network=network)
    assert ended.exit_code == 0, ended
    assert ended.out.split() == ["/sys/class/net/lo", "/sys/devices/system/cpu", "0", "ro"]


def test_the_host_s_network_devices_are_not_in_a_fresh_sysfs(box):
    assert box.sh("ls /sys/class/net", sysfs=True).out.split() == ["lo"]
