"""Attacks from inside and on set-up, each of them really tried; where one hit another sandbox, its number is given."""

import ctypes
import hashlib
import os
import pty
import select
import shutil
import socket
import sys
from pathlib import Path

import pytest

import bldr_linux.compile
from bldr.api import Input, Link, MadeFile, Output, ProcessPolicy, Temp

libc = ctypes.CDLL(None, use_errno=True)

DENIED = {
    "keyctl": "EPERM", "add_key": "EPERM", "request_key=canary": "EPERM", "io_uring": "ENOSYS", "bpf": "EPERM",
    "userfaultfd": "EPERM", "perf": "EPERM", "mount": "EPERM", "remount": "EPERM", "umount": "EPERM",
    "fsopen": "EPERM", "open_tree": "EPERM", "chroot": "EPERM", "pivot_root": "EPERM", "setns": "EPERM",
    "unshare_user": "EPERM", "unshare_user_high": "EPERM", "unshare_mount": "EPERM", "unshare_time": "EPERM",
    "clone_user": "EPERM", "clone_user_high": "EPERM", "clone3": "ENOSYS", "sethostname": "EPERM",
    "trace_init": "EPERM", "read_init": "EPERM", "steal_fd": "EPERM", "compare_init": "EPERM", "setns_init": "EPERM",
    "open_tree_attr": "EPERM", "relabel": "EPERM", "unjudged": "ENOSYS", "vsock": "EAFNOSUPPORT", "alg": "EAFNOSUPPORT",
    "packet": "EAFNOSUPPORT", "raw_socket": "EPERM", "device": "EPERM", "handle": "EPERM", "ambient": "EPERM",
    "new_privileges": "EINVAL", "setgroups": "EPERM",
}  # fmt: skip
HARMLESS = (
    "fork",
    "unshare_files",
    "trace_child",
    "own_loopback",
    "own_shm",
    "netlink",
    "kill_init",
    "own_filter",
    "fork",
)


def test_system_calls_that_lead_out_fail(attack):
    assert attack(*DENIED, temps=(Temp("/tmp"),)) == DENIED


def test_what_programs_need_still_works(attack):
    """`kill_init` is harmless because pid 1 does not hear of it: the command goes on."""
    assert set(attack(*HARMLESS).values()) == {"ok"}


def test_becoming_root_fails(attack):
    assert attack("setuid")["setuid"] in ("EPERM", "EINVAL")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86-64 has two more ways to call the kernel")
def test_other_system_call_numbers_do_not_exist(attack):
    names = ("i386_getpid", "i386_unshare", "i386_keyctl", "x32_getpid", "x32_unshare")
    assert attack(*names) == dict.fromkeys(names, "ENOSYS")


def test_nothing_can_be_typed_into_the_caller_s_terminal(attack):
    controller, terminal = pty.openpty()
    names = ("tiocsti", "tiocsti_high", "tioclinux", "tioclinux_high")
    try:
        answers = attack(*names, "tiocgwinsz", stdin=terminal)
        assert answers == {**dict.fromkeys(names, "EPERM"), "tiocgwinsz": "ok"}
        os.set_blocking(terminal, False)
        with pytest.raises(BlockingIOError):
            os.read(terminal, 1)
    finally:
        os.close(controller)
        os.close(terminal)


def test_listeners_of_the_host_are_out_of_reach(attack, box):
    """TCP, abstract and path sockets; the path lies in a directory that is not declared."""
    name = f"bldr-test-{os.getpid()}"
    path = str(box.root / "socket")
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as named, socket.socket() as tcp:
        abstract.bind("\0" + name)
        named.bind(path)
        os.chmod(path, 0o777)
        tcp.bind(("127.0.0.1", 0))
        for listener in (abstract, named, tcp):
            listener.listen()
        port = tcp.getsockname()[1]
        attempts = (f"abstract_socket={name}", f"path_socket={path}", f"tcp={port}", "route_out")
        assert list(attack(*attempts).values()) == ["ECONNREFUSED", "ENOENT", "ECONNREFUSED", "ENETUNREACH"]
        assert not select.select([abstract, named, tcp], [], [], 0)[0]


def test_a_socket_cannot_be_declared(box):
    path = str(box.root / "socket")
    with socket.socket(socket.AF_UNIX) as named:
        named.bind(path)
        ended = box.run("true", more_inputs=(Input("/socket", path),))
    assert "neither a directory nor a regular file" in ended.exit.failure.message


