"""From start to exit: statuses, limits and their verdicts, kills, and nothing left alive after any kind of end."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bldr.api import Input, ResourceLimits, Temp


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_pid_1(pid):
    """Of a pid namespace of its own; other cells have none yet."""
    (numbers,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid:"))
    return numbers.split()[-1] == "1"


def test_statuses(box):
    assert box.run("true").exit_code == 0
    assert box.sh("exit 42").exit_code == 42
    ended = box.sh("kill -SEGV $$")
    assert (ended.exit_code, ended.exit.signal) == (128 + signal.SIGSEGV, signal.SIGSEGV)
    assert ended.exit.verdict is None


def test_a_command_that_is_not_there(box):
    ended = box.run("no-such-command")
    assert (ended.exit_code, ended.err) == (127, "bldr: no-such-command: command not found (PATH=/usr/bin)\n")
    assert box.run("no-such-command", env=()).err == "bldr: no-such-command: command not found (there is no PATH)\n"
    assert box.run("/no/such", env=()).err == "bldr: /no/such: no such file\n"
    assert box.run("/no/such").exit_code == 127


def test_a_command_that_cannot_be_run(box):
    ended = box.run("./plain", tree=box.tree({"plain": "text"}))
    assert (ended.exit_code, ended.err) == (126, "bldr: ./plain: permission denied\n")
    tree = box.tree({"script": "#!/no/such/interpreter\n"})
    os.chmod(f"{tree.lower}/script", 0o755)
    ended = box.run("./script", tree=tree)
    assert (ended.exit_code, ended.err) == (127, "bldr: ./script: its interpreter or loader is not in the sandbox\n")
    path = (("PATH", "/build:/usr/bin"),)
    assert box.run("plain", tree=box.tree({"plain": "text"}), env=path).exit_code == 126
    assert box.run("/tmp").exit_code == 126


def test_an_executable_that_comes_later_in_the_path_is_found(box):
    tree = box.tree({"true": "not executable"})
    assert box.run("true", tree=tree, env=(("PATH", "/build:/usr/bin"),)).exit_code == 0


def test_standard_streams(box, tmp_path):
    (tmp_path / "input").write_text("typed in")
    with open(tmp_path / "input", "rb") as file:
        ended = box.sh("cat; echo wrong >&2", stdin=file.fileno())
    assert (ended.out, ended.err) == ("typed in", "wrong\n")


def test_plans_larger_than_any_socket_buffer(box):
    argument = "x" * 100_000
    env = (("PATH", "/usr/bin"), *((f"V{number}", argument) for number in range(15)))
    ended = box.run("sh", "-c", "echo ${#V7}", env=env)
    assert ended.out == "100000\n"
    source = box.directory("many")
    inputs = []
    for number in range(1500):
        (source / str(number)).write_text(str(number))
        inputs.append(Input(f"/many/{number}", str(source / str(number))))
    assert box.sh("cat /many/1499; ls /many | wc -l", more_inputs=tuple(inputs)).out == "14991500\n"


def test_use_is_reported(box):
    usage = box.run("python3", "-c", "x = bytearray(50 << 20); sum(range(2000000))").exit.usage
    assert usage.memory_peak_bytes > 50 << 20
    assert usage.cpu_s > 0
    assert usage.wall_s > 0


def test_use_covers_children_and_orphans(box):
    """Also of one that is still there at the end."""
    for rest in ("", "; import time; time.sleep(1000)"):
        program = f"x = bytearray(60 << 20); open('/tmp/done', 'w').close(){rest}"
        orphan = f'(python3 -c "{program}" &); while ! [ -e /tmp/done ]; do sleep 0.01; done'
        assert box.sh(orphan).exit.usage.memory_peak_bytes > 60 << 20


@pytest.mark.parametrize("polite", [True, False])
def test_wall_time(box, polite):
    trap = "trap 'echo asked; exit 5' TERM" if polite else "trap '' TERM"
    limits = ResourceLimits(wall_time_s=0.3, grace_s=0.2 if not polite else 30)
    ended = box.run("sh", "-c", f"{trap}; while :; do sleep 0.02; done", resources=limits)
    assert (ended.exit_code, ended.out) == ((5, "asked\n") if polite else (128 + 9, ""))
    verdict = ended.exit.verdict
    assert (verdict.limit, verdict.value, verdict.unit) == ("wall-time", 0.3, "s")
    assert verdict.used >= 0.3


def test_the_polite_signal_reaches_the_command_s_children(box):
    limits = ResourceLimits(wall_time_s=0.3, grace_s=30)
    ended = box.run("sh", "-c", "trap 'echo asked; exit 5' TERM; sleep 1000; exit 6", resources=limits)
    assert (ended.exit_code, ended.out) == (5, "asked\n")


def test_cpu_time_of_one_process(box):
    ended = box.sh("while :; do :; done", resources=ResourceLimits(cpu_time_s=0.5, grace_s=0.2))
    assert (ended.exit.verdict.limit, ended.exit.verdict.value) == ("cpu", 0.5)
    assert ended.exit.signal == signal.SIGXCPU


def test_cpu_time_of_all_processes_together(box):
    """Each of them stays far below the limit: short-lived ones, which only their parents have the sum of."""
    script = (
        "i=0; while [ $i -lt 100000 ]; do sh -c 'j=0; while [ $j -lt 20000 ]; do j=$((j+1)); done'; i=$((i+1)); done"
    )
    ended = box.sh(script, resources=ResourceLimits(cpu_time_s=0.6, grace_s=0.1))
    assert ended.exit.verdict.limit == "cpu"
    assert ended.exit.verdict.used >= 0.6


def test_cpu_time_cannot_be_ignored(box):
    script = "trap '' XCPU TERM; (trap '' XCPU; while :; do :; done) & while :; do :; done"
    ended = box.sh(script, resources=ResourceLimits(cpu_time_s=0.3, grace_s=0.1))
    assert (ended.exit.verdict.limit, ended.exit.signal) == ("cpu", signal.SIGKILL)


def test_the_size_of_a_file(box):
    limits = ResourceLimits(output_bytes=1 << 20)
    ended = box.run("sh", "-c", "exec head -c 3000000 /dev/zero > big", tree=box.tree(), resources=limits)
    assert (ended.exit.verdict.limit, ended.exit.verdict.value, ended.exit.verdict.unit) == ("output", 1 << 20, "bytes")
    passed_on = box.sh("head -c 3000000 /dev/zero > big", tree=box.tree(), resources=limits)
    assert passed_on.exit.verdict.limit == "output"
    assert box.sh("head -c 300000 /dev/zero > small", tree=box.tree(), resources=limits).exit.verdict is None


def test_the_number_of_processes(box):
    ended = box.run("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done", resources=ResourceLimits(processes=4))
    assert "fork" in ended.err.lower() or ended.exit.verdict.limit == "processes"
    fine = box.sh("for i in 1 2 3; do true & done; wait; echo fine", resources=ResourceLimits(processes=8))
    assert fine.out == "fine\n"
    # The limit is the action's own: another action's processes do not count.
    first = box.start("sleep", "1000", resources=ResourceLimits(processes=1))
    assert box.run("true", resources=ResourceLimits(processes=1)).exit_code == 0
    box.launcher.kill(first)
    box.wait(first)


def test_a_fork_bomb_ends_with_its_time(box):
    limits = ResourceLimits(processes=50, wall_time_s=0.5, grace_s=0.1)
    ended = box.run("sh", "-c", "f() { f | f & wait; }; f; sleep 1000", resources=limits)
    assert ended.exit_code != 0


def test_open_files_and_core_dumps(box):
    assert box.sh("ulimit -n; ulimit -c; ulimit -s", resources=ResourceLimits(open_files=77)).out.split()[:2] == [
        "77",
        "0",
    ]


DAEMONS = """
    (setsid sleep {mark} &)
    setsid sh -c '(trap "" TERM HUP INT; sleep {mark} & sleep {mark}; wait) &'
    python3 -c '
    import os, signal
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 32):
                if number not in (9, 19): signal.signal(number, signal.SIG_IGN)
            os.execvp("sleep", ["sleep", "{mark}"])
        os._exit(0)
    '
    while [ $(pgrep -c -f 'sleep {mark}') -lt 4 ]; do sleep 0.01; done
