"""The launcher of children runs commands, tells how they ended, exactly once, and leaves nothing behind."""

import os
import resource
import signal
import sys
import time

import psutil
import pytest

from bldr.api import Input, Output, ProcessPolicy, ResourceLimits, Temp
from bldr_plain.sandbox import PlainSandbox

PRINT_ENV = "import os; print(sorted(os.environ.items()))"


def gone(pid):
    """Whether the process is dead, waiting for the moment that the kernel takes."""
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def test_exit_codes_and_signals_are_those_of_a_shell(driver):
    assert driver.run("true").exit_code == 0
    assert driver.run("sh", "-c", "exit 3").exit_code == 3
    end = driver.run("sh", "-c", "kill -USR1 $$")
    assert (end.exit_code, end.signal) == (128 + signal.SIGUSR1, signal.SIGUSR1)


def test_isolation_is_what_the_probe_promised(driver):
    assert driver.run("true").isolation == PlainSandbox().probe().isolation


def test_a_program_that_is_missing_complains_as_in_a_shell(driver):
    end = driver.run("no-such-program")
    assert (end.exit_code, end.failure) == (127, None)
    assert driver.output == "bldr: no-such-program: not found in path: no-such-program\n"
    assert driver.run("/etc/passwd").exit_code == 126
    assert driver.output == "bldr: /etc/passwd: permission denied: /etc/passwd\n"
    assert driver.run("true", "a\0b").exit_code == 126


def test_a_directory_that_is_missing_is_a_failure_to_prepare(driver):
    end = driver.run("true", cwd="/no/such/place")
    assert end.failure.message == "cannot prepare the run: no such file or directory: /no/such/place"
    assert end.exit_code == 1


def test_the_environment_is_exactly_what_was_said(driver, tree, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    driver.run(sys.executable, "-S", "-c", PRINT_ENV, env=(("LC_ALL", "C"), ("A", "b c")), tree=tree)
    env = dict(eval(driver.output))
    env.pop("__CF_USER_TEXT_ENCODING", None)  # macOS adds it to every process
    assert env == {"A": "b c", "LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin", "BLDR_ROOT": tree.upper}


def test_standard_input_is_given_and_nothing_else_is_open(driver):
    with open(os.devnull) as leak:
        os.set_inheritable(leak.fileno(), True)
        driver.python("import os; print([fd for fd in range(3, 200) if os.path.exists(f'/dev/fd/{fd}')])")
    # The listing itself opens nothing: `exists` closes what it looks at.
    assert driver.output == "[]\n"


def test_the_tree_is_a_writable_copy(driver, tree):
    end = driver.run(
        "sh", "-euc", "cat pkg/link; pkg/tool; echo b >> pkg/a.txt; rmdir pkg/empty; echo o > out; pwd",
        cwd="/build", tree=tree,
    )  # fmt: skip
    assert end.exit_code == 0, driver.output
    assert driver.output == f"a\ntool\n{tree.upper}\n"
    with open(f"{tree.upper}/pkg/a.txt") as changed, open(f"{tree.lower}/pkg/a.txt") as original:
        assert (changed.read(), original.read()) == ("a\nb\n", "a\n")
    assert sorted(os.listdir(tree.upper)) == ["out", "pkg"]
    assert os.listdir(tree.work) == []


def test_the_token_stands_for_the_tree_in_arguments_and_environment(driver, tree):
    driver.run("sh", "-c", 'echo "$1" "$X"', "sh", "-I${BLDR_ROOT}/i", env=(("X", "a:${BLDR_ROOT}:b"),), tree=tree)
    assert driver.output == f"-I{tree.upper}/i a:{tree.upper}:b\n"


def test_the_token_stands_for_the_tree_in_the_program_and_the_directory(driver, tree):
    driver.run("${BLDR_ROOT}/pkg/tool", cwd="${BLDR_ROOT}/pkg", tree=tree)
    assert driver.output == "tool\n"


def test_inputs_are_found_at_their_sources(driver, tree):
    inputs = (Input("/toolchain/shell", source=f"{tree.lower}/pkg"),)
    driver.run("tool", env=(("PATH", "/toolchain/shell:/usr/bin"),), inputs=inputs)
    assert driver.output == "tool\n"
    driver.run("/toolchain/shell/tool", inputs=inputs)
    assert driver.output == "tool\n"
    driver.run("sh", "-c", 'cat "$1"', "sh", "/toolchain/shell/a.txt", inputs=inputs)
    assert driver.output == "a\n"


def test_outputs_are_written_at_their_sources(driver, tmp_path):
    driver.run("cp", "/etc/passwd", "/out/copy", outputs=(Output("/out", source=str(tmp_path)),))
    assert os.path.exists(tmp_path / "copy")


def test_scratch_is_private_empty_and_gone_afterwards(driver):
    script = 'echo "$TMPDIR"; ls -A "$TMPDIR"; stat -c %a "$TMPDIR" 2>&- || true; touch "$HOME/x"'
    end = driver.run("sh", "-euc", script, env=(("HOME", "/tmp"), ("TMPDIR", "/tmp")), temps=(Temp("/tmp"),))
    assert end.exit_code == 0, driver.output
    directory, *rest = driver.output.splitlines()
    assert directory.startswith(driver.root)
    assert rest in (["700"], [])
    assert not os.path.exists(directory)


def test_scratch_is_removed_whatever_is_in_it(driver, tmp_path):
    (tmp_path / "victim").write_text("precious")
    script = """
import os, sys
os.chdir(os.environ["TMPDIR"])
os.symlink(sys.argv[1], "link"); os.mkdir("closed"); open("closed/file", "w"); os.mkdir(".removing-1")
open(".removing-1/full", "w"); os.chmod("closed", 0)
for _ in range(3000): os.mkdir("d"); os.symlink(sys.argv[1], "l"); os.chdir("d")
"""
    end = driver.python(script, str(tmp_path), env=(("TMPDIR", "/scratch"),), temps=(Temp("/scratch"),))
    assert end.exit_code == 0, driver.output
    assert os.listdir(driver.root) == []
    assert (tmp_path / "victim").read_text() == "precious"


def test_time_over_means_a_polite_signal_then_the_other(driver):
    end = driver.run("sleep", "1000", resources=ResourceLimits(wall_time_s=0.1, grace_s=100))
    assert (end.signal, end.verdict.limit, end.verdict.value, end.verdict.unit) == (
        signal.SIGTERM,
        "wall-time",
        0.1,
        "s",
    )
    assert end.verdict.used >= 0.1
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
    end = driver.python(stubborn, resources=ResourceLimits(wall_time_s=1, grace_s=0.1))
    assert (end.signal, end.verdict.limit) == (signal.SIGKILL, "wall-time")


def test_time_for_several_launches_at_once(driver):
    late = driver.start("sleep", "1000", resources=ResourceLimits(wall_time_s=0.3))
    early = driver.start("sleep", "1000", resources=ResourceLimits(wall_time_s=0.1))
    free = driver.start("sleep", "1000")
    ends = driver.finish()
    while len(ends) < 2:
        ends += driver.finish()
    assert {end.launch_id for end in ends} == {late, early}
    driver.launcher.kill(free)
    (end,) = driver.finish()
    assert (end.launch_id, end.signal, end.verdict) == (free, signal.SIGKILL, None)


@pytest.mark.full
def test_processor_time_is_bounded(driver):
    end = driver.python("while True: pass", resources=ResourceLimits(cpu_time_s=1))
    assert (end.signal, end.verdict.limit, end.verdict.value) == (signal.SIGXCPU, "cpu", 1)
    assert end.verdict.used >= 1


def test_bounds_of_single_processes_are_set(driver):
    limits = ResourceLimits(disk_bytes=1000, open_files=50)
    names = "r.RLIMIT_FSIZE, r.RLIMIT_NOFILE, r.RLIMIT_CORE"
    driver.python(f"import resource as r; print(*map(r.getrlimit, ({names})))", resources=limits)
    assert driver.output == "(1000, 1000) (50, 50) (0, 0)\n"


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS takes the bound of data and does not enforce it")
def test_data_of_single_processes_is_bounded(driver):
    end = driver.python("b = bytearray(1 << 30)", resources=ResourceLimits(memory_bytes=1 << 28))
    assert end.exit_code == 1
    assert "MemoryError" in driver.output


def test_bounds_beyond_our_own_are_our_own(driver):
    end = driver.run("true", resources=ResourceLimits(open_files=1 << 40))
    assert end.exit_code == 0, driver.output


def test_umask_and_session_are_the_actions_own(driver):
    driver.python("import os; print(os.umask(0), os.getsid(0) == os.getpid())", process=ProcessPolicy(umask=0o027))
    assert driver.output == f"{0o027} True\n"


def test_children_in_the_background_are_dead_at_the_end(driver):
    end = driver.run("sh", "-c", "sleep 1000 & echo $!; (sleep 1000 & echo $!) & sleep 0.2")
    assert end.exit_code == 0
    assert all(gone(int(pid)) for pid in driver.output.split())


def test_daemons_that_carry_the_environment_are_dead_at_the_end(driver):
    daemon = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True); os.close(1); time.sleep(1000)
    os._exit(0)
