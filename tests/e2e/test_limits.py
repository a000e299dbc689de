"""Bombs inside real builds: each ends with a verdict that names its limit, leaves nothing alive and harms nobody.

Where the machine cannot enforce a limit, the build that sets it says so and runs nothing, which is asserted instead.
"""

import json
import os
import uuid

import pytest

FORKS = "bomb() { while :; do bomb & done; }; bomb"
SLEEPERS = "while :; do sleep 1000 & done"
BUSY = "(while :; do :; done) & (while :; do :; done) & wait"
MANY_FILES = "i=0; while :; do i=$((i+1)); truncate -s 900K file$i; done"
BOMBS = {
    "fork bomb": ("processes", "processes = 40", FORKS),
    "more and more processes": ("processes", "processes = 40", SLEEPERS),
    "memory hog": ("memory", 'memory = "48M"', "tail /dev/zero > $OUT"),
    "memory hog in scratch space": ("memory", 'memory = "48M"\ntemp = "1G"', "cat /dev/zero > /tmp/x; tail /dev/zero"),
    "sparse file": ("file-size", 'file_size = "1G"', "truncate -s 8T $OUT"),
    "sparse files": ("output", 'output = "10M"', MANY_FILES),
    "full disk": ("disk", 'disk = "10M"', "cat /dev/zero > $OUT"),
    "many small writers": ("output", 'output = "10M"', "for i in 1 2 3 4; do yes > file$i & done; wait"),
    "endless log": ("log", 'log = "4M"', "yes & yes >&2; wait"),
    "sleeper that ignores to be asked": ("wall-time", 'timeout = "1s"\ngrace = "200ms"', "trap '' TERM; sleep 1000"),
    "sleeper in the background": ("wall-time", 'timeout = "1s"', "setsid sleep 1000 & sleep 1000"),
    "processor burner": ("cpu", 'cpu_time = "1s"', BUSY),
}
UNITS = {"processes": "processes", "cpu": "s", "wall-time": "s"}


@pytest.fixture
def mark():
    """A word that only this test's processes have in their environment."""
    return uuid.uuid4().hex


@pytest.fixture
def bomb(project, mark):
    """A function that makes a workspace with one action and its limits."""

    def make(script, limits):
        return project(
            {
                "Builderfile": f"""
                [target.it]
                type = "command"
                outputs = ["out"]
                env = {{ MARK = "{mark}" }}
                command = '''{script}'''

                [target.it.hermetic]
                """
                + "".join(f"{line}\n" for line in limits.splitlines()),
                "well/Builderfile": '[target.well]\ntype = "command"\noutputs = ["o"]\ncommand = "echo well > $OUT"\n',
            }
        )

    return make


