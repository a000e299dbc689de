"""Nothing of one launch reaches the next: programs that leave whatever they can, and programs that look for it.

Launches that are alike run one after the other in one cell, which keeps namespaces and a root directory.
"""

import os
import subprocess
from pathlib import Path

import pytest

from bldr.api import Input, MadeFile, ResourceLimits, Temp

WORLD = (Path(__file__).parent / "world.py").read_text()
LEAVE_FILES = r"""
import os
left = 0
for top in ("/", "/in", "/usr"):
    for directory, names, files in os.walk(top):
        if directory.startswith("/proc") or (directory.startswith("/usr") and directory.count("/") > 2):
            names.clear()
            continue
        for attempt in (
            lambda: os.open(f"{directory}/mark", os.O_CREAT | os.O_WRONLY),
            lambda: os.symlink("mark", f"{directory}/mark.link"),
            lambda: os.mkdir(f"{directory}/mark.directory"),
            lambda: os.chmod(directory, 0o700),
            lambda: os.utime(directory),
            lambda: os.setxattr(directory, "user.mark", b"1"),
        ):
            try:
                attempt()
                left += 1
            except OSError:
                pass
        if len(files) < 50:
            for name in files:
                for attempt in (
                    lambda: os.truncate(f"{directory}/{name}", 0),
                    lambda: os.unlink(f"{directory}/{name}"),
                    lambda: os.chmod(f"{directory}/{name}", 0o777),
                    lambda: os.rename(f"{directory}/{name}", f"{directory}/{name}.mark"),
                ):
                    try:
                        attempt()
                    except OSError:
                        pass
print(left > 0)
"""
LEAVE_PROCESSES = r"""
import os, signal, time
for number in range(30):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 32):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            while True:
                time.sleep(1000)
        os._exit(0)
print(True)
"""
LEAVE_SOCKETS = r"""
import array, os, socket
# Names that are held by sockets which only they themselves hold, on their way: the kernel finds out later.
for number in range(20):
    name = f"\0mark{number}"
    one, two = socket.socketpair()
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(name)
    bound.listen()
    fds = array.array("i", [one.fileno(), two.fileno(), bound.fileno()])
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    two.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
datagrams.bind("\0mark")
held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
held.connect("\0mark")
held.send(b"for the next one")
if os.fork() == 0:
    os.setsid()
    while True:
        datagrams.recv(1, socket.MSG_PEEK)
print(True)
"""
LOOK_FOR_SOCKETS = r"""
import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for number in ["", *range(20)]:
        name = f"\0mark{number}"
        try:
            socket.socket(socket.AF_UNIX, kind).connect(name)
            print("reached", number)
        except ConnectionRefusedError:
            pass
        socket.socket(socket.AF_UNIX, kind).bind(name)
print("clean")
"""
LEAVE_PORTS = r"""
import socket
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    listener = socket.socket(family)
    listener.bind((address, 5000))
    listener.listen()
    client = socket.create_connection((address, 5000))
    accepted, _ = listener.accept()
    accepted.send(b"mark")
    accepted.close()  # first: this end waits for a minute
    client.recv(4)
    client.close()
    listener.close()
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.bind((address, 5001))
    udp.sendto(b"mark", (address, 5001))
    udp.sendto(b"mark", (address, 5002))
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        try:
            socket.socket(family, kind).connect((address, 9))
        except OSError:
            pass
print(True)
"""
LEAVE_QUIETLY = r"""
import socket, struct
quiet = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
for sock, address in zip(quiet, ("127.0.0.1", "::1")):
    sock.connect((address, 9))  # looks a route up, sends nothing
label = struct.pack("@16s4sBBHHHI", socket.inet_pton(socket.AF_INET6, "::1"), b"\0\1\2\3", 0, 1, 1, 60, 60, 0)
labelled = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
labelled.setsockopt(socket.IPPROTO_IPV6, 32, label)  # a flow label that lingers
print(True)
"""
LEAVE_GROUP_4 = r"""
import socket
group = socket.inet_aton("239.1.2.3") + socket.inet_aton("127.0.0.1")
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
print(True)
"""
LEAVE_GROUP_6 = r"""
import socket, struct
group = socket.inet_pton(socket.AF_INET6, "ff02::77") + struct.pack("@I", 1)
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
print(True)
"""
LOOK_FOR_PORTS = r"""
import socket
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for kind, port in ((socket.SOCK_STREAM, 5000), (socket.SOCK_DGRAM, 5001)):
        socket.socket(family, kind).bind((address, port))
print("clean")
"""
LEAVE_IPC = r"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
librt = ctypes.CDLL("librt.so.1", use_errno=True)
made = [libc.shmget(77, 4096, 0o1666), libc.semget(77, 1, 0o1666), libc.msgget(77, 0o1666)]
made.append(librt.mq_open(b"/mark", os.O_CREAT | os.O_RDWR, 0o666, None))
with open("/dev/shm/mark", "w") as file:
    file.write("mark")
