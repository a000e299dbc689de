"""bldr as the first process of a container: signals end it, orphans are reaped, exit codes arrive."""

import errno
import signal
import subprocess
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


def test_exit_codes_arrive(inside):
    it = inside({"Builderfile": '[target.no]\ntype = "command"\noutputs = ["no"]\ncommand = "exit 3"\n'})
    assert it.bldr("build").returncode == 1
    assert it.bldr("build", "//:nobody").returncode == 2
    assert it.bldr("doctor").returncode == 5


def children(pid):
    """The numbers of a process's children, as this machine sees them."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
