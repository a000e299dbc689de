"""What happens to an action that does what is forbidden, and with filters of the caller's own."""

import os
import pty

import pytest

from bldr.api import Input, ProcessPolicy, ResourceLimits, Temp

KILL = ProcessPolicy(on_violation="kill")
MACHINE = os.uname().machine
ALLOW, REFUSE = 0x7FFF0000, 0x50000

# Attempts of the hostile program that the filter forbids, and the names of what they call.
FORBIDDEN = {
    "keyctl": "keyctl", "add_key": "add_key", "request_key=canary": "request_key", "bpf": "bpf",
    "userfaultfd": "userfaultfd", "perf": "perf_event_open", "mount": "mount", "remount": "mount", "umount": "umount2",
    "fsopen": "fsopen", "open_tree": "open_tree", "open_tree_attr": "open_tree_attr", "chroot": "chroot",
    "pivot_root": "pivot_root", "setns": "setns", "setns_init": "setns", "unshare_user": "unshare(CLONE_NEWUSER)",
    "unshare_user_high": "unshare(CLONE_NEWUSER)", "unshare_mount": "unshare(CLONE_NEWNS)",
    "unshare_time": "unshare(CLONE_NEWTIME)", "clone_user": "clone(CLONE_NEWUSER)",
    "clone_user_high": "clone(CLONE_NEWUSER)", "sethostname": "sethostname", "handle": "open_by_handle_at",
    "relabel": "lsm_set_self_attr", "tiocsti": "ioctl(TIOCSTI)", "tiocsti_high": "ioctl(TIOCSTI)",
    "tioclinux": "ioctl(TIOCLINUX)", "tioclinux_high": "ioctl(TIOCLINUX)",
}  # fmt: skip
# What programs probe for, and what the kernel itself refuses, ends nothing.
PROBES = {
    "io_uring": "ENOSYS", "clone3": "ENOSYS", "unjudged": "ENOSYS", "vsock": "EAFNOSUPPORT", "trace_init": "EPERM",
    "steal_fd": "EPERM", "fork": "ok", "own_filter": "ok", "trace_child": "ok",
}  # fmt: skip


@pytest.fixture
def hostile(box, hostile_program):
    """Starts the hostile program with one attempt, and something that outlives it if it can."""
    program = box.root / "payload"
    program.write_bytes(hostile_program.read_bytes())
    program.chmod(0o555)

    def run(attempt, **options):
        script = f"setsid sleep {1000 + os.getpid()} & /payload {attempt}; echo survived"
        return box.sh(script, more_inputs=(Input("/payload", str(program)),), process=KILL, **options)

    return run


@pytest.mark.parametrize("attempt", FORBIDDEN)
def test_a_forbidden_call_ends_everything_with_its_name(hostile, is_alive, attempt):
    controller, terminal = pty.openpty()
    try:
        ended = hostile(attempt, stdin=terminal)
    finally:
        os.close(controller)
        os.close(terminal)
    verdict = ended.exit.verdict
    assert (verdict.limit, verdict.unit) == ("syscall", FORBIDDEN[attempt])
    assert str(verdict) == f"the system call {FORBIDDEN[attempt]} is forbidden"
    assert (ended.exit_code, ended.out) == (137, "")
    assert not is_alive(str(1000 + os.getpid()))


def test_probes_end_nothing(attack):
    assert attack(*PROBES, process=KILL) == PROBES


@pytest.mark.skipif(MACHINE != "x86_64", reason="only x86-64 has two more ways to call the kernel")
def test_other_system_call_numbers_do_not_exist_here_either(attack):
    names = ("i386_unshare", "i386_keyctl", "x32_unshare")
    assert attack(*names, process=KILL) == dict.fromkeys(names, "ENOSYS")


def test_a_harmless_action_has_no_verdict(box):
    ended = box.sh("echo done", process=KILL)
    assert (ended.out, ended.exit_code, ended.exit.verdict) == ("done\n", 0, None)


def test_the_walls_take_no_descriptors_from_the_command(box):
    """The listener of the filter and the rules of Landlock need some while they are put up."""
    ended = box.sh("echo done", process=KILL, resources=ResourceLimits(open_files=4))
    assert (ended.out, ended.exit.failure) == ("done\n", None)


def test_many_at_once_and_one_of_them_forbidden(box):
    """The verdict is of the launch that earned it."""
    launches = {box.start("sh", "-c", "sleep 0.1; echo fine", process=KILL): 0 for _ in range(6)}
    guilty = box.start("unshare", "-m", "true", process=KILL)
    assert box.wait(guilty).exit.verdict.unit == "unshare(CLONE_NEWNS)"
    for launch in launches:
        assert box.wait(launch).exit.verdict is None


def program(number, answer):
    """A filter of somebody's own: one call answered, the others allowed."""
    code = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, answer), (6, 0, 0, ALLOW))
    return b"".join(c.to_bytes(2, "little") + bytes((t, f)) + v.to_bytes(4, "little") for c, t, f, v in code)


NUMBERS = {"x86_64": {"uname": 63, "getppid": 110, "kill": 62}, "aarch64": {"uname": 160, "getppid": 173, "kill": 129}}