print(all(number >= 0 for number in made))
"""
LOOK_FOR_IPC = r"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
librt = ctypes.CDLL("librt.so.1", use_errno=True)
print([libc.shmget(77, 0, 0), libc.semget(77, 0, 0), libc.msgget(77, 0), librt.mq_open(b"/mark", os.O_RDWR)])
print(os.listdir("/dev/shm"))
"""
LEAVE_KEYS = r"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
add_key, keyctl, request_key = 248, 250, 249
answers = [libc.syscall(add_key, b"user", b"mark", b"x", 1, ring) for ring in range(-8, 0)]
answers += [libc.syscall(keyctl, operation, -3, 0, 0, 0) for operation in range(0, 32)]
print(set(answers) == {-1})
"""
LEAVE_LOCKS = r"""
import fcntl, os, time
files = [open(path) for path in ("/etc/made", "/in/file", "/dev/null")]
for file in files:
    fcntl.flock(file, fcntl.LOCK_SH)
    fcntl.lockf(file, fcntl.LOCK_SH)
if os.fork() == 0:
    os.setsid()
    time.sleep(1000)
print(True)
"""
LOOK_FOR_LOCKS = r"""
import fcntl
for path in ("/etc/made", "/in/file"):
    fcntl.flock(open(path), fcntl.LOCK_EX | fcntl.LOCK_NB)
print("clean")
"""
LEAVE_STATE = r"""
import ctypes, os, pty, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
held = [pty.openpty() for _ in range(5)]
for number in range(2, 16):
    try:
        resource.setrlimit(number, (0, resource.getrlimit(number)[1]))
    except (OSError, ValueError):
        pass
for call in (lambda: libc.sethostname(b"mark", 4), lambda: libc.setdomainname(b"mark", 4), lambda: os.nice(5)):
    call()
for path, value in (("oom_score_adj", "1000"), ("coredump_filter", "7f"), ("timerslack_ns", "1"), ("comm", "mark")):
    for process in ("self", "1"):
        try:
            with open(f"/proc/{process}/{path}", "w") as file:
                file.write(value)
        except OSError:
            pass
