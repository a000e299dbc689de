"""How builds end when they do not end by themselves: ^C, kill, a full disk, a damaged cache, two at once."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

SLEEPER = """
    [target.sleeper{n}]
    type = "command"
    outputs = ["out{n}"]
    command = "setsid sleep 98765 & trap '' TERM INT; sleep 98765; echo > $OUT"
"""


def sleepers():
    """Processes of the actions, wherever they hide."""
    found = subprocess.run(["pgrep", "-f", "sleep 98765"], capture_output=True, text=True).stdout.split()
    return [pid for pid in found if pid != str(os.getpid())]


@pytest.fixture
def sleeping(project, until):
    """A build in the middle of two actions that never end and ignore polite signals."""
    it = project({"Builderfile": SLEEPER.format(n=1) + SLEEPER.format(n=2)})
    process = it.start("build", "--hermetic", "-j2")
    until(lambda: len(sleepers()) >= 4 or process.poll() is not None)
    assert process.poll() is None, process.stderr.read()
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_ends_everything(sleeping, number, until):
    sleeping.send_signal(number)
    assert sleeping.wait(20) == 8
    until(lambda: not sleepers())


def test_an_interrupt_ends_the_hashing_of_an_output(project, until):
    """One that would take hours: by the time a thread is there, the action is done."""
    it = project({"Builderfile": '[target.t]\ntype = "command"\noutputs = ["out"]\ncommand = "truncate -s 8T $OUT"\n'})
    process = it.start("build", "--hermetic", "--file-size", "16T")
    try:
        until(lambda: len(os.listdir(f"/proc/{process.pid}/task")) > 1 or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 8, process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert not it.out("out").exists()


def test_killing_bldr_ends_everything(sleeping, until):
    sleeping.kill()
    sleeping.wait(20)
    until(lambda: not sleepers())


def test_a_killed_build_leaves_a_workspace_and_cache_that_work(c_project):
    """At random instants: the next build is right, whatever the last one was doing."""
    rng = random.Random(20261122)
    for round_number in range(12):
        c_project.write({"lib/other.c": f"int other(void) {{ return {round_number}; }}\n"})
        process = c_project.start("build", "--hermetic")
        time.sleep(rng.uniform(0.0, 1.5))
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    built = c_project.build()
    assert built.exit_code == 0, built
    assert os.popen(str(c_project.out("app"))).read() == "1.2.3\nhello\n"
    assert c_project.build().ran == []


def test_two_builds_of_one_workspace_take_turns(project, until):
    it = project({"Builderfile": '[target.t]\ntype = "command"\noutputs = ["out"]\ncommand = "sleep 2; echo > $OUT"\n'})
    first = it.start("build", "--hermetic")
    until(lambda: (it.root / "bldr-out" / ".lock").exists())
    second = it.start("build", "--hermetic")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    first.communicate(timeout=60)
    assert first.returncode == 0
    waited = "another bldr is at work in this workspace" in err
    assert waited or "0 ran" not in err


def test_two_workspaces_share_a_cache_at_once(project, tmp_path):
    files = {"Builderfile": "".join(
        f'[target.t{n}]\ntype = "command"\noutputs = ["o{n}"]\ncommand = "echo {n} > $OUT"\n' for n in range(20)
    )}  # fmt: skip
    projects = [project(files, name=name) for name in ("one", "two", "three")]
    processes = [it.start("build", "--hermetic") for it in projects]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    for it in projects:
        assert [it.out(f"o{n}").read_text() for n in range(20)] == [f"{n}\n" for n in range(20)]


def blobs(it):
    return [path for path in (it.cache / "v1" / "blobs").rglob("*") if path.is_file()]


def test_a_corrupted_blob_is_rebuilt_never_served(c_project):
    c_project.build()
    good = {name: c_project.out(name).read_bytes() for name in ("app", "version.h", "lib/libgreet.a")}
    for path in blobs(c_project):
        size = path.stat().st_size
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.write(b"?" * min(size, 7))
    shutil.rmtree(c_project.root / "bldr-out")
    again = c_project.build()
    assert again.exit_code == 0, again
    assert {name: c_project.out(name).read_bytes() for name in good} == good


def test_blobs_that_vanished_are_made_again(c_project):
    c_project.build()
    good = c_project.out("app").read_bytes()
    for path in blobs(c_project):
        path.unlink()
    shutil.rmtree(c_project.root / "bldr-out")
    again = c_project.build()
    assert again.exit_code == 0, again
    assert c_project.out("app").read_bytes() == good


def test_a_damaged_database_is_set_aside(c_project):
    c_project.build()
    good = c_project.out("app").read_bytes()
    for path in (c_project.cache / "v1").glob("*.sqlite*"):
        path.write_bytes(b"this is no database" * 100)
    again = c_project.build()
    assert again.exit_code == 0, again
    assert c_project.out("app").read_bytes() == good


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_an_error_and_nothing_wrong_is_kept(c_project):
    shutil.rmtree(c_project.cache)
    c_project.cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(c_project.cache)], check=True)
    try:
        full = c_project.build()
        assert full.exit_code in (1, 6), full
        assert "no space left" in full.stderr.lower()
        subprocess.run(["mount", "-o", "remount,size=1g", str(c_project.cache)], check=True)
        assert c_project.build().exit_code == 0
        assert os.popen(str(c_project.out("app"))).read() == "1.2.3\nhello\n"
    finally:
        subprocess.run(["umount", "-l", str(c_project.cache)], check=True)


def test_a_workspace_that_cannot_be_written(c_project):
    if os.geteuid() == 0:
        (c_project.root / "bldr-out").write_text("in the way")
    else:
        c_project.root.chmod(0o555)
    built = c_project.build()
    assert built.exit_code == 2
    assert "cannot write to" in built.stderr


def catches(pid, number):
    """proc(5): the mask of signals for which the process has handlers."""
    with open(f"/proc/{pid}/status") as file:
        mask = next(line.split()[1] for line in file if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_an_interrupt_while_starting_ends_at_once(c_project, until):
    """At many instants from start-up to the end: never a crash, never a traceback, never a death by the signal."""
    for step in range(16):
        process = c_project.start("build", "--hermetic")
        until(lambda process=process: catches(process.pid, signal.SIGTERM))  # Python itself has none for this one
        time.sleep(0.04 * step)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode in (0, 8), (process.returncode, err)
        assert "Traceback" not in err


def test_tests_behind_a_failure_are_told_why_they_did_not_run(project):
    it = project(
        {
            "Builderfile": """
            [target.broken]
            type = "test"
            language = "c"
            sources = ["broken.c"]

            [target.fine]
            type = "test"
            command = "true"
            """,
            "broken.c": "int main(void) { return missing; }\n",
        }
    )
    tested = it.bldr("test", "--hermetic", "-j1")
    messages = {event["label"]: event["message"] for event in tested.of("test_finished")}
    assert messages["//:broken"] == '"//:broken", which it needs, was not built'
    assert tested.exit_code == 1


GONE = """
    [target.remover]
    type = "command"
    outputs = ["removed"]
    command = "rm {root}/late.txt; echo > $OUT"
    [target.remover.hermetic]
    enabled = false

    [target.late]
    type = "command"
    sources = ["late.txt"]
    deps = [":remover"]
    outputs = ["late"]
    command = "cat $SRCS > $OUT"

    [target.beside]
    type = "command"
    sources = ["kept.txt"]
    deps = [":remover"]
    outputs = ["beside"]
    command = "cat $SRCS > $OUT"

    [target.user]
    type = "command"
    deps = [":late"]
    outputs = ["used"]
    command = "cat $DEPS > $OUT"

    [target.other]
    type = "command"
    outputs = ["other"]
    command = "sleep 1; echo > $OUT"

    [target.check]
    type = "test"
    command = "true"
