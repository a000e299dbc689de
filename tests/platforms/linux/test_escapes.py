"""More ways out of a sandbox, tried by programs that go through all there is instead of a list of the known."""

import ctypes
import hashlib
import os
import re
import select
import socket
import sys
from pathlib import Path

import pytest

from bldr.api import Output, ProcessPolicy, ResourceLimits

PYTHON = "/usr/bin/python3"
HERE = Path(__file__).parent
LAUNCHER = HERE.parents[2] / "platforms/bldr_linux"
libc = ctypes.CDLL(None, use_errno=True)
needs_python = pytest.mark.skipif(not os.path.exists(PYTHON), reason="the system has no /usr/bin/python3")

OPEN_ALL = """
import os, sys
for directory, names, files in os.walk(sys.argv[1]):
    names[:] = [n for n in names if not n.isdigit() and n not in ("self", "thread-self")]
    for name in files:
        path = f"{directory}/{name}"
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
            try:
                fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
            except OSError:
                continue
            if os.fstat(fd).st_rdev != os.makedev(1, 3):  # the null device, laid over what nobody may touch
                print(path)
            os.close(fd)
for directory, names, files in os.walk(sys.argv[1]):
    names[:] = [n for n in names if not n.isdigit() and n not in ("self", "thread-self")]
    for act, arguments in ((os.mkdir, ()), (os.mknod, ()), (os.chmod, (0o777,))):
        try:
            act(directory if arguments else f"{directory}/new", *arguments)
        except OSError:
            continue
        print("changed", directory)
"""


@needs_python
@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_no_knob_of_the_kernel_opens_for_writing(box, place):
    """Every file there is: /proc/sys, sysrq-trigger, the knobs of control groups, whatever a newer kernel brings."""
    ended = box.run(PYTHON, "-c", OPEN_ALL, place, sysfs=place == "/sys")
    assert (ended.exit_code, ended.out) == (0, ""), ended


@needs_python
@pytest.mark.root
@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_no_knob_opens_for_the_host_s_own_root(make_box, place):
    ended = make_box(map_caller=True).run(PYTHON, "-c", OPEN_ALL, place, sysfs=place == "/sys")
    assert (ended.exit_code, ended.out) == (0, ""), ended


OVERWRITE = """
import os, sys
for pid in ("self", *(n for n in os.listdir("/proc") if n.isdigit())):
    names = ("exe", "fd/3", "oom_score_adj", "uid_map")
    for name in (*names, "mem", "fd/0", "fd/1", "cwd", "root", "map_files", "environ") if pid == "1" else names:
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_TRUNC):
            try:
                os.open(f"/proc/{pid}/{name}", flags)
            except OSError:
                continue
            print(pid, name)
"""


@needs_python
@pytest.mark.parametrize("as_pid_1", [False, True])
def test_no_executable_is_overwritten_through_proc(box, as_pid_1):
    """CVE-2019-5736 from every process that can be seen, also where the command has taken pid 1's place."""
    programs = {Path(name).resolve() for name in (sys.executable, PYTHON)}
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in programs}
    ended = box.run(PYTHON, "-c", OVERWRITE, process=ProcessPolicy(as_pid_1=as_pid_1))
    # As pid 1 it may do to itself what any process may: its memory, its own standard streams.
    own = {"1 mem", "1 fd/0", "1 fd/1"} if as_pid_1 else set()
    assert ended.exit_code == 0, ended
    assert set(ended.out.splitlines()) <= own
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in programs} == before


TAMPER = """
import os, resource, signal
for number in range(16):
    try:
        resource.prlimit(1, number, (0, 0))
    except OSError:
        pass
for act in (lambda: os.sched_setaffinity(1, {0}), lambda: os.setpriority(os.PRIO_PROCESS, 1, 19),
            lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))):
    try:
        act()
    except OSError:
        pass
for number in range(1, 65):
    try:
        os.kill(1, number)
    except OSError:
        pass
print("done", flush=True)
os._exit(7)
"""


@needs_python
@pytest.mark.parametrize("limits", [ResourceLimits(), ResourceLimits(cpu_time_s=5.0, processes=30, wall_time_s=30.0)])
def test_pid_1_cannot_be_talked_out_of_its_report(box, limits):
    """Limits, priority and signals of pid 1 are within reach of its own user; how the command ended stays true."""
    for _ in range(5):
        ended = box.run(PYTHON, "-c", TAMPER, resources=limits)
        assert ended.exit.failure is None, ended
        assert (ended.exit_code, ended.out) == (7, "done\n"), ended