@pytest.mark.parametrize("as_pid_1", [False, True], ids=["below pid 1", "as pid 1"])
def test_filters_of_the_caller_s_hold(box, as_pid_1):
    numbers = NUMBERS[MACHINE]
    filters = (program(numbers["uname"], REFUSE | 5), program(numbers["getppid"], REFUSE | 7))
    script = "import os\nfor f in os.uname, os.getppid:\n  try: print(f())\n  except OSError as e: print(e.errno)"
    ended = box.run("python3", "-S", "-c", script, filters=filters, process=ProcessPolicy(as_pid_1=as_pid_1))
    assert ended.out.split()[0] == "5", ended
    assert ended.out.split()[1] in ("-7", "7", "-1")


def test_filters_of_the_caller_s_take_nothing_from_pid_1(box):
    """It goes on to reap and to end what the command leaves behind, whatever the command may not do."""
    filters = (program(NUMBERS[MACHINE]["kill"], 0x80000000),)
    ended = box.sh("setsid sleep 1000 & echo done", filters=filters)
    assert (ended.out, ended.exit_code) == ("done\n", 0)


def test_a_filter_cannot_allow_what_is_forbidden(box):
    """Of all filters the strictest answer holds, and ours stays."""
    allow_all = (6).to_bytes(2, "little") + bytes(2) + ALLOW.to_bytes(4, "little")
    assert box.sh("unshare -m true", filters=(allow_all,)).exit_code == 1
    ended = box.sh("unshare -m true", filters=(allow_all,), process=KILL)
    assert ended.exit.verdict.unit == "unshare(CLONE_NEWNS)"


def test_a_filter_that_the_kernel_refuses_fails_set_up(box):
    nonsense = bytes(8 * 3)
    ended = box.run("true", filters=(nonsense,))
    assert ended.exit.failure.message.startswith("cannot install the system call filter: invalid argument")
    assert ended.exit.failure.hint


REAL = {
    "gcc": """
        printf '#include <stdio.h>\\nint main() { puts("made"); }' > a.c
        gcc -O2 -pipe -flto a.c -o a && ./a
    """,
    "g++": """
        printf '#include <iostream>\\nint main() { std::cout << "made"; }' > a.cc
        g++ -O1 a.cc -o a && ./a
    """,
    "rustc": "echo 'fn main(){println!(\"made\")}' > a.rs; rustc a.rs; ./a",
    "javac": """
        echo 'class A { public static void main(String[] a) throws Exception {
                  Thread t = new Thread(() -> System.out.println("made")); t.start(); t.join(); } }' > A.java
        javac A.java; java -XX:+UseG1GC A
    """,
    "node": """
        echo 'const {Worker, isMainThread} = require("worker_threads");
              const {execFileSync} = require("child_process");
              if (isMainThread) { new Worker(__filename).on("exit", () => console.log("made"));
                                  require("fs").readFileSync(__filename); execFileSync("true") }' > a.js
        node a.js
    """,
    "go": """
        printf 'package main\\nfunc main() { println("made") }' > a.go
        go run a.go 2>&1
    """,
    "python3": 'python3 -c \'import multiprocessing as m; print(m.Pool(2).map(len, ["made"]), "made")\'',
    "cmake": "cmake --version | sed s/.*version.*/made/",
    "strace": "strace -f -o /dev/null sh -c 'echo made'",
    "gdb": "gdb -q -batch -ex run -ex 'echo made' --args true",
    "fakeroot": "fakeroot sh -c 'touch a; chown 0:0 a; echo made'",
    "git": """
        export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x
        git init -q . && git commit -q --allow-empty -m made && git log --format=%s
    """,
}


@pytest.mark.full
@pytest.mark.parametrize("tool", REAL)
@pytest.mark.parametrize("on_violation", ["deny", "kill"])
def test_real_programs_live_with_it(make_box, tool, on_violation):
    """None of them makes a forbidden call, not even to see whether it could."""
    homes = [os.path.expanduser(f"~/{name}") for name in (".cargo", ".rustup")]
    path = f"{homes[0]}/bin:/usr/local/go/bin:/usr/local/bin:/usr/bin"
    if not any(os.access(f"{place}/{tool}", os.X_OK) for place in path.split(":")):
        pytest.skip(f"there is no {tool} here")
    configured = [f"/etc/{name}" for name in os.listdir("/etc") if name == "alternatives" or "openjdk" in name]
    box = make_box(map_caller=True)  # what lies in the caller's home is the caller's to enter
    ended = box.sh(
        f"cd /tmp; {REAL[tool]}",
        more_inputs=tuple(Input(root) for root in (*homes, *configured) if os.path.isdir(root)),
        temps=(Temp("/tmp", 1 << 30),),
        env=(("PATH", path), ("HOME", "/tmp"), ("RUSTUP_HOME", homes[1]), ("TMPDIR", "/tmp")),
        resources=ResourceLimits(processes=256),
        process=ProcessPolicy(on_violation=on_violation, map_caller=True),
    )
    assert ended.exit.verdict is None, ended
    assert "made" in ended.out, ended
