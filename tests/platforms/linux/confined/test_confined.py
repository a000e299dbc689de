"""Actions under Landlock alone: what holds without namespaces, and that no more is claimed."""

import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bldr.api import (
    GUARANTEES,
    TREE_ROOT,
    Bridge,
    Input,
    Launch,
    Level,
    NetworkPolicy,
    Output,
    ProcessPolicy,
    ResourceLimits,
    SandboxSpec,
)
from bldr_linux import seccomp, syscalls


def test_no_more_is_claimed_than_holds(sandbox, box):
    probe = sandbox.probe()
    kernel = {name for name, level in probe.isolation.items() if level is Level.KERNEL}
    assert kernel == {"fs-read", "network", "devices", "syscalls", "privileges"}
    lacking = {shortfall.guarantee for shortfall in probe.shortfalls}
    assert set(GUARANTEES) - set(probe.isolation) <= lacking
    assert not lacking & set(probe.isolation)
    assert all(shortfall.why and shortfall.remedy for shortfall in probe.shortfalls)
    assert box.run("true").exit.isolation == probe.isolation
    assert box.run("true", network=NetworkPolicy(host=True)).exit.isolation["network"] is Level.NONE


def test_it_is_registered_and_weaker_than_namespaces():
    from bldr_linux.plugin import bldr_sandboxes

    assert [platform.name for platform in bldr_sandboxes()] == ["linux", "landlock"]


def test_only_what_is_declared_is_read(box, attack):
    secret = box.directory("elsewhere", 0o777) / "secret"
    secret.write_text("canary")
    declared = box.directory("declared")
    (declared / "file").write_text("declared")
    paths = ["/etc/passwd", "/etc", "/", "/root", "/sys/kernel", "/dev/shm", str(secret), str(box.root), "/usr/bin/env"]
    answers = attack(*(f"read={path}" for path in paths))
    assert set(answers.values()) == {"EACCES"}
    ended = box.sh("cat /declared/file", more_inputs=(Input("/declared", str(declared)),))
    assert "No such file" in ended.err  # a script is not looked into: only arguments and variables are paths
    ended = box.run("cat", "/declared/file", more_inputs=(Input("/declared", str(declared)),))
    assert ended.out == "declared"


def test_files_that_tools_refer_to_by_their_names_in_the_sandbox(box):
    """A sysroot's files run each other by the names of the host: these files are readable there, and no others."""
    sysroot = box.directory("sysroot")
    (sysroot / "bin").mkdir()
    (sysroot / "bin/env").write_text("a copy")
    usr = (Input("/usr/lib"), Input("/usr/bin/sh"), Input("/usr/bin/dash"), Input("/usr/bin/cat"))
    if not os.path.exists("/usr/bin/dash"):
        pytest.skip("/bin/sh is another shell here")
    mixed = (*usr, Input("/usr", str(sysroot)))
    ended = box.run("/bin/sh", "-c", "read x < /usr/bin/env && echo found; read x < /usr/bin/id", inputs=mixed)
    assert ended.out == "found\n"
    assert "/usr/bin/id: Permission denied" in ended.err


def test_only_outputs_and_scratch_are_written(box):
    output = box.directory("output", 0o777)
    victim = box.directory("victim", 0o777)
    (victim / "file").write_text("kept")
    script = f"""
        for path in {victim}/file {victim}/new /dev/shm/x /usr/x $0/lower; do
            (: > $path) 2>/dev/null && echo wrote $path
        done
        rm -f {victim}/file 2>/dev/null && echo removed
        mkdir $OUT/sub; echo made > $OUT/sub/file; mv $OUT/sub/file $OUT/file; echo x > $TMPDIR/x
    """
    env = (("PATH", "/usr/bin"), ("OUT", "/out"), ("TMPDIR", "/tmp"))
    ended = box.sh(script, outputs=(Output("/out", str(output)),), env=env)
    assert (ended.exit_code, ended.out) == (0, ""), ended
    assert (output / "file").read_text() == "made\n"
    assert (victim / "file").read_text() == "kept"
    assert not [name for name in os.listdir(box.root) if name.startswith("tmp-")]