"""


def daemons(mark):
    return textwrap.dedent(DAEMONS).format(mark=mark)


@pytest.mark.parametrize("end", ["exit 0", "exit 1", "kill -9 $$"])
def test_nothing_outlives_the_command(box, is_alive, mark, end):
    box.run("sh", "-c", f"{daemons(mark)}\n{end}")
    assert not is_alive(mark)


def test_nothing_outlives_a_time_out(box, is_alive, mark):
    limits = ResourceLimits(wall_time_s=1, grace_s=0.1)
    ended = box.run("sh", "-c", f"trap '' TERM; {daemons(mark)}\nwhile :; do sleep {mark}; done", resources=limits)
    assert not is_alive(mark)
    assert ended.exit.verdict.limit == "wall-time"


def test_nothing_outlives_a_kill(box, is_alive, mark):
    launch = box.start("sh", "-c", f"{daemons(mark)}\ntouch ready; sleep {mark}", tree=box.tree())
    box.until(lambda: is_alive(mark))
    box.launcher.kill(launch)
    ended = box.wait(launch)
    assert not is_alive(mark)
    assert (ended.exit_code, ended.exit.signal, ended.exit.verdict) == (137, 9, None)


def test_nothing_outlives_the_launcher_s_close(make_box, is_alive, mark):
    box = make_box()
    for _ in range(3):
        box.start("sleep", mark)
    box.until(lambda: is_alive(mark))
    box.launcher.close()
    assert not is_alive(mark)


def test_pid_1_killed_from_outside(box, is_alive, mark):
    launch = box.start("sleep", mark)
    box.until(lambda: is_alive(mark))
    (init,) = (pid for cell in children(box.launcher._pid) for pid in children(cell) if is_pid_1(pid))
    os.kill(init, signal.SIGKILL)
    ended = box.wait(launch)
    assert not is_alive(mark)
    assert (ended.exit_code, ended.exit.signal) == (137, 9)


@pytest.mark.parametrize("victim", ["the launcher", "one of its cells"])
def test_the_launcher_killed(make_box, is_alive, mark, victim):
    box = make_box()
    launches = [box.start("sh", "-c", f"{daemons(mark)}\nsleep {mark}") for _ in range(2)]
    box.until(lambda: is_alive(mark))
    launcher = box.launcher._pid
    os.kill(launcher if victim == "the launcher" else children(launcher)[0], signal.SIGKILL)
    for launch in launches:
        assert "launcher died" in box.wait(launch).exit.failure.message
    assert not is_alive(mark)
    # One that comes later is answered as well.
    assert "launcher died" in box.run("true").exit.failure.message


@pytest.mark.parametrize(
    "moment", [*(pytest.param(s, marks=pytest.mark.full) for s in (0.0, 0.002, 0.01)), 0.005, None]
)
def test_the_engine_killed(sandbox, tmp_path, is_alive, mark, moment):
    """At several moments of set-up, and when the daemons are there (None)."""
    (tmp_path / "v1").mkdir(mode=0o711)
    engine = f"""
        import time
        from bldr.api import *
        from bldr_linux.sandbox import LinuxSandbox
        launcher = LinuxSandbox().open({str(tmp_path / "v1")!r})
        spec = SandboxSpec(inputs=(Input("/usr"),), temps=(Temp("/tmp"),), env=(("PATH", "/usr/bin"),))
        for number in range(3):
            launcher.start(Launch(launch_id=number, spec=spec, argv=("sh", "-c", {daemons(mark)!r} + "\\nsleep {mark}"),
                                  cwd="/", stdin=0, stdout=2, stderr=2))
        print("started", launcher._pid, flush=True)
        time.sleep(1000)
    """
    environment = {**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)}
    engine = subprocess.Popen([sys.executable, "-c", textwrap.dedent(engine)], stdout=subprocess.PIPE, env=environment)
    launcher = int(engine.stdout.readline().split()[1])
    deadline = time.monotonic() + 60
    while moment is None and not is_alive(mark):
        assert time.monotonic() < deadline
    time.sleep(moment or 0)
    engine.kill()
    engine.communicate()
    while os.path.exists(f"/proc/{launcher}") or is_alive(mark):
        assert time.monotonic() < deadline, "something is left"
        time.sleep(0.01)


def test_many_at_once(box):
    launches = [box.start("sh", "-c", f"sleep 0.0{number % 7}; exit {number % 50}") for number in range(40)]
    assert [box.wait(launch).exit_code for launch in launches] == [number % 50 for number in range(40)]


def test_two_launchers_at_once(make_box):
    first, second = make_box(), make_box()
    pairs = [(box, box.start("echo", str(number))) for number in range(8) for box in (first, second)]
    assert [box.wait(launch).out.strip() for box, launch in pairs] == [str(n) for n in range(8) for _ in range(2)]
    first.launcher.close()
    assert second.run("echo", "alone").out == "alone\n"


@pytest.mark.full
def test_no_descriptor_is_left_behind(box):
    def counts():
        ours, its = (len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), box.launcher._pid))
        return ours - len(box.launcher._pool), its  # one for each cell, of which there are as many as ran at once

    for round_number in range(20):
        if round_number == 1:
            before = counts()
        launches = [box.start("true") for _ in range(6)]
        launches += [box.start("true", more_inputs=(Input("/none", "/no/such/source"),)) for _ in range(2)]
        launches += [box.start("true", cwd="/nowhere"), box.start("no-such-command")]
        for launch in launches:
            box.wait(launch)
    assert counts() == before
    assert len(box.launcher._pool) <= 12


def test_reap_never_blocks_and_kill_ignores_strangers(box):
    assert list(box.launcher.reap()) == []
    box.launcher.kill(12345)
    assert box.run("true").exit_code == 0


def test_temps_of_another_action_are_not_seen(box):
    first = box.start("sh", "-c", "echo x > /tmp/x; sleep 1000", temps=(Temp("/tmp"),))
    assert box.sh("ls /tmp").out == ""
    box.launcher.kill(first)
    box.wait(first)