"""


def test_a_source_that_vanishes_during_a_build_fails_whoever_needs_it(project):
    """An action that is not sandboxed takes it away, when it was looked at and not read yet."""
    it = project({"Builderfile": "", "late.txt": "late\n", "kept.txt": "kept\n"})
    (it.root / "Builderfile").write_text('[workspace]\nname = "gone"\n' + GONE.format(root=it.root))
    ran = it.bldr("test", "-k", "//...")
    assert ran.exit_code == 1, ran
    assert "late.txt" in ran.stderr and "No such file" in ran.stderr, ran
    assert all(it.out(name).exists() for name in ("other", "removed", "beside"))
    assert not it.out("late").exists() and not it.out("used").exists()
    (finished,) = ran.of("build_finished")
    assert (finished["ran"], finished["failed"], finished["tests_passed"]) == (5, 1, 1)
    assert len(ran.of("action_started")) == len(ran.of("action_finished"))
    (it.root / "late.txt").write_text("late again\n")
    shutil.rmtree(it.root / "bldr-out")
    assert it.bldr("build", "//:other", "//:check").exit_code == 0


FULL_DISK = """
import os, sys
from bldr.api.errors import CacheError
from bldr.execute.loop import Loop
from bldr.session import BuildRequest, Session

def finish(self, work, outcome):
    raise CacheError("the disk is full")

Loop._finish = finish
for _ in range(4):
    try:
        with Session(BuildRequest(patterns=("//...",), cache_dir=sys.argv[1], jobs=2)) as session:
            session.build()
    except CacheError:
        print(len(os.listdir("/proc/self/fd")))
"""


def test_nothing_stays_open_after_an_error_that_ends_a_build(project):
    """As it would in `bldr watch`, which goes on."""
    it = project(
        {
            "Builderfile": """
        [target.short]
        type = "command"
        outputs = ["short"]
        command = "echo > $OUT"

        [target.long]
        type = "command"
        outputs = ["long"]
        command = "sleep 30; echo > $OUT"
    """
        }
    )
    script = [sys.executable, "-c", FULL_DISK, str(it.cache)]
    done = subprocess.run(script, cwd=it.root, env=it.env(), capture_output=True, text=True, timeout=60)
    open_files = [int(word) for word in done.stdout.split()]
    assert len(open_files) == 4, done.stderr
    assert open_files[0] == open_files[3]
