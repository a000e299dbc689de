"""bldr as the first process of a container: signals end it, orphans are reaped, exit codes arrive."""

import errno
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

SLOW = {
    "Builderfile": """
        [target.slow]
        type = "command"
        outputs = ["slow"]
        command = "touch {mark}; sleep 600; echo done > $OUT"
    """
}
ORPHANS = {
    "Builderfile": """
        [target.orphans]
        type = "command"
        outputs = ["orphans"]
        command = "for i in 1 2 3 4 5; do (setsid sh -c 'setsid sleep 0 &' &); done; sleep 1; echo done > $OUT"

        [target.census]
        type = "command"
        sources = [":orphans"]
        outputs = ["census"]
        command = "grep -l '^State:.Z' /proc/[0-9]*/status > $OUT || true"
    """
}
NO_LANDLOCK = [(number, errno.ENOSYS) for number in (444, 445, 446)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_build(inside, tmp_path, until, number):
    mark = tmp_path / "runs"
    it = inside({"Builderfile": SLOW["Builderfile"].format(mark=mark)}, denied=NO_LANDLOCK)
    with it.container.command(*it.project.command("build")) as (words, fds):
        container = subprocess.Popen(
            words, cwd=it.project.root, env=it.project.env(), pass_fds=fds, stderr=subprocess.PIPE, text=True
        )
    try:
        until(mark.exists)
        (first,) = children(container.pid)
        Path("/proc", first).stat()
        subprocess.run(["kill", f"-{number}", first], check=True)
        _, err = container.communicate(timeout=60)
    finally:
        container.kill()
        container.wait()
    assert container.returncode == 8, err
    assert "interrupted" in err


def test_orphans_are_reaped(inside):
    it = inside(ORPHANS, denied=NO_LANDLOCK)
    done = it.bldr("build", "//:census")
    assert done.returncode == 0, done
    assert it.project.out("census").read_text() == ""


def test_children_are_waited_for_where_their_ends_were_ignored():
    """Which a process that was started so would never hear of."""
    script = "import os; from bldr.cli.first import become_second; become_second(); os._exit(7)"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        timeout=60,
        check=False,
    )
    assert ended.returncode == 7


def test_a_terminal_that_hangs_up_reaches_the_build():
    """The kernel tells the leader of the session alone."""
    script = (
        "import contextlib, signal, os, time; from bldr.cli.first import become_second; become_second();"
        "signal.signal(signal.SIGHUP, lambda *_: os._exit(9))\n"
        "with contextlib.suppress(OSError): os.write(1, b'ready')\n"  # the terminal may be gone before it has all
        "time.sleep(60)"
    )
    leader, follower = pty.openpty()
    ended = subprocess.Popen(
        [sys.executable, "-c", script], stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(follower)
    assert os.read(leader, 100).strip() == b"ready"
    os.close(leader)
    assert ended.wait(timeout=30) == 9


def test_exit_codes_arrive(inside):
    it = inside({"Builderfile": '[target.no]\ntype = "command"\noutputs = ["no"]\ncommand = "exit 3"\n'})
    assert it.bldr("build").returncode == 1
    assert it.bldr("build", "//:nobody").returncode == 2
    assert it.bldr("doctor").returncode == 5


def children(pid):
    """The numbers of a process's children, as this machine sees them."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
