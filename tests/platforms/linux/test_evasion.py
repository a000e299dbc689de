"""Limits under attack: what is written where the one who counts might not look, or while it is busy elsewhere."""

import os
import subprocess

import pytest

from bldr.api import Level, ResourceLimits

MIB = 1 << 20
PYTHON = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(not os.path.exists(PYTHON), reason="the system has no /usr/bin/python3")


@pytest.fixture
def evade(box):
    """Runs a Python program in a tree under limits; the verdict. It gives up by itself after 20 seconds, as exit 9."""

    def run(program, **limits):
        limits.setdefault("grace_s", 0.1)
        lines = (
            "import os, signal, sys, time\nsignal.signal(signal.SIGALRM, lambda *_: os._exit(9))\nsignal.alarm(20)\n"
        )
        tree = box.tree()
        ended = box.run(PYTHON, "-c", lines + program, tree=tree, resources=ResourceLimits(**limits))
        subprocess.run(["chmod", "-R", "u+rwx", tree.upper], check=True)
        subprocess.run(["rm", "-rf", tree.upper], check=True)  # deeper than Python's own removal can go
        assert ended.exit.failure is None, ended
        assert ended.exit.verdict is not None, ended
        assert ended.exit_code != 9, ended
        return ended.exit.verdict

    return run


WRITE = """
n = 0
while True:
    n += 1
    with open(str(n), "wb") as file:
        file.write(bytes(1 << 19))
    time.sleep(0.01)
"""


def test_directories_that_cannot_be_listed_count(evade):
    program = "os.mkdir('d')\nos.chdir('d')\nos.chmod('../d', 0o300)\n"
    verdict = evade(program + WRITE, disk_bytes=8 * MIB)
    assert (verdict.limit, verdict.value) == ("disk", 8 * MIB)


def test_directories_that_cannot_be_entered_count(evade):
    """Also the uppermost one; their mode is the same afterwards, or the action would notice."""
    program = "fd = os.open('f', os.O_CREAT | os.O_WRONLY, 0o600)\nos.mkdir('d')\nos.chmod('d', 0)\nos.chmod('.', 0)\n"
    loop = "while True:\n    os.write(fd, bytes(1 << 19))\n    time.sleep(0.01)\n"
    loop += "    assert os.fstat(3).st_mode & 0o7777 == 0\n"
    assert evade("assert os.open('.', os.O_PATH) == 3\n" + program + loop, disk_bytes=8 * MIB).limit == "disk"


def test_what_lies_deeper_than_anybody_looks_counts(evade):
    program = "for _ in range(3000): os.mkdir('d'); os.chdir('d')\n"
    assert evade(program + WRITE, disk_bytes=32 * MIB).limit == "disk"


def test_the_grace_of_one_limit_does_not_suspend_the_others(evade):
    program = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: os.write(1, b'x' * 65536); time.sleep(0.005)\n"
    )
    slow = "signal.signal(signal.SIGTERM, lambda *_: None)\ntime.sleep(0.5)\n" + program
    verdict = evade(slow, wall_time_s=0.3, grace_s=60, log_bytes=4 * MIB)
    assert verdict.limit == "wall-time"


def test_space_that_a_log_occupies_beyond_its_end_counts(evade):
    program = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.fallocate(1, 1, ctypes.c_long(0), ctypes.c_long(64 << 20)) == 0, ctypes.get_errno()\n"
        "time.sleep(1000)\n"
    )
    assert evade(program, log_bytes=MIB).limit == "log"


SEND = """
import socket, resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(64)
kept, sent = [], 0
while len(kept) < 400 and sent < 300 << 20:
    here = socket.socket()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    here.connect(server.getsockname())
    kept += [here, server.accept()[0]]
    here.setblocking(False)
    try:
        while sent < 300 << 20:
            sent += here.send(bytes(65536))
    except BlockingIOError:
        pass
print(sent >> 20)
"""


@pytest.mark.root
def test_memory_in_the_buffers_of_sockets_counts(box, sandbox):
    """With v1 it is a count of its own, which holds only where it has a limit."""
    probe = sandbox.probe()
    if probe.isolation["memory"] is not Level.KERNEL:
        pytest.skip(next(short.why for short in probe.shortfalls if short.guarantee == "memory"))
    ended = box.run(PYTHON, "-c", SEND, resources=ResourceLimits(memory_bytes=64 * MIB, wall_time_s=30.0))
    assert ended.exit.verdict is not None or int(ended.out) < 200, ended