def alive(mark):
    """The processes that carry the mark."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            continue
    return found


def can_enforce(it, limit):
    """What `bldr doctor` says of the platform that builds."""
    report = json.loads(it.bldr("doctor", "--format=json").stdout)
    supported = [sandbox for sandbox in report["sandboxes"] if sandbox["hermetic"]]
    return any(sandbox["isolation"][limit] != "none" for sandbox in supported)


def assert_shortfall(it, limit, mark):
    """The limit is set on purpose and nobody can enforce it: said with a remedy, and nothing ran."""
    refused = it.build("//:it")
    assert refused.exit_code == 5, refused
    assert f"{limit}: " in refused.stderr
    assert "hint: " in refused.stderr
    assert refused.of("action_finished") == []
    assert alive(mark) == []
    best = it.bldr("build", "//well:well", "--isolation=best")
    assert best.exit_code == 0, best
    assert not [event for event in best.of("warning") if f"limits of {limit}" in event["message"]], (
        "nobody set it there"
    )


@pytest.mark.full
@pytest.mark.parametrize(("limit", "settings", "script"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_ends_with_a_verdict_that_names_its_limit(bomb, mark, limit, settings, script):
    it = bomb(script, settings)
    if not can_enforce(it, limit):
        assert_shortfall(it, limit, mark)
        return
    built = it.build("//:it")
    assert built.exit_code == 1, built
    (finished,) = built.of("action_finished")
    verdict = finished["verdict"]
    if script == FORKS and verdict is None and os.geteuid() != 0:
        # Without a group of processes nobody counts forks that the kernel refused: the shell gave up by itself.
        assert (finished["status"], "Cannot fork" in built.stderr, alive(mark)) == ("failed", True, []), built
        return
    assert (finished["status"], verdict["limit"], verdict["unit"]) == ("killed", limit, UNITS.get(limit, "bytes")), (
        built
    )
    assert verdict["used"] >= verdict["value"] > 0
    assert finished["isolation"][limit] != "none"
    assert f"killed: {limit} limit of " in finished["message"]
    assert 'in the table hermetic of "//:it" (or --' in finished["hint"]
    assert f"{limit} limit of " in built.stderr
    assert not it.out("out").exists()
    assert alive(mark) == []
    assert it.build("//well:well").exit_code == 0, "the machine is healthy"
    shown = it.bldr("log", "//:it").stdout
    (row,) = [line for line in shown.splitlines() if line.startswith(f"# {limit} ")]
    assert row.split()[-1] in ("kernel", "supervision")


@pytest.mark.full
def test_bombs_at_one_time_end_each_by_its_own_limit(project, mark):
    names = ["endless log", "sparse files", "sleeper that ignores to be asked", "processor burner", "sparse file"]
    text = ""
    for index, name in enumerate(names):
        _, settings, script = BOMBS[name]
        text += f'[target.b{index}]\ntype = "command"\noutputs = ["out{index}"]\nenv = {{ MARK = "{mark}" }}\n'
        text += f"command = '''{script}'''\n[target.b{index}.hermetic]\n{settings}\n"
    it = project({"Builderfile": text})
    missing = [BOMBS[name][0] for name in names if not can_enforce(it, BOMBS[name][0])]
    built = it.build("-k", "-j5", "//...")
    if missing:
        assert built.exit_code == 5, built
        return
    verdicts = {event["label"]: event["verdict"]["limit"] for event in built.of("action_finished")}
    assert verdicts == {f"//:b{index}": BOMBS[name][0] for index, name in enumerate(names)}
    assert alive(mark) == []


def test_what_a_quick_action_wrote_is_counted_when_it_ends(bomb, mark):
    it = bomb("truncate -s 2M $OUT a b c d e f", 'output = "10M"')
    if not can_enforce(it, "output"):
        assert_shortfall(it, "output", mark)
        return
    built = it.build("//:it")
    (finished,) = built.of("action_finished")
    assert (built.exit_code, finished["status"]) == (1, "killed"), built
    assert finished["verdict"] == {"limit": "output", "value": 10 << 20, "used": 14 << 20, "unit": "bytes"}
    assert "killed: output limit of 10 MiB reached (used 14 MiB)" in built.stderr


def test_what_is_within_its_limits_goes_through(bomb):
    limits = 'file_size = "4M"\noutput = "20M"\nlog = "1M"\ntimeout = "1m"\nprocesses = 40\nopen_files = 64'
    it = bomb(
        "truncate -s 2M $OUT; ulimit -n; cat /dev/zero 2>&- > /tmp/x || stat -c %s /tmp/x", limits + '\ntemp = "3M"'
    )
    built = it.build("//:it")
    assert built.exit_code == 0, built
    (finished,) = built.of("action_finished")
    assert finished["limits"]["file_bytes"] == 4 << 20
    shown = it.bldr("log", "//:it").stdout
    assert shown.split()[-2:] == ["64", str(3 << 20)]
    rows = {line.split()[1]: line for line in shown.splitlines() if line.startswith("# ") and line.count("  ") > 3}
    assert rows["file-size"].split()[2:6] == ["2.0", "MiB", "4.0", "MiB"]
    assert it.build("//:it").ran == []


def test_a_share_of_the_processors_is_kept_or_told(bomb):
    """Only a control group can: where there is none, whoever asks for it under --hermetic is told."""
    built = bomb("echo > $OUT", "cpus = 0.5").build("//:it")
    if built.exit_code == 0:
        (finished,) = built.of("action_finished")
        assert finished["isolation"]["cpu-share"] == "kernel"
    else:
        assert (built.exit_code, "cpu-share: " in built.stderr) == (5, True), built


def test_full_scratch_space_is_an_error_that_the_action_sees(bomb):
    it = bomb("head -c 2M /dev/zero > /tmp/x && echo fitted > $OUT", 'temp = "1M"')
    built = it.build("//:it")
    (finished,) = built.of("action_finished")
    assert (built.exit_code, finished["status"], finished["verdict"]) == (1, "failed", None), built
    assert "No space left" in built.stderr


FORBIDDEN = """
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    errno = 0;
    long answer = syscall(SYS_keyctl, 0, 0);
    printf("answer %ld errno %d\\n", answer, errno);
    return answer >= 0;
}
"""


@pytest.mark.full
def test_a_forbidden_call_fails_or_ends_the_action_by_its_name(project):
    it = project(
        {
            "Builderfile": """
            [target.it]
            type = "test"
            language = "c"
            sources = ["it.c"]
            """,
            "it.c": FORBIDDEN,
        }
    )
    denied = it.bldr("test", "--hermetic", "//:it", "--test-output=all")
    assert denied.exit_code == 0, denied
    assert "answer -1 errno 1" in denied.stderr
    killed = it.bldr("test", "--hermetic", "--on-violation=kill", "--no-cache-tests", "//:it")
    assert killed.exit_code == 3, killed
    (finished,) = [event for event in killed.of("action_finished") if event["mnemonic"] == "Test"]
    assert finished["verdict"] == {"limit": "syscall", "value": 0, "used": 0, "unit": "keyctl"}
    assert finished["status"] == "killed"
    assert "killed: the system call keyctl is forbidden" in killed.stderr
    assert 'on_violation = "deny" in the table hermetic of "//:it" (or --on-violation=deny)' in killed.stderr


def test_the_default_limits_are_no_reason_to_refuse(bomb):
    """4 GiB, 128 processes and so on are applied as well as the machine can, and nobody demanded them."""
    assert bomb("echo > $OUT", "").build("//:it").exit_code == 0