def test_datagrams_do_not_reach_the_host(box):
    name = f"bldr-test-dgram-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix, socket.socket(type=socket.SOCK_DGRAM) as udp:
        unix.bind("\0" + name)
        udp.bind(("0.0.0.0", 0))
        port = udp.getsockname()[1]
        program = (
            "import socket\n"
            "def send(family, address):\n"
            "    try: socket.socket(family, socket.SOCK_DGRAM).sendto(b'x', address)\n"
            "    except OSError as error: print(error.errno)\n"
            f"send(socket.AF_UNIX, '\\0{name}')\n"
            f"for host in ('127.0.0.1', '255.255.255.255', '192.0.2.1'): send(socket.AF_INET, (host, {port}))\n"
            f"send(socket.AF_INET6, ('::1', {port}))\n"
        )
        box.run(PYTHON, "-c", program)
        assert not select.select([unix, udp], [], [], 0.2)[0]


def test_message_queues_of_the_host_are_invisible(box):
    name = f"/bldr-test-{os.getpid()}".encode()
    queue = libc.mq_open(name, os.O_CREAT | os.O_RDWR, 0o666, None)
    if queue < 0:
        pytest.skip("the kernel has no message queues")
    try:
        program = (
            "import ctypes, errno\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            f"assert libc.mq_open({name!r}, 2) == -1\n"
            "print(errno.errorcode[ctypes.get_errno()])\n"
        )
        assert box.run(PYTHON, "-c", program).out == "ENOENT\n"
    finally:
        libc.mq_unlink(name)
        os.close(queue)


HANDOVER = """
import os, socket, time
here = socket.socket(socket.AF_UNIX)
here.bind("/build/here")
os.chmod("/build/here", 0o777)
here.listen()
here.settimeout(5)
fd = os.open("/build/out", os.O_CREAT | os.O_RDWR, 0o666)
print("ready", flush=True)
try:
    peer, _ = here.accept()
    socket.send_fds(peer, [b"x"], [fd])
    print("passed")
except TimeoutError:
    print("nobody came")
"""


@needs_python
def test_no_descriptor_is_passed_to_the_host_through_the_tree(box):
    """CVE-2024-27297: an accomplice outside knocks at a socket that the action made where its outputs are."""
    tree = box.tree()
    launch = box.start(PYTHON, "-c", HANDOVER, tree=tree)
    box.until(lambda: os.path.exists(f"{tree.upper}/out"))
    with socket.socket(socket.AF_UNIX) as accomplice, pytest.raises(OSError):
        while True:
            accomplice.connect(os.path.relpath(f"{tree.upper}/here"))
            raise AssertionError("a socket in the tree was reached from outside")
    assert box.wait(launch).out == "ready\nnobody came\n"


LINGER = """
import os, signal, sys, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
fd = os.open("/out/digest", os.O_CREAT | os.O_RDWR, 0o666)
os.write(fd, b"good")
for _ in range(50):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                os.pwrite(fd, b"evil%d" % time.monotonic_ns(), 0)
                if os.fork():
                    os._exit(0)
        os._exit(0)
time.sleep(0.1)
os._exit(int(sys.argv[1]))
"""


@needs_python
@pytest.mark.parametrize("end", ["success", "failure", "time", "kill"])
def test_no_writer_outlives_its_launch(box, end):
    """CVE-2025-46416: daemons that move on by forking, deaf to every signal, hold an output open."""
    place = box.directory(f"out-{end}", own=True)
    limits = ResourceLimits(wall_time_s=0.5, grace_s=0.1) if end == "time" else ResourceLimits()
    status = {"success": "0", "failure": "3"}.get(end)
    program = LINGER if status else LINGER.replace("os._exit(int(sys.argv[1]))", "time.sleep(1000)")
    launch = box.start(
        PYTHON, "-c", program, status or "", outputs=(Output("/out", str(place), is_directory=True),), resources=limits
    )
    if end == "kill":
        box.until(lambda: (place / "digest").exists() and (place / "digest").read_bytes()[:4] == b"evil")
        box.launcher.kill(launch)
    ended = box.wait(launch)
    assert ended.exit.failure is None, ended
    digest = (place / "digest").read_bytes()
    for _ in range(20):
        select.select([], [], [], 0.01)
        assert (place / "digest").read_bytes() == digest


def test_processes_are_ended_by_descriptor_only():
    """A number may be somebody else's by now; a child of one's own keeps it until it is waited for."""
    of_children = {
        ("command.py", "pid, number"),
        ("command.py", "-1, _signal.SIGKILL"),
        ("cradle.py", "self.pid, _signal.SIGKILL"),
    }
    found = {
        (path.name, arguments)
        for path in LAUNCHER.glob("*.py")
        for arguments in re.findall(r"os\.kill(?:pg)?\(([^()]*)\)", path.read_text())
    }
    assert found == of_children