def test_shared_memory_and_keys_of_the_host_are_invisible(attack, box):
    key = 0x62640000 | (os.getpid() & 0xFFFF)
    segment = libc.shmget(key, 4096, 0o1666)
    assert segment >= 0
    shared = Path(f"/dev/shm/bldr-test-{os.getpid()}")
    shared.write_text("canary")
    try:
        attempts = (f"shm={key}", f"read={shared}")
        assert list(attack(*attempts).values()) == ["ENOENT", "ENOENT"]
        assert box.sh("cat /proc/keys /proc/key-users; cat /proc/sysvipc/shm | wc -l").out.split() == ["1"]
    finally:
        shared.unlink()
        libc.shmctl(segment, 0, None)


def test_files_of_the_host_are_absent(attack, box):
    secret = box.root / "secret"
    secret.write_text("canary")
    home = os.path.expanduser("~")
    paths = ["/etc/passwd", "/etc/shadow", "/root", "/home", "/sys", "/run", "/boot", "/var", "/proc/kcore",
             "/proc/1/root", "/proc/1/cwd", "/proc/1/exe", "/proc/1/environ", "/proc/1/mem", str(secret),
             home]  # fmt: skip
    answers = attack(*(f"read={path}" for path in paths))
    assert {path: answers[f"read={path}"] for path in paths if answers[f"read={path}"] == "ok"} == {}
    assert attack("leave") == {"leave": "EBADF"}


def test_the_kernel_s_knobs_cannot_be_turned(attack):
    paths = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory",
             "/proc/sysrq-trigger", "/proc/self/uid_map", "/proc/self/oom_score_adj",
             "/proc/sys/user/max_user_namespaces", "/proc/irq/0/smp_affinity"]  # fmt: skip
    answers = attack(*(f"write={path}" for path in paths))
    assert "ok" not in answers.values()
    assert attack("read=/sys", "create=/proc/x", "create=/dev/x", "create=/x") == {
        "read=/sys": "ENOENT",
        "create=/proc/x": "ENOENT",
        "create=/dev/x": "EROFS",
        "create=/x": "EROFS",
    }


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to map it")
def test_the_knobs_hold_for_the_host_s_own_root(make_box, hostile_program):
    """An embedder may let actions run as the caller: then /proc takes the action for the host's root."""
    box = make_box(map_caller=True)
    shutil.copy(hostile_program, box.root / "payload")
    paths = [
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/usr/x",
        "/dev/null/x",
    ]
    attempts = [f"write={path}" for path in paths] + ["read=/proc/kmsg", "read=/proc/kcore"]
    ended = box.run("/payload", *attempts, more_inputs=(Input("/payload", str(box.root / "payload")),))
    assert ended.exit_code == 0, ended
    refused = {attempt for attempt, answer in ended.answers.items() if answer != "ok"}
    # What can be opened all the same is /dev/null, laid over the entry.
    assert set(attempts) - refused <= {"write=/proc/sysrq-trigger", "read=/proc/kmsg", "read=/proc/kcore"}
    assert box.sh("cat /proc/kmsg /proc/kcore").out == ""
    # The nodes of /dev belong to the action's user here; their modes must not be its to change.
    assert box.sh("chmod 600 /dev/null && exit 7 || chmod 600 /dev/zero && exit 7 || true").exit_code == 0
    assert os.stat("/dev/null").st_mode & 0o777 == 0o666


def test_the_launcher_s_executable_cannot_be_overwritten(box):
    """CVE-2019-5736: pid 1 is the launcher's program, from the host, outside the read-only mounts."""
    digest = hashlib.sha256(Path(sys.executable).read_bytes()).digest()
    ended = box.sh(
        "for p in /proc/1/exe /proc/1/fd/0 /proc/1/map_files; do (: >> $p) 2>/dev/null && exit 7; done; true"
    )
    assert ended.exit_code == 0, ended
    assert box.sh("ls /proc/1/fd || cat /proc/1/exe || echo denied").out == "denied\n"
    assert hashlib.sha256(Path(sys.executable).read_bytes()).digest() == digest


def test_exactly_three_descriptors_are_open(attack):
    with open(os.devnull) as leaked:
        os.set_inheritable(leaked.fileno(), True)
        assert attack("descriptors") == {"descriptors": "ok"}


def test_a_directory_is_refused_as_a_standard_stream(box):
    """CVE-2024-21626: it would be a way out."""
    fd = os.open("/", os.O_RDONLY)
    try:
        ended = box.run("true", stdin=fd)
    finally:
        os.close(fd)
    assert "a directory cannot be a standard stream" in ended.exit.failure.message


def listing(path):
    return sorted((entry, os.lstat(entry).st_mtime_ns) for entry in Path(path).rglob("*"))


