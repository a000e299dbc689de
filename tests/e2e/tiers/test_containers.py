"""Whole builds where no namespace can be made, as in a container without privileges: each tier, named and honest."""

import errno
import json
import os
import subprocess
import sys

import pytest

from bldr.api import GUARANTEES
from bldr_linux.confined.sandbox import REACHED as LANDLOCK
from bldr_plain.sandbox import REACHED as PLAIN

NO_LANDLOCK = [(number, errno.ENOSYS) for number in (444, 445, 446)]
FILTERED = "a system call filter"
FILES = {
    "Builderfile": """
        [target.hello]
        type = "executable"
        language = "c"
        sources = ["hello.c"]

        [target.note]
        type = "command"
        outputs = ["note"]
        command = "(cat /etc/hostname /etc/passwd >/dev/null 2>&1 && echo read || echo denied) > $OUT"
    """,
    "hello.c": '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n',
}
COMMAND = {
    "Builderfile": """
        [target.note]
        type = "command"
        outputs = ["note"]
        command = "echo done > $OUT"
    """
}


@pytest.mark.parametrize("tier", ["landlock", "plain"])
@pytest.mark.parametrize("who", [pytest.param("root", marks=pytest.mark.full), "user"])
def test_a_build_gets_the_best_tier_that_is_left_and_says_what_it_lacks(inside, tmp_path, who, tier):
    reached = {"landlock": LANDLOCK, "plain": PLAIN}[tier]
    lacking = [name for name in GUARANTEES if name not in reached]
    it = inside(FILES, who, denied=NO_LANDLOCK if tier == "plain" else ())
    refused = it.bldr("build", "--hermetic")
    assert refused.returncode == 5, refused
    assert f'the sandbox "{tier}" cannot give the isolation that was asked for' in refused.stderr
    for name in lacking:
        assert f"{name}, " in refused.stderr or f"{name}: " in refused.stderr, name
    assert FILTERED in refused.stderr
    assert "hint: take the filter away: run the container with `--security-opt seccomp=unconfined" in refused.stderr
    assert not it.project.out("hello").exists()

    events = tmp_path / "events"
    done = it.bldr("build", events=events)
    assert done.returncode == 0, done
    assert f'warning: the sandbox "{tier}" does not give {", ".join(lacking)} here' in done.stderr
    assert subprocess.check_output([it.project.out("hello")], text=True) == "hello\n"
    assert it.project.out("note").read_text() == ("denied\n" if tier == "landlock" else "read\n")
    told = [json.loads(line) for line in events.read_text().splitlines()]
    finished = [event for event in told if event["event"] == "action_finished"]
    expected = {name: level.name.lower() for name, level in reached.items()}
    assert [event["isolation"] for event in finished] == [expected] * 3
    assert it.bldr("build").stderr.startswith("done: 0 ran") or "0 ran, " in it.bldr("build").stderr


def test_what_was_built_in_a_weaker_tier_is_never_served_to_a_stricter_build(inside):
    it = inside(FILES)
    assert it.bldr("build").returncode == 0
    strict = it.project.build()
    if "cannot give the isolation" in strict.stderr:
        pytest.skip("there is nothing stricter here")
    assert strict.exit_code == 0, strict
    assert len(strict.ran) == 3
    assert "3 cached" in it.bldr("build", "--no-hermetic").stderr


@pytest.mark.parametrize("who", ["root", "user"])
def test_doctor_shows_the_tiers_in_order_and_why_not_the_better_one(inside, who):
    it = inside(COMMAND, who)
    told = it.doctor()
    assert [name for name in told if name in ("linux", "landlock", "plain")] == ["linux", "landlock", "plain"]
    assert [name for name, sandbox in told.items() if sandbox["picked"]] == ["landlock"]
    assert [name for name, sandbox in told.items() if sandbox["supported"]] == ["landlock", "plain"]
    for shortfall in told["linux"]["shortfalls"]:
        assert shortfall["why"] == (
            "cannot create namespaces: operation not permitted (a system call filter forbids them)"
        )
        assert "seccomp=unconfined" in shortfall["remedy"]
    shown = it.bldr("doctor").stdout.splitlines()
    assert shown[0] == "tiers of isolation, the strongest first"
    assert shown[1].startswith("     linux     does not work here: cannot create namespaces")
    assert "  -> landlock  is what builds get; --hermetic refuses it" in shown
    assert "     plain     works here, and gives less" in shown


