"""`bldr exec`: one command in a sandbox, as somebody types it."""

import json
import os
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def here(tmp_path):
    """A directory to stand in."""
    directory = tmp_path / "here"
    directory.mkdir()
    (directory / "in.txt").write_text("hello\n")
    return directory


@pytest.fixture
def execute(here):
    """Runs `bldr exec` with options and a command; the process that ended."""

    def run(*words, env=None, **more):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        command = [sys.executable, "-m", "bldr", "exec", *words]
        options = {"cwd": here, "env": {**kept, **(env or {})}, "text": True, "timeout": 60, **more}
        return subprocess.run(command, capture_output=True, **options)

    return run


def test_the_current_directory_can_be_read_and_not_written(execute, here):
    done = execute("--", "sh", "-c", "pwd; cat in.txt; echo x > new || echo refused")
    assert (done.returncode, done.stdout) == (0, f"{here}\nhello\nrefused\n"), done.stderr
    assert os.listdir(here) == ["in.txt"]


def test_what_is_not_named_is_not_there(execute, here):
    (here.parent / "secret").write_text("secret")
    done = execute("--", "sh", "-c", f"cat {here.parent}/secret; cat /etc/shadow; ls /sys/class; ls {here.parent}")
    assert (done.stdout, done.stderr.count("No such file")) == ("here\n", 3), done.stderr


def test_the_home_directory_is_shown_only_when_it_is_named(execute, here):
    home = {"HOME": str(here)}
    assert execute("--", "pwd", env=home).stdout == "/\n"
    assert execute("--", "cat", "in.txt", env=home).returncode == 1
    assert execute("--input", ".", "--", "cat", "in.txt", env=home).stdout == "hello\n"


def test_inputs_and_outputs_stand_where_they_are_told_to(execute, here):
    (here / "a=b").write_text("named\n")
    script = "cat /data/in.txt /x > /out/both.txt; echo one > /single; pwd"
    done = execute(
        "--input", ".=/data", "--input", "a=b=/x", "--output", "../out/=/out", "--output", "../single=/single",
        "--", "sh", "-euc", script,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "/\n"), done.stderr
    assert (here.parent / "out/both.txt").read_text() == "hello\nnamed\n"
    assert (here.parent / "single").read_text() == "one\n"


def test_an_output_of_a_command_that_failed_is_taken_away_where_it_is_empty(execute, here):
    assert execute("--output", "../out/=/out", "--", "false").returncode == 1
    assert not (here.parent / "out").exists()


def test_an_input_that_is_not_there_is_a_mistake(execute):
    done = execute("--input", "nothing", "--", "true")
    assert (done.returncode, done.stderr) == (
        2, 'error: the input "nothing" is not there\nhint: name a file or directory that exists\n',
    )  # fmt: skip


def test_an_output_inside_an_input_is_a_contradiction(execute, here):
    done = execute("--input", ".", "--output", "out/", "--", "true")
    assert done.returncode == 2
    assert f'input "{here}" and output "{here}/out" overlap' in done.stderr
    assert not (here / "out").exists()


def test_an_input_takes_the_place_of_what_is_made_up(execute, here):
    (here / "passwd").write_text("me:x:1000:1000::/:/bin/sh\n")
    done = execute("--input", "passwd=/etc/passwd", "--", "cat", "/etc/passwd")
    assert done.stdout == "me:x:1000:1000::/:/bin/sh\n", done.stderr


def test_scratch_space_is_bounded_and_private(execute):
    script = "df -k --output=size /tmp /scratch | tail -2; ls -A /tmp /scratch"
    done = execute("--temp", "/scratch:1M", "--temp", "/tmp:2M", "--input", "in.txt=/x", "--", "sh", "-c", script)
    assert done.stdout.split() == ["2048", "1024", "/scratch:", "/tmp:"], done.stderr


def test_the_environment_is_exactly_what_is_said(execute):
    done = execute("--env", "A=1=2", "--env", "HERE", "--", "env", env={"HERE": "yes", "SECRET": "no"})
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert {name: seen.pop(name) for name in ("A", "HERE")} == {"A": "1=2", "HERE": "yes"}
    assert set(seen) - {"PWD", "_"} == {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "SOURCE_DATE_EPOCH", "USER"}
    done = execute("--env", "MISSING", "--", "env")
    assert done.returncode == 2
    assert 'the variable "MISSING" is not set here' in done.stderr


def test_standard_streams_are_the_callers(execute):
    done = execute("--", "sh", "-c", "cat; echo err >&2", input="text")
    assert (done.stdout, done.stderr) == ("text", "err\n")


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("exit 255", 255)])
def test_the_exit_code_is_the_commands(execute, script, code):
    assert execute("--", "sh", "-c", script).returncode == code


def test_options_of_the_command_are_its_own(execute):
    done = execute("--", "sh", "-c", 'printf "%s " "$@"', "x", "--memory", "--", "-C")
    assert done.stdout == "--memory -- -C "