def test_the_tree_is_a_copy_with_a_path_that_is_told(box):
    tree = box.tree({"pkg/a": "input"})
    env = (("PATH", "/usr/bin"), ("WHERE", f"{TREE_ROOT}/pkg"))
    ended = box.sh('cat "$WHERE/a" pkg/a; echo changed > pkg/a; pwd; echo $BLDR_ROOT', tree=tree, env=env)
    assert ended.out == f"inputinput{tree.upper}\n{tree.upper}\n"
    assert Path(tree.lower, "pkg/a").read_text() == "input"
    assert Path(tree.upper, "pkg/a").read_text() == "changed\n"


def test_the_environment_is_exactly_the_spec_s(box, monkeypatch):
    monkeypatch.setenv("LEAKED", "canary")
    ended = box.run("env", env=(("PATH", "/usr/bin"), ("GREETING", "a b")))
    assert sorted(ended.out.splitlines()) == ["GREETING=a b", "PATH=/usr/bin"]


def test_there_is_no_network(attack, box):
    path = str(box.root / "socket")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as named:
        tcp.bind(("127.0.0.1", 0))
        named.bind(path)
        os.chmod(path, 0o777)
        tcp.listen()
        named.listen()
        names = (f"tcp={tcp.getsockname()[1]}", f"path_socket={path}", "abstract_socket=x", "route_out", "netlink")
        assert attack(*names) == dict.fromkeys(names, "EAFNOSUPPORT")
        assert not select.select([tcp, named], [], [], 0)[0]
        reached = attack(f"tcp={tcp.getsockname()[1]}", network=NetworkPolicy(host=True))
        assert set(reached.values()) == {"ok"}
    program = "import socket; a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))"
    assert box.run("python3", "-c", program).out == "b'x'\n"


DENIED = {
    "keyctl": "EPERM", "io_uring": "ENOSYS", "bpf": "EPERM", "userfaultfd": "EPERM", "mount": "EPERM",
    "unshare_user": "EPERM", "clone_user": "EPERM", "clone3": "ENOSYS", "chroot": "EPERM", "setns": "EPERM",
    "trace_init": "EPERM", "read_init": "EPERM", "device": "EPERM", "handle": "EPERM", "ambient": "EPERM",
    "new_privileges": "EINVAL",
}  # fmt: skip


def test_system_calls_that_lead_out_fail(attack):
    assert attack(*DENIED) == {**DENIED, "device": attack("device")["device"]}
    assert attack("device")["device"] in ("EPERM", "EACCES")
    assert set(attack("fork", "trace_child", "own_filter").values()) == {"ok"}


def test_the_supervisor_is_out_of_reach(box):
    """Neither killed nor traced, though it belongs to the same user."""
    program = """
import ctypes, os
parent = os.getppid()
for attempt in (lambda: os.kill(parent, 0), lambda: open(f"/proc/{parent}/mem", "rb"),
                lambda: open(f"/proc/{parent}/environ", "rb"), lambda: os.readlink(f"/proc/{parent}/fd/0")):
    try:
        attempt()
        print("reached")
    except OSError as error:
        print(type(error).__name__)
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace(16, parent, 0, 0))
"""
    answers = box.run("python3", "-S", "-c", program).out.split()
    if syscalls.landlock_abi() < 6:
        answers[0] = "PermissionError"
    assert answers == ["PermissionError"] * 4 + ["-1"]


def test_privileges_are_gone(box):
    status = box.run("cat", "/proc/self/status").out
    values = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("Cap", "NoNew")))
    assert values.pop("NoNewPrivs") == "1"
    if os.geteuid() != 0:
        del values["CapBnd"]  # worth nothing without new privileges
    assert set(values.values()) == {"0000000000000000"}