ODD = {
    # What is denied besides, and which tier is left.
    "as if the kernel had no namespaces": ({"error": errno.ENOSYS}, "landlock"),
    "an old runtime, which denies what it does not know": ({"denied": [(436, errno.EPERM)]}, "landlock"),
    "no Landlock, by EPERM": ({"denied": [(number, errno.EPERM) for number in (444, 445, 446)]}, "plain"),
    "a kernel booted without Landlock": ({"denied": [(444, errno.EOPNOTSUPP)]}, "plain"),
    "no filters of one's own": ({"denied": [(317 if os.uname().machine == "x86_64" else 277, errno.EPERM)]}, "plain"),
    "no descriptors of processes": ({"denied": [(434, errno.EPERM)]}, "plain"),
    "neither these nor Landlock": ({"denied": [(434, errno.ENOSYS), *NO_LANDLOCK]}, "plain"),
    "no /proc": ({"proc": False}, "plain"),
    "no /proc and no Landlock": ({"proc": False, "denied": NO_LANDLOCK}, "plain"),
    "few devices": (
        {"options": ["--tmpfs", "/dev", "--dev-bind", "/dev/null", "/dev/null",
                     "--dev-bind", "/dev/urandom", "/dev/urandom"]}, "landlock"),
    "a small /dev/shm": ({"options": ["--size", "4096", "--tmpfs", "/dev/shm"]}, "landlock"),
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("odd", ODD)
def test_a_build_goes_on_in_odd_containers(inside, odd):
    options, tier = ODD[odd]
    it = inside(COMMAND, **options)
    done = it.bldr("build")
    assert done.returncode == 0, done
    assert f'the sandbox "{tier}" does not give' in done.stderr, done
    assert "Traceback" not in done.stderr, done
    assert it.project.out("note").read_text() == "done\n"


@pytest.mark.full
@pytest.mark.parametrize("tier", ["landlock", "plain"])
def test_no_other_place_than_the_cache_need_be_writable(inside, tmp_path, tier):
    """Neither /tmp nor HOME, nor a user with a name."""
    options = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", tmp_path, tmp_path]
    it = inside(COMMAND, options=[*map(str, options)], denied=NO_LANDLOCK if tier == "plain" else ())
    done = it.bldr("build", HOME="/nonexistent", TMPDIR=None, LANG=None)
    assert done.returncode == 0, done
    assert f'the sandbox "{tier}" does not give' in done.stderr, done


def test_a_disk_that_is_full_or_read_only_is_told(inside, tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "fixed").mkdir()
    options = ["--size", "8192", "--tmpfs", tmp_path / "small", "--tmpfs", tmp_path / "fixed"]
    options = [*map(str, options), "--remount-ro", str(tmp_path / "fixed")]
    it = inside(COMMAND, options=options)
    full = it.container.run(
        sys.executable, "-m", "bldr", "build", "--cache-dir", tmp_path / "small/cache", cwd=it.project.root,
        env=it.project.env(),
    )  # fmt: skip
    assert full.returncode == 6, full
    assert "hint: free some space" in full.stderr
    readonly = it.container.run(
        sys.executable, "-m", "bldr", "build", "--cache-dir", tmp_path / "fixed/cache", cwd=it.project.root,
        env=it.project.env(),
    )  # fmt: skip
    assert readonly.returncode == 6, readonly
    assert "fixed/cache: read-only file system" in readonly.stderr
    assert "hint: the file system is read-only" in readonly.stderr


def test_a_bldr_in_a_sandbox_of_bldr_s_own_says_what_is_in_its_way(project):
    it = project(COMMAND)
    shown = {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, *sys.path) if os.path.isdir(path)}
    shown = [path for path in shown if not path.startswith("/usr")]
    inputs = [word for path in sorted(shown) for word in ("--input", path)]
    env = ["--env", f"PYTHONPATH={os.pathsep.join(path for path in sys.path if path)}", "--env", "HOME=/tmp"]
    inner = [os.path.realpath(sys.executable), "-m", "bldr", "doctor", "--format", "json", "--cache-dir", "/tmp/c"]
    ran = subprocess.run(
        [*it.command("exec")[:4], *inputs, *env, "--", *inner],
        env=it.env(),
        cwd=it.root,
        capture_output=True,
        text=True,
    )
    if "cannot give the isolation" in ran.stderr:
        pytest.skip("there is no sandbox to nest in here")
    assert ran.returncode == 5, ran
    told = {sandbox["name"]: sandbox for sandbox in json.loads(ran.stdout)["sandboxes"]}
    assert [name for name, sandbox in told.items() if sandbox["picked"]] == ["landlock"]
    assert "(a system call filter forbids them)" in told["linux"]["shortfalls"][0]["why"]