@pytest.mark.parametrize("link", ["absolute", "relative"])
def test_planted_links_lead_set_up_nowhere(box, link):
    """A link in a parent of everything that can be mounted or made, as bubblewrap before 0.12 followed it."""
    victim = box.directory("victim", 0o777)
    (victim / "sub").mkdir(mode=0o777)
    (victim / "file").write_text("untouched")
    target = str(victim) if link == "absolute" else "../" * 20 + str(victim).lstrip("/")
    planted = box.directory("planted", 0o777)
    (planted / "a").symlink_to(target)
    tree = box.tree()
    os.symlink(target, f"{tree.lower}/a")
    before = listing(victim)
    for spec in (
        {"temps": (Temp("/p/a/sub"),)},
        {"files": (MadeFile("/p/a/file", b"led astray"),)},
        {"files": (MadeFile("/build/a/new", b"led astray"),)},
        {"more_inputs": (Input("/p", str(planted)), Input("/p/a/sub", "/usr/bin"))},
        {"outputs": (Output("/build/a/file", str(planted)),)},
        {"links": (Link("/build/a/x", "y"),)},
    ):
        options = {"more_inputs": (Input("/p", str(planted)),), "tree": tree, **spec}
        box.run("true", **options)
        assert listing(victim) == before, spec
        assert (victim / "file").read_text() == "untouched"


def test_trees_with_ordinary_links_work(box):
    tree = box.tree({"real/data": "found"})
    os.symlink("real", f"{tree.lower}/link")
    assert box.run("cat", "link/data", tree=tree).out == "found"


@pytest.mark.full
def test_a_racing_link_leads_set_up_nowhere(box):
    """CVE-2021-30465: somebody swaps a directory of an output for a link while sandboxes are set up in it."""
    victim = box.directory("victim", 0o777)
    output = box.directory("output", 0o777, own=True)
    swapper = os.fork()
    if swapper == 0:
        try:
            os.mkdir(output / "dir")
            os.symlink(victim, output / "link")
            while True:
                os.rename(output / "dir", output / "aside")
                os.rename(output / "link", output / "dir")
                os.rename(output / "dir", output / "link")
                os.rename(output / "aside", output / "dir")
        finally:
            os._exit(1)
    try:
        seen = set()
        for _ in range(60):
            ids = [
                box.start(
                    "true",
                    outputs=(Output("/out", str(output)),),
                    temps=(Temp("/out/dir/made"),),
                    inputs=(Input("/usr"),),
                )
                for _ in range(8)
            ]
            seen |= {box.wait(launch).exit.failure is None for launch in ids}
        assert list(victim.iterdir()) == []
    finally:
        os.kill(swapper, 9)
        os.waitpid(swapper, 0)
    assert True in seen


def test_device_nodes_are_verified(box, monkeypatch):
    """CVE-2025-31133: `/dev/null` of the host swapped for something else."""
    fake = box.root / "null"
    fake.write_text("not a device")
    reachable = "null" if box.launcher.owner else str(fake)
    for swapped in (reachable, "/dev/zero", "/dev/full"):
        genuine = bldr_linux.compile._system

        def plant(host, swapped=swapped, genuine=genuine):
            return tuple(
                (*operation[:2], swapped, *operation[3:]) if operation[1] in ("/dev/null", "/proc/keys") else operation
                for operation in genuine(host)
            )

        monkeypatch.setattr(bldr_linux.compile, "_system", plant)
        ended = box.run("true")
        monkeypatch.undo()
        assert "not the character device 1:3" in ended.exit.failure.message


def test_set_user_id_programs_give_nothing(box):
    """Mounts are nosuid and new privileges are off: `su` runs as whoever runs it."""
    ended = box.sh(
        "cp /usr/bin/id /tmp/id && chmod 4755 /tmp/id && /tmp/id -u; grep -E '^(NoNewPrivs|Cap...):' /proc/self/status"
    )
    assert ended.out.split()[0] == "1000"
    values = dict(line.split() for line in ended.out.splitlines()[1:])
    assert values.pop("NoNewPrivs:") == "1"
    assert set(values.values()) == {"0000000000000000"}
    assert len(values) == 5


def test_root_in_the_sandbox_has_no_capabilities_either(box, attack):
    policy = ProcessPolicy(uid=0, gid=0)
    ended = box.sh("id -u; grep -E '^Cap...:' /proc/self/status", process=policy)
    assert ended.out.split()[0] == "0"
    assert {line.split()[1] for line in ended.out.splitlines()[1:]} == {"0000000000000000"}
    names = ("mount", "chroot", "unshare_mount", "sethostname", "device")
    assert set(attack(*names, process=policy, temps=(Temp("/tmp"),)).values()) == {"EPERM"}