os.umask(0o777)
os.kill(1, signal.SIGUSR1)
print(True)
"""


def cells(box):
    """How many kinds of cells there are; all of a kind are made anew when something is mounted on the machine."""
    return len(keys(box))


def keys(box):
    return {cell.key for cell in box.launcher._pool if cell.key is not None}


@pytest.fixture
def kept(box):
    """Runs programs in one cell, one after the other; the tree is a new one every time."""
    source = box.directory("in", 0o777, own=True)
    (source / "file").write_text("the host's")
    options = {
        "more_inputs": (Input("/in", str(source)),),
        "files": (MadeFile("/etc/made", b"made"),),
        "temps": (Temp("/tmp"), Temp("/scratch", 1 << 20)),
        "resources": ResourceLimits(processes=100),
    }

    def run(program, *, staged=True, **more):
        tree = box.tree({"source": "x"}) if staged else None
        ended = box.run("python3", "-S", "-c", program, tree=tree, cwd="/", **options, **more)
        assert ended.exit.failure is None, ended
        return ended

    yield run
    assert cells(box) == 1


@pytest.mark.parametrize(
    "leave",
    [
        LEAVE_FILES, LEAVE_PROCESSES, LEAVE_SOCKETS, LEAVE_PORTS, LEAVE_QUIETLY, LEAVE_IPC, LEAVE_KEYS, LEAVE_LOCKS,
        LEAVE_STATE,
    ],
    ids=["files", "processes", "sockets", "ports", "quietly", "ipc", "keys", "locks", "state"],
)  # fmt: skip
def test_the_next_one_sees_the_world_as_the_first_one_did(kept, leave):
    first = kept(WORLD)
    assert first.exit_code == 0, first
    left = kept(leave)
    assert left.out == "True\n", left
    assert kept(WORLD).out == first.out


@pytest.mark.parametrize("leave", [LEAVE_GROUP_4, LEAVE_GROUP_6], ids=["4", "6"])
def test_what_is_sent_later_does_not_reach_the_next_one(kept, leave):
    """The kernel tells the neighbours of a multicast group, after a while, that somebody left it."""
    first = kept(WORLD)
    assert kept(leave).out == "True\n"
    assert kept("import time; time.sleep(3)\n" + WORLD).out == first.out


@pytest.mark.parametrize(
    ("leave", "look", "answer"),
    [
        (LEAVE_SOCKETS, LOOK_FOR_SOCKETS, "clean\n"),
        (LEAVE_PORTS, LOOK_FOR_PORTS, "clean\n"),
        (LEAVE_IPC, LOOK_FOR_IPC, "[-1, -1, -1, -1]\n[]\n"),
        (LEAVE_LOCKS, LOOK_FOR_LOCKS, "clean\n"),
    ],
    ids=["sockets", "ports", "ipc", "locks"],
)
def test_what_was_left_is_not_found(kept, leave, look, answer):
    assert kept(leave).out == "True\n"
    found = kept(look)
    assert found.out == answer, found


def test_what_looks_for_something_would_find_it(kept):
    """The searches above are worth something: in one launch they see what was left."""
    assert "reached" in kept(LEAVE_SOCKETS.replace("print(True)", LOOK_FOR_SOCKETS.replace(".bind(name)", ""))).out
    assert "Address already in use" in kept(LEAVE_PORTS.replace("print(True)", LOOK_FOR_PORTS)).err
    assert "-1" not in kept(LEAVE_IPC.replace("print(", "(").rstrip() + "\n" + LOOK_FOR_IPC).out


def test_a_network_that_was_used_is_not_used_again(kept):
    name = "import os; print(os.readlink('/proc/self/ns/net'))"
    first = kept(name).out
    assert kept(name).out == first
    assert kept(LEAVE_PORTS).out == "True\n"
    assert kept(name).out != first


def test_namespaces_that_hold_what_is_made_are_never_used_again(box):
    names = ("pid", "mnt", "ipc", "uts", "cgroup")
    held, seen = [], []
    for _ in range(4):
        stdin, closing = os.pipe()
        launch = box.start("cat", stdin=stdin, announce=True)
        (started,) = box.until(box.launcher.started)
        # As long as one is open its number is not given to another.
        held += [os.open(f"/proc/{started.pid}/ns/{name}", os.O_RDONLY) for name in names]
        seen += [os.fstat(fd).st_ino for fd in held[-len(names) :]]
        for fd in (stdin, closing, started.pidfd):
            os.close(fd)
        assert box.wait(launch).exit_code == 0
    assert len(set(seen)) == len(seen)
    assert cells(box) == 1
    for fd in held:
        os.close(fd)


def test_after_a_launch_that_was_killed(kept):
    first = kept(WORLD).out
    killed = kept("import os; os.kill(os.getpid(), 9)")
    assert killed.exit.signal == 9
    assert kept(WORLD).out == first


FILL_IPC = r"""
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/shm.h>
int main(void) {
    char name[32];
    int queues = 0, segments = 0;
    for (; sprintf(name, "/queue%d", queues), mq_open(name, O_CREAT | O_RDWR, 0600, NULL) >= 0; queues++) {}
    for (int id; (id = shmget(100 + segments, 1 << 20, 01600)) >= 0 && !shmctl(id, SHM_LOCK, 0); segments++) {}
    printf("%d %d\n", queues, segments);
}
"""


def test_a_launch_may_use_up_what_the_one_before_did(box):
    """Limits of queues and of locked memory are the user's, and an IPC namespace lives on after its last process."""
    directory = box.directory("programs", 0o755)
    (directory / "fill.c").write_text(FILL_IPC)
    subprocess.run(["gcc", "-o", directory / "fill", directory / "fill.c"], check=True)
    inputs = (Input("/programs", str(directory)),)
    answers = {box.run("/programs/fill", more_inputs=inputs).out for _ in range(20)}
    assert len(answers) == 1
    queues, segments = map(int, answers.pop().split())
    assert queues > 0
    assert segments > 0