def test_nothing_outlives_the_command(box, is_alive):
    mark = str(40000 + os.getpid())
    escapes = f"sleep {mark} & setsid sleep {mark} & (setsid sh -c 'sleep {mark} & sleep {mark}' &) ; trap '' TERM"
    ended = box.sh(f"{escapes}; exit 3")
    assert ended.exit_code == 3
    assert not is_alive(mark)
    launch = box.start("sh", "-c", f"{escapes}; sleep {mark}")
    box.until(lambda: is_alive(mark))
    box.launcher.kill(launch)
    assert box.wait(launch).exit_code == 137
    assert not is_alive(mark)


def test_nothing_outlives_the_launcher(box, is_alive):
    mark = str(50000 + os.getpid())
    box.start("sh", "-c", f"setsid sleep {mark} & sleep {mark}")
    box.until(lambda: is_alive(mark))
    box.launcher.close()
    assert not is_alive(mark)
    box.launcher = type(box.launcher)(str(box.root))


@pytest.mark.parametrize("announce", [False, True])  # what is announced and never read resets the connection
def test_nothing_outlives_an_engine_that_is_killed(tmp_path, is_alive, announce):
    mark = str(60000 + os.getpid())
    program = textwrap.dedent(f"""
        import sys, time
        from bldr.api import Launch, SandboxSpec, Input
        from bldr_linux.confined.launcher import ConfinedLauncher
        launcher = ConfinedLauncher({str(tmp_path)!r})
        argv = ("/usr/bin/sh", "-c", "/usr/bin/setsid /usr/bin/sleep {mark} & /usr/bin/sleep {mark}")
        launcher.start(Launch(launch_id=1, spec=SandboxSpec(inputs=(Input("/usr"),)), argv=argv, cwd="/usr",
                              stdin=0, stdout=1, stderr=2, announce={announce}))
        time.sleep(1000)
    """)
    env = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    deadline = time.monotonic() + 30
    engine = subprocess.Popen([sys.executable, "-c", program], env=env)
    try:
        while not is_alive(mark):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        engine.kill()
        engine.wait()
    while is_alive(mark):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_few_open_files_do_not_keep_the_wall_from_being_put_up(box):
    resources = ResourceLimits(open_files=4)
    assert box.run("true", resources=resources, process=ProcessPolicy(on_violation="kill")).exit.failure is None


def test_time_ends_with_a_verdict(box):
    ended = box.sh("trap '' TERM; sleep 1000", resources=ResourceLimits(wall_time_s=0.2, grace_s=0.1))
    assert (ended.exit.verdict.limit, ended.exit.verdict.value) == ("wall-time", 0.2)
    assert ended.exit_code == 137


@pytest.mark.full
def test_processor_time_ends_with_a_verdict(box):
    ended = box.sh("while :; do :; done", resources=ResourceLimits(cpu_time_s=1, grace_s=0))
    assert ended.exit.verdict.limit == "cpu"


def test_forbidden_calls_end_it_by_name(box):
    ended = box.sh("unshare -m true; echo survived", process=ProcessPolicy(on_violation="kill"))
    assert (ended.exit.verdict.limit, ended.exit.verdict.unit) == ("syscall", "unshare(CLONE_NEWNS)")
    assert ended.out == ""


def test_filters_of_the_caller_s_hold(box):
    number = {"x86_64": 63, "aarch64": 160}[os.uname().machine]
    code = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50005), (6, 0, 0, 0x7FFF0000))
    program = b"".join(c.to_bytes(2, "little") + bytes((t, f)) + v.to_bytes(4, "little") for c, t, f, v in code)
    assert "Input/output error" in box.run("python3", "-S", "-c", "import os; os.uname()", filters=(program,)).err


