"""Commands run under their spec, on every platform of this machine; what only real isolation gives, on the real one."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import psutil
import pytest

from bldr.api import GUARANTEES, IsolationError, Level, NetworkPolicy, ResourceLimits, SpecError
from bldr.hermetic import (
    Exited,
    HermeticExecutor,
    HermeticSpecBuilder,
    LaunchError,
    RuntimeInitWarnings,
    SetupFinished,
    Spawned,
    create_monitor,
    missing,
)
from bldr_plain.sandbox import PlainSandbox


def alive_with(mark):
    """The processes of this machine that have the mark among their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(condition):
    for _ in range(1000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def contents(directory):
    """Everything about a tree that an action could change."""
    found = {}
    for above, names, files in os.walk(directory):
        for name in names + files:
            path = os.path.join(above, name)
            status = os.lstat(path)
            found[path] = (status.st_mode, status.st_uid, status.st_mtime_ns, digest(path) if name in files else "")
    return found


def test_outputs_come_out_and_everything_is_told(machine, build, place):
    with machine.create(build("out.txt").build()) as executor:
        script = f"cat {place}/src/hello.txt > {place}/out.txt; echo said; echo complained >&2"
        result = executor.execute(["sh", "-euc", script], "/")
    assert (place / "out.txt").read_text() == "hello\n"
    assert (result.stdout, result.stderr, result.exit_code) == ("said\n", "complained\n", 0)
    assert result.success
    assert result.verdict is None
    assert result.hermetic == machine.is_hermetic
    assert result.usage.wall_s > 0
    assert ("env" in result.isolation) and (not missing(GUARANTEES, result.isolation)) == machine.is_hermetic


def test_a_failure_is_a_result(machine, build):
    with machine.create(build().build()) as executor:
        result = executor.execute(["sh", "-c", "exit 7"])
        assert (result.exit_code, result.success) == (7, False)
        assert executor.execute(["sh", "-c", "kill -9 $$"]).exit_code == 137
        result = executor.execute(["no-such-program"])
        assert result.exit_code == 127
        assert result.stderr.startswith("bldr: no-such-program: ")


def test_a_set_up_that_fails_is_an_error_with_a_hint(machine, build):
    with machine.create(build().build()) as executor:
        with pytest.raises(LaunchError, match="/no/such/place") as caught:
            executor.execute(["true"], "/no/such/place")
        assert caught.value.hint
        assert executor.execute(["true"]).success


def test_the_environment_is_the_specs(machine, build, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    with machine.create(build().env("A", "b c").build()) as executor:
        env = dict(line.split("=", 1) for line in executor.execute(["env"]).stdout.splitlines())
    assert env["A"] == "b c"
    assert set(env) == {"A", "HOME", "LANG", "PATH", "SOURCE_DATE_EPOCH", "TMPDIR", "TZ", "USER"}


def test_standard_input_is_empty_a_text_or_a_descriptor(machine, build, place):
    with machine.create(build().build()) as executor:
        assert executor.execute(["cat"]).stdout == ""
        assert executor.execute(["cat"], stdin=b"x" * 300_000).stdout == "x" * 300_000
        with open(place / "src/hello.txt") as file:
            assert executor.execute(["cat"], stdin=file.fileno()).stdout == "hello\n"


def test_bytes_that_are_no_text_are_kept(machine, build):
    with machine.create(build().build()) as executor:
        result = executor.execute(["printf", r"a\377b"])
    assert result.stdout_bytes == b"a\xffb"
    assert result.stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_much_output_on_both_streams_blocks_nobody(machine, build):
    script = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero"
    with machine.create(build().build()) as executor:
        result = executor.execute(["sh", "-c", script])
    assert (len(result.stdout_bytes), len(result.stderr_bytes)) == (6_000_000, 3_000_000)


def test_endless_output_is_cut_off(machine, build):
    limits = ResourceLimits(log_bytes=100_000, required=frozenset({"log"}))
    with machine.create(build().with_resources(limits).build()) as executor:
        result = executor.execute(["yes"])
        assert (result.verdict.limit, result.verdict.value, result.success) == ("log", 100_000, False)
        assert result.isolation["log"] == Level.SUPERVISED
        assert len(result.stdout_bytes) == 100_000
        result = executor.execute(["sh", "-c", "head -c 100001 /dev/zero"])
        assert (result.verdict.limit, len(result.stdout_bytes)) == ("log", 100_000)
        assert executor.execute(["sh", "-c", "head -c 100000 /dev/zero"]).success


def test_what_stays_behind_holds_nobody_up_and_is_dead(machine, build):
    with machine.create(build().build()) as executor:
        result = executor.execute(["sh", "-c", "setsid sleep 31536001 & sleep 31536001 & echo done"])
        assert result.stdout == "done\n"
        assert wait_until(lambda: not alive_with("31536001"))


def test_time_over_is_a_verdict(machine, build):
    with machine.create(build().build()) as executor:
        result = executor.execute_with_timeout(["sleep", "1000"], 0.2)
        assert (result.success, result.verdict.limit, result.verdict.value) == (False, "wall-time", 0.2)
        assert executor.execute_with_timeout(["true"], 1000).success


def test_the_shorter_time_counts(machine, build):
    with machine.create(build().with_resources(ResourceLimits(wall_time_s=0.2)).build()) as executor:
        assert executor.execute_with_timeout(["sleep", "1000"], 1000).verdict.value == 0.2


def test_a_monitor_sees_the_processes_and_ends_the_command(machine, build):
    with machine.create(build().build()) as executor:
        monitor = create_monitor(ResourceLimits(processes=4))
        result = executor.execute(["sh", "-c", "for i in 1 2 3 4 5; do sleep 1000 & done; wait"], "/", monitor)
    assert (result.verdict.limit, result.verdict.value, result.success) == ("processes", 4, False)
    assert monitor.is_violated()
    assert monitor.violations()[0] == result.verdict
    assert not monitor.is_running


def test_a_monitor_that_finds_nothing_changes_nothing(machine, build):
    with machine.create(build().build()) as executor:
        monitor = create_monitor(ResourceLimits.hermetic())
        assert executor.execute(["sleep", "0.2"], monitor=monitor).success
    assert not monitor.is_violated()
    assert monitor.snapshot().processes_peak >= 1


def test_statuses_come_in_order_and_end_once(machine, build):
    with machine.create(build().build()) as executor:
        told = []
        executor.execute(["true"], on_status=told.append)
        assert [type(status) for status in told] == [RuntimeInitWarnings, Spawned, SetupFinished, Exited]
        assert machine.is_hermetic or told[0].shortfalls
        told.clear()
        with pytest.raises(LaunchError):
            executor.execute(["true"], "/no/such/place", on_status=told.append)
        assert [type(status) for status in told] == [RuntimeInitWarnings, Exited]


def test_outputs_are_made_and_taken_away_when_nothing_came(machine, build, place):
    with machine.create(build("a.txt", "dir/").build()) as executor:
        assert not executor.execute(["false"]).success
        assert sorted(os.listdir(place)) == ["src"]
        assert executor.execute(["sh", "-euc", f"echo x > {place}/dir/x; echo a > {place}/a.txt"]).success
        assert not executor.execute(["false"]).success
        assert sorted(os.listdir(place)) == ["a.txt", "dir", "src"]
    assert os.listdir(place / "dir") == ["x"]


def test_an_output_needs_a_directory_above_it(machine, build, place):
    with machine.create(build("none/a.txt").build()) as executor, pytest.raises(SpecError, match="cannot be made"):
        executor.execute(["true"])


def test_threads_may_share_an_executor(machine, build):
    results = []
    with machine.create(build().build()) as executor:

        def run(number):
            for turn in range(3):
                results.append((f"{number}.{turn}\n", executor.execute(["echo", f"{number}.{turn}"]).stdout))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 12
    assert all(expected == got for expected, got in results)


def test_a_script_is_not_a_command(machine, build):
    with machine.create(build().build()) as executor:
        for argv in ("echo hi", []):
            with pytest.raises(TypeError, match="sequence of words"):
                executor.execute(argv)


def test_a_forked_process_may_use_the_executor_of_its_parent(machine, build):
    with machine.create(build().build()) as executor:
        executor.execute(["true"])
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if executor.execute(["echo", "child"]).stdout == "child\n" else 2
                executor.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert executor.execute(["echo", "parent"]).stdout == "parent\n"


def test_an_executor_may_be_used_again_after_close(machine, build):
    executor = machine.create(build().build())
    for _ in range(2):
        assert executor.execute(["true"]).success
        executor.close()
    executor.close()


def test_nothing_is_left_when_the_caller_gives_up(machine, build):
    def give_up(status):
        if isinstance(status, Spawned):
            raise ZeroDivisionError

    with machine.create(build().build()) as executor:
        with pytest.raises(ZeroDivisionError):
            executor.execute(["sleep", "31536002"], on_status=give_up)
        assert wait_until(lambda: not alive_with("31536002"))
        assert executor.execute(["true"]).success


EMBEDDER = """
import sys
from bldr.hermetic import HermeticExecutor, HermeticSpecBuilder
from {module} import {name}
spec = HermeticSpecBuilder.for_build([], []).build()
executor = HermeticExecutor.create(spec, isolation="{isolation}", sandboxes=[{name}()])
executor.execute(["sh", "-c", "setsid sleep 31536003 & sleep 31536003"])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_embedding_process_dies(machine, tmp_path, number):
    kind = type(machine.sandbox)
    script = EMBEDDER.format(module=kind.__module__, name=kind.__qualname__, isolation=machine.isolation)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, env=environment) as embedder:
        assert wait_until(lambda: len(alive_with("31536003")) >= 2)
        embedder.send_signal(number)
    assert wait_until(lambda: not alive_with("31536003"))
    assert wait_until(lambda: not os.listdir(tmp_path)), os.listdir(tmp_path)


def test_a_dead_service_is_an_error_and_the_next_run_has_a_new_one(machine, build, tmp_path, monkeypatch):
    os.mkdir(tmp_path / "services")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "services"))

    def kill(status):
        if isinstance(status, Spawned):
            os.kill(status.supervisor_pid, signal.SIGKILL)

    with machine.create(build().build()) as executor:
        with pytest.raises(LaunchError, match="the launch service died"):
            executor.execute(["sleep", "31536004"], on_status=kill)
        assert wait_until(lambda: not alive_with("31536004"))
        assert os.listdir(tmp_path / "services") == []
        assert executor.execute(["true"]).success


def test_without_isolation_it_fails_closed_and_says_why(build):
    with pytest.raises(IsolationError) as caught:
        HermeticExecutor.create(build().build(), sandboxes=[PlainSandbox()])
    assert "fs-read, fs-write, paths, network" in caught.value.message
    assert "the plain sandbox isolates nothing" in caught.value.message
    assert caught.value.hint == "use a Linux host with user namespaces"
    assert not HermeticExecutor.is_supported(sandboxes=[PlainSandbox()])
    assert HermeticExecutor.is_supported("best", sandboxes=[PlainSandbox()])
    assert HermeticExecutor.platform([PlainSandbox()]) == "plain"
    assert HermeticExecutor.platform([]) == ""
    assert not HermeticExecutor.is_supported("best", sandboxes=[])


def test_a_limit_on_purpose_that_cannot_be_kept_is_refused(build):
    limits = ResourceLimits(disk_bytes=1000, required=frozenset({"disk"}))
    with pytest.raises(IsolationError, match="disk"):
        HermeticExecutor.create(build().with_resources(limits).build(), sandboxes=[PlainSandbox()])


def test_a_network_is_not_hermetic(hermetic_machine, build):
    spec = build().with_network(NetworkPolicy(host=True)).build()
    with pytest.raises(IsolationError, match="network: the action may reach"):
        hermetic_machine.create(spec)
    with HermeticExecutor.create(spec, isolation="best", sandboxes=[hermetic_machine.sandbox]) as executor:
        assert not executor.execute(["true"]).hermetic


def test_the_installed_platforms_are_found():
    assert HermeticExecutor.platform() in ("linux", "plain")


def test_undeclared_files_are_not_there(hermetic_machine, build, place):
    (place / "secret.txt").write_text("secret")
    home = os.path.expanduser("~")
    with hermetic_machine.create(build().build()) as executor:
        for path in (place / "secret.txt", "/etc/shadow", home, "/root/.bashrc", f"/proc/{os.getpid()}"):
            result = executor.execute(["cat", str(path)])
            assert (result.exit_code, "No such file" in result.stderr) == (1, True), path
        assert "builder" in executor.execute(["cat", "/etc/passwd"]).stdout
        assert executor.execute(["cat", f"{place}/src/hello.txt"]).stdout == "hello\n"


def test_nothing_but_outputs_changes(hermetic_machine, build, place):
    (place / "secret.txt").write_text("secret")
    attack = textwrap.dedent(
        f"""
        for path in {place}/src/hello.txt {place}/src/new {place}/secret.txt {place}/new /usr/new /etc/passwd /new
        do echo x > $path; rm -f $path; chmod 777 $path; done
        touch {place}/src; mkdir {place}/src/dir; ln -s x {place}/link
        echo out > {place}/out/file
        """
    )
    with hermetic_machine.create(build("out/").build()) as executor:
        os.mkdir(place / "out")
        before = contents(place)
        result = executor.execute(["sh", "-c", attack])
    after = contents(place)
    assert set(after) - set(before) == {f"{place}/out/file"}, result.stderr
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {f"{place}/out"}


def test_a_typical_compilation(hermetic_machine, place):
    (place / "src/main.c").write_text('#include <stdio.h>\nint main(void) { puts("built"); return 0; }\n')
    spec = HermeticSpecBuilder.for_build([str(place / "src")], [f"{place}/out/"]).build()
    with hermetic_machine.create(spec) as executor:
        result = executor.execute(["gcc", "-o", f"{place}/out/main", "main.c"], f"{place}/src")
        assert result.success, result.stderr
        assert executor.execute([f"{place}/out/main"]).stdout == "built\n"


def test_a_test_with_results(hermetic_machine, place):
    (place / "src/test.sh").write_text('echo "<testsuite/>" > "$XML_OUTPUT_FILE"; touch "$TEST_TMPDIR/x"\n')
    spec = HermeticSpecBuilder.for_test([str(place / "src")], results=f"{place}/results.xml", timeout_s=60).build()
    with hermetic_machine.create(spec) as executor:
        assert executor.execute(["sh", "-eu", f"{place}/src/test.sh"]).success
    assert (place / "results.xml").read_text() == "<testsuite/>\n"


def test_a_service_that_died_between_two_runs_is_replaced(machine, build):
    started = []
    with machine.create(build().build()) as executor:
        executor.execute(["true"], on_status=started.append)
        (spawned,) = [status for status in started if isinstance(status, Spawned)]
        service = psutil.Process(spawned.supervisor_pid)
        service.kill()
        while service.is_running() and service.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert executor.execute(["true"]).success


def test_what_is_not_utf8_is_a_typed_error(machine, build):
    with machine.create(build().build()) as executor, pytest.raises(LaunchError, match="not UTF-8"):
        executor.execute(["echo", "\udcff"])