def test_without_a_command_it_says_where_that_stands(execute):
    done = execute()
    assert (done.returncode, done.stderr) == (
        2, "error: there is no command to run\nhint: write it after --, as in: bldr exec -- make test\n",
    )  # fmt: skip


def test_a_command_before_the_dashes(execute):
    done = execute("make", "--", "two words")
    assert (done.returncode, done.stderr) == (
        2, "error: \"make\" stands before --\nhint: write the command after it: -- make 'two words'\n",
    )  # fmt: skip


def test_a_command_that_is_not_there(execute):
    done = execute("--", "no-such-program")
    assert (done.returncode, "no-such-program" in done.stderr) == (127, True)


def test_a_limit_ends_it_with_a_verdict_that_names_the_option(execute):
    done = execute("--timeout=500ms", "--", "sleep", "1000")
    assert done.returncode > 128
    assert done.stderr == (
        "bldr exec: killed: wall-time limit of 0.5 s reached\nhint: raise --timeout, or find out what hangs\n"
    )


def test_a_host_network_is_refused_unless_less_isolation_will_do(execute):
    done = execute("--network=host", "--", "true")
    assert (done.returncode, "network: the action may reach" in done.stderr) == (5, True)
    done = execute("--network=host", "--isolation=best", "--", "sh", "-c", "grep -c : /proc/net/dev")
    assert (done.returncode, "warning: network" in done.stderr) == (0, True)


@pytest.mark.root
def test_on_a_bridge_it_knows_whom_to_ask_for_names(here):
    """In a network namespace of the test's own, so that no bridge is left behind on this machine."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    command = [sys.executable, "-m", "bldr", "exec", "--isolation=best", "--network=bridge", "--"]
    script = "grep -c ^nameserver /etc/resolv.conf; grep ^hosts: /etc/nsswitch.conf; grep -c eth0: /proc/net/dev"
    done = subprocess.run(["unshare", "-n", *command, "sh", "-c", script], cwd=here, capture_output=True, text=True)
    servers, lookup, devices = done.stdout.splitlines() or [done.stderr, "", ""]
    assert (lookup, devices) == ("hosts: files dns", "1"), done
    assert int(servers) >= 1


def test_without_a_network_there_is_a_loopback_alone(execute):
    done = execute("--", "sh", "-c", "grep : /proc/net/dev | cut -d: -f1")
    assert done.stdout.split() == ["lo"]


def test_statuses_are_lines_of_json(execute):
    reading, writing = os.pipe()
    done = execute("--status-fd", str(writing), "--", "sh", "-c", "exit 4", pass_fds=[writing])
    os.close(writing)
    with open(reading) as file:
        told = [json.loads(line) for line in file]
    assert done.returncode == 4
    assert [line["status"] for line in told] == ["runtime_init_warnings", "spawned", "setup_finished", "exited"]
    assert told[-1]["exit"]["exit_code"] == 4
    assert execute("--status-fd", "77", "--", "true").returncode == 2


def test_check_runs_nothing(execute, here):
    done = execute("--check", "--output", "../out/=/out", "--", "touch", "/out/x")
    assert done.returncode in (0, 5), done.stderr
    assert done.stdout.startswith("sandbox ")
    assert "guarantees" in done.stdout
    assert not (here.parent / "out").exists()
    told = json.loads(execute("--check", "--format=json").stdout)
    assert set(told) == {"sandbox", "isolation", "missing", "not_enforced"}
    assert told["sandbox"] and told["isolation"]["fs-read"] == "kernel"
    assert execute("--check", "--network=host").returncode == 5


def test_the_plain_sandbox_lacks_what_it_says(execute):
    done = execute("--isolation=none", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr


def test_a_device_is_there_when_it_is_named(execute):
    devices = [device for device in ("/dev/fuse", "/dev/autofs", "/dev/kmsg") if os.access(device, os.R_OK)]
    if not devices:
        pytest.skip("no device on this machine that we may read and every sandbox lacks")
    device = devices[0]
    script = f"test -c {device} && echo there"
    assert execute("--", "sh", "-c", script).stdout == ""
    done = execute("--device", device, "--", "sh", "-c", script)
    assert done.stdout == "there\n", done.stderr
    assert execute("--device", "/etc/passwd", "--", "true").returncode == 2


def test_signals_are_the_commands(here):
    script = "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [sys.executable, "-m", "bldr", "exec", "--", "sh", "-c", script], cwd=here, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (7, "caught\n")


def test_nothing_is_left_when_it_is_killed(here, until):
    process = subprocess.Popen(
        [sys.executable, "-m", "bldr", "exec", "--", "sh", "-c", "echo ready; sleep 31536007"],
        cwd=here,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    try:
        until(lambda: _alive("31536007"))
    finally:
        process.kill()
        process.wait()
    until(lambda: not _alive("31536007"))
    process.stdout.close()


def _alive(word):
    """Whether a process sleeps for as long as `word` says."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                found.append(file.read().split(b"\0"))
        except OSError:
            continue
    return any(words[:2] == [b"sleep", word.encode()] for words in found)