def test_signals_and_the_news_of_a_start(box):
    script = "trap 'echo told; exit 5' USR1; while :; do sleep 0.01; done"
    box.launcher.start(
        Launch(
            launch_id=900,
            spec=SandboxSpec(inputs=(Input("/usr"),), env=(("PATH", "/usr/bin"),)),
            argv=("sh", "-c", script),
            cwd="/usr",
            stdin=0,
            stdout=1,
            stderr=2,
            announce=True,
        )
    )
    (started,) = box.until(box.launcher.started)
    assert started.launch_id == 900
    assert os.readlink(f"/proc/{started.pid}/exe").startswith("/usr/bin/")
    time.sleep(0.2)  # the shell has to have come to its trap
    box.launcher.signal(900, signal.SIGUSR1)
    (exit,) = box.until(box.launcher.reap)
    assert exit.exit_code == 5
    assert select.select([started.pidfd], [], [], 0)[0]
    os.close(started.pidfd)


def test_exit_codes_and_complaints(box):
    assert box.run("sh", "-c", "kill -11 $$").exit.signal == 11
    missing = box.run("nonesuch")
    assert (missing.exit_code, missing.err) == (127, "bldr: nonesuch: command not found (PATH=/usr/bin)\n")
    assert box.run("/usr/lib/os-release").exit_code == 126


FAILURES = {
    "no such file or directory: /nowhere": {"inputs": (Input("/nowhere"),)},
    "a bridge cannot be joined": {"network": NetworkPolicy(bridge=Bridge())},
    "a command cannot be process 1": {"process": ProcessPolicy(as_pid_1=True)},
    'cannot enter the working directory "/nowhere"': {"cwd": "/nowhere"},
    "the network cannot be limited to hosts": {"network": NetworkPolicy(hosts=("example.org:443",))},
}


@pytest.mark.parametrize("message", FAILURES)
def test_what_cannot_be_done_is_said(box, message):
    ended = box.run("true", **FAILURES[message])
    assert message in ended.exit.failure.message
    assert not [name for name in os.listdir(box.root) if name.startswith("tmp-")]


def test_many_at_once(box):
    launches = [box.start("sh", "-c", f"echo {number}; exit {number}") for number in range(12)]
    assert [box.wait(launch).exit_code for launch in launches] == list(range(12))


def test_nothing_is_left_open(box):
    box.run("true")
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        box.run("true")
        box.run("true", inputs=(Input("/nowhere"),))
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.full
def test_a_build_without_namespaces(tmp_path):
    """Where none can be made the build goes on in the weaker sandbox, says so, and `--hermetic` refuses."""
    if not os.path.exists("/usr/bin/gcc"):
        pytest.skip("there is no gcc")
    (tmp_path / "Builderfile").write_text(
        '[workspace]\nname = "demo"\n[target.hello]\ntype = "executable"\nlanguage = "c"\nsources = ["a.c"]\n'
        '[target.note]\ntype = "command"\noutputs = ["note"]\ncommand = "(cat /etc/passwd || echo denied) > $OUT"\n'
    )
    (tmp_path / "a.c").write_text('#include <stdio.h>\nint main(void) { puts("hello"); }\n')
    program = (
        "import os, sys; from bldr_linux import seccomp, syscalls;"
        "syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1);"
        "syscalls.install_filter(seccomp.program(os.uname().machine));"
        "sys.argv[0] = 'bldr';"
        "from bldr.cli.main import run_process; run_process()"
    )
    env = os.environ | {"PYTHONPATH": ":".join(sys.path), "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def build(*options):
        command = [sys.executable, "-c", program, "build", *options, "//..."]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    assert seccomp.MACHINES
    done = build()
    assert done.returncode == 0, done.stderr
    assert 'the sandbox "landlock" does not give' in done.stderr
    assert subprocess.check_output([tmp_path / "bldr-out/hello"], text=True) == "hello\n"
    assert (tmp_path / "bldr-out/note").read_text() == "denied\n"
    refused = build("--hermetic")
    assert refused.returncode == 5
    assert "fs-write" in refused.stderr


def test_a_launch_without_a_command_fails(box):
    box.launcher.start(Launch(launch_id=77, spec=SandboxSpec(), argv=(), cwd="/", stdin=0, stdout=1, stderr=2))
    select.select([box.launcher.fileno()], [], [], 10)
    (end,) = box.launcher.reap()
    assert end.failure.message == "there is no command to run"
    assert not end.isolation
