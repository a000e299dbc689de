"""What comes at an awkward moment: deaths between two messages, answers in one read, signals nobody knows."""

import errno
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from bldr.api import Input, Launch, ResourceLimits, SandboxSpec
from bldr_linux import session, syscalls, wire
from bldr_linux.pool import Cell


def started(box, launch_id):
    """The `Started` of one launch; its descriptor is the caller's."""
    return box.until(lambda: next((one for one in box.launcher.started() if one.launch_id == launch_id), None))


def sandboxes_of(launcher):
    """The process 1 of every sandbox of a launcher, by this machine's numbers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "status").read_text()
        except OSError:
            continue
        numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
        session = (entry / "stat").read_text().rpartition(")")[2].split()[3]
        if numbers[1:] == ["1"] and int(session) == launcher._pid:
            found.append(int(entry.name))
    return found


def test_an_end_that_arrives_together_with_a_measure_is_not_lost(box, monkeypatch):
    launcher = box.launcher
    reading, writing = os.pipe()
    launch_id = box.start("head", "-c1", stdin=reading)
    send = Cell.send

    def slowly(cell, message, fds=()):
        send(cell, message, fds)
        if message == ("measure",):
            os.write(writing, b"x")
            poll = select.poll()
            box.until(lambda: not sandboxes_of(launcher))
            time.sleep(0.05)  # the cell has yet to say so
            poll.register(cell.sock, select.POLLIN)
            poll.poll()

    monkeypatch.setattr(Cell, "send", slowly)
    launcher.measure(launch_id)
    os.write(writing, b"x")  # where nothing can be measured nobody was asked
    assert box.wait(launch_id).exit_code == 0
    os.close(reading)
    os.close(writing)


def test_process_1_that_dies_before_its_start_was_noted_ends_its_own_launch_only(box):
    other = box.start("sleep", "1")
    for _ in range(20):
        launch_id = box.start("sleep", "60", announce=True)
        select.select([box.launcher], [], [])
        box.launcher.kill(launch_id)
        for one in box.launcher.started():
            os.close(one.pidfd)
        assert box.wait(launch_id).exit.failure is None
    assert box.wait(other).exit_code == 0


def test_a_signal_that_does_not_exist_ends_nothing(box):
    launch_id = box.start("sleep", "0.3")
    box.launcher.signal(launch_id, 999)
    assert box.wait(launch_id).exit_code == 0


def test_stopping_a_command_does_not_stop_whoever_waits_for_it(box):
    launch_id = box.start("sleep", "0.5", announce=True)  # a shell may wait in vfork(2), which looks otherwise
    one = started(box, launch_id)
    box.launcher.signal(launch_id, signal.SIGSTOP)
    box.until(lambda: Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    box.launcher.signal(launch_id, signal.SIGCONT)
    os.close(one.pidfd)
    assert box.wait(launch_id).exit_code == 0


def test_a_full_standard_error_does_not_hide_that_there_is_no_such_command(make_launcher):
    with open("/dev/full", "r+b", buffering=0) as full:
        launcher, start = make_launcher()
        start("no-such-command", stdio=full.fileno())
        ends = ends_of(launcher)
        launcher.close()
    assert (ends[0].failure, ends[0].exit_code) == (None, 127)


def test_the_fewest_open_files_are_enough_to_announce_a_command_and_wait_for_it(box, hostile_program):
    shutil.copyfile(hostile_program, box.root / "payload")
    (box.root / "payload").chmod(0o555)
    limits = ResourceLimits(open_files=3)
    payload = Input("/payload", str(box.root / "payload"))
    launch_id = box.start("/payload", announce=True, resources=limits, inputs=(payload,))
    os.close(started(box, launch_id).pidfd)
    assert box.wait(launch_id).exit_code == 0


def test_descriptors_of_starts_that_nobody_asked_for_are_closed(make_launcher):
    before = len(os.listdir("/proc/self/fd"))
    launcher, start = make_launcher()
    start("sleep", "60", announce=True)
    select.select([launcher], [], [])
    launcher.reap()
    launcher.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_losing_a_launcher_that_was_opened_by_a_thread_ends_all_of_it(make_launcher):
    done = []

    def work():
        launcher, start = make_launcher()
        start("sleep", "60")
        time.sleep(0.2)
        os.kill(launcher._pid, signal.SIGKILL)
        while not done:
            select.select([launcher], [], [], 1)
            done.extend(launcher.reap())
        launcher.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert done and done[0].failure is not None


def test_what_outlives_a_caller_that_never_noted_its_start_comes_to_its_end(tmp_path):
    program = textwrap.dedent(
        """
        import os, select, sys
        from bldr.api import Input, Launch, ProcessPolicy, SandboxSpec
        from bldr_linux.sandbox import LinuxSandbox
        root = sys.argv[1]
        launcher = LinuxSandbox().open(root, outlives=True)
        null = os.open(os.devnull, os.O_RDWR)
        spec = SandboxSpec(inputs=(Input("/usr"),), process=ProcessPolicy(kill_on_parent_exit=False))
        launcher.start(
            Launch(
                launch_id=1, spec=spec, argv=("/usr/bin/true",), cwd="/",
                stdin=null, stdout=null, stderr=null, announce=True,
            )
        )
        print(launcher._pid, flush=True)
        select.select([launcher], [], [])
        os._exit(0)
        """
    )
    tmp_path.chmod(0o755)
    child = subprocess.run([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, check=True)
    leader = int(child.stdout)
    deadline = time.monotonic() + 10
    while any(session.is_member(name, leader) for name in os.listdir("/proc") if name.isdigit()):
        assert time.monotonic() < deadline, "still alive"
        time.sleep(0.01)


def test_a_machine_without_room_for_a_process_says_so_and_the_others_go_on(make_launcher):
    launcher, start = make_launcher()
    start("true")
    ends_of(launcher)
    pool = launcher._pool
    ours = pool._idle.pop()
    # What the launcher sends when fork(2) fails.
    told = wire.frame(("lost", os.strerror(errno.EAGAIN), errno.EAGAIN))
    sock, other = socket.socketpair()
    other.send(told)
    other.close()
    lost = type(ours)(sock, ours.key, ours.generation)
    pool._cells[sock.fileno()] = lost
    launcher._epoll.register(sock.fileno(), select.EPOLLIN)
    pool._idle.append(lost)
    start("true")
    (end,) = ends_of(launcher)
    assert end.failure.message == "cannot start a process to run the action: resource temporarily unavailable"
    assert "ulimit -u" in end.failure.hint
    pool._idle.append(ours)
    start("true")
    (end,) = ends_of(launcher)
    assert end.exit_code == 0
    launcher.close()


@pytest.mark.parametrize("root", ["/", "/no/such/directory"])
def test_a_launcher_whose_engine_is_gone_before_it_answers_ends_silently(root):
    ours, theirs = socket.socketpair()
    places, numbers = os.eventfd(0), os.open(os.devnull, os.O_WRONLY)
    opening = wire.frame(("open", root, None, False, ("", "", (), (), ()), False))
    ours.sendmsg([opening], wire.descriptors((places, numbers)))
    for fd in (places, numbers):
        os.close(fd)
    ours.close()
    path = ":".join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-c", f"from bldr_linux.launcher import main; main({theirs.fileno()})"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
        pass_fds=(theirs.fileno(),),
        capture_output=True,
        text=True,
    )
    theirs.close()
    assert (ran.returncode, ran.stderr) == (0, "")


def test_renames_elsewhere_do_not_keep_a_path_from_being_resolved(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    program = """
import os, sys
os.chdir(sys.argv[1])
print(flush=True)
while True:
    os.rename("here", "there")
    os.rename("there", "here")
"""
    fd = os.open(tmp_path, os.O_PATH)
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as child:
        try:
            child.stdout.readline()
            for _ in range(3000):
                os.close(syscalls.open_in(fd, "a/b/../../" * 20, os.O_PATH))
        finally:
            child.kill()
            os.close(fd)


def ends_of(launcher):
    ends = []
    while not ends:
        select.select([launcher], [], [])
        ends += launcher.reap()
    return ends


@pytest.fixture
def make_launcher(sandbox, tmp_path):
    def make(**options):
        root = tmp_path / "root"
        root.mkdir()
        root.chmod(0o711)
        launcher = sandbox.open(str(root), **options)

        def start(*argv, stdio=None, announce=False):
            spec = SandboxSpec(inputs=(Input("/usr"),), env=(("PATH", "/usr/bin"),))
            with open(os.devnull, "r+b") as null:
                fd = null.fileno() if stdio is None else stdio
                launcher.start(
                    Launch(
                        launch_id=1, spec=spec, argv=argv, cwd="/", stdin=fd, stdout=fd, stderr=fd, announce=announce
                    )
                )

        return launcher, start

    return make