os.wait(); time.sleep(0.2)
"""
    end = driver.python(daemon, env=(("TMPDIR", "/scratch"),), temps=(Temp("/scratch"),))
    assert end.exit_code == 0
    assert gone(int(driver.output))


def test_kill_ends_a_launch_and_unknown_ones_are_ignored(driver):
    launch_id = driver.start("sh", "-c", "trap '' TERM INT; sleep 1000")
    driver.launcher.kill(launch_id + 1)
    driver.launcher.kill(launch_id)
    (end,) = driver.finish()
    assert (end.launch_id, end.exit_code) == (launch_id, 137)
    driver.launcher.kill(launch_id)
    assert driver.launcher.reap() == []


def test_every_start_is_answered_exactly_once(driver):
    started = {driver.start("true") for _ in range(5)} | {driver.start("true", cwd="/none") for _ in range(3)}
    answered = []
    while len(answered) < len(started):
        answered += [end.launch_id for end in driver.finish()]
    assert sorted(answered) == sorted(started)
    assert driver.launcher.reap() == []


def test_close_ends_what_runs_and_may_be_called_again(driver):
    driver.start("sh", "-c", "echo $$; trap '' TERM; sleep 1000", temps=(Temp("/tmp"),))
    while not driver.output:
        time.sleep(0.01)
    pid = int(driver.output)
    driver.launcher.close()
    assert not psutil.pid_exists(pid)
    driver.launcher.close()


def test_usage_is_measured(driver):
    # Not told where it is less than what this process had when it forked.
    own_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    end = driver.python(f"b = b'x' * ({own_bytes} + (50 << 20)); sum(range(10**6))")
    assert end.usage.cpu_s > 0
    assert end.usage.wall_s > 0
    assert end.usage.memory_peak_bytes > own_bytes


def test_descriptors_do_not_leak(driver):
    driver.run("true")
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        driver.run("true", temps=(Temp("/tmp"),))
        driver.run("nothing")
        driver.run("true", cwd="/none")
    assert len(os.listdir("/dev/fd")) == before
