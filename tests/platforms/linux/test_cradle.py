"""The compiled pid 1 and the one in Python make the same world; and what happens when the former is lost."""

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bldr.api import Input, Link, MadeFile, ResourceLimits, Temp
from bldr_linux import compiled, cradle, init, landlock, steps
from bldr_linux.cell import Cell
from bldr_linux.cgroups.group import CellGroup
from bldr_linux.running import Waiting
from bldr_linux.sandbox import LinuxSandbox

WORLD = (Path(__file__).parent / "world.py").read_text()
PID_1 = r"""
import os
for line in open("/proc/1/status"):
    name, _, value = line.partition(":")
    if name in ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "THP_enabled", "CoreDumping") or (
        name.startswith(("Cap", "SigBlk", "SigCgt"))
    ):
        print("pid 1", name, value.split())
print(open("/proc/1/oom_score_adj").read(), os.getsid(0), os.getpgid(0), os.getppid())
for name in ("exe", "cwd", "root", "environ", "maps", "mem", "fd", "ns/mnt", "stack", "syscall"):
    try:
        os.stat(f"/proc/1/{name}/") if name in ("exe", "cwd", "root", "fd") else open(f"/proc/1/{name}").read(1)
        print(name, "can be read")
    except OSError as error:
        print(name, error.strerror)
"""
SPEC = {
    "files": (MadeFile("/etc/made", b"made"),),
    "links": (Link("/tmp/in/a/link", "/etc/made"),),
    "temps": (Temp("/tmp"), Temp("/tmp/in/it", 1 << 20), Temp("/scratch", 1 << 20)),
    "resources": ResourceLimits(open_files=77, file_bytes=1 << 20),
}


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cradles(box):
    """The cradles below a launcher; whoever one has just borne has its name until it takes one of its own."""
    for _ in range(500):
        found = [child for cell in children(box.launcher._pid) for child in children(cell)]
        named = [pid for pid in found if name_of(pid) == "bldr-cradle"]
        if len(named) <= 1:
            break
        time.sleep(0.01)
    return named


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.fixture
def boxes(make_box):
    """One with the compiled pid 1, one with the other."""
    if not os.path.exists(compiled.path()):
        pytest.skip("the compiled pid 1 is not there: install bldr again where there is a C compiler")
    return [make_box(platform=LinuxSandbox(uses_compiled=way)) for way in (True, False)]


def test_pid_1_is_what_was_asked_for(boxes):
    names = [box.run("cat", "/proc/1/comm").out for box in boxes]
    assert names[0] == "bldr-pid-1\n"
    assert names[1].startswith("python")
    assert [len(cradles(box)) for box in boxes] == [1, 0]


def test_both_make_the_same_world(boxes):
    """A directory of sources, files, links and memory below memory; limits; the rights of pid 1 itself."""
    told = []
    for box in boxes:
        given = box.directory("in")
        (given / "file").write_text("the host's")
        spec = SPEC | {"more_inputs": (Input("/in", str(given)),)}
        for program in (WORLD, PID_1):
            ended = box.run("python3", "-S", "-c", program, tree=box.tree({"source": "x"}), **spec)
            assert ended.exit_code == 0, ended
            told.append(ended.out.replace("cache1", "cache0"))
        for argv in (("python3", "-S", "-c", WORLD), ("grep", "^Sig", "/proc/self/status")):
            told.append(box.run(*argv, cwd="/", **spec).out.replace("cache1", "cache0"))
    assert [bool(cradles(box)) for box in boxes] == [True, False]
    half = len(told) // 2
    for compiled_s, python_s in zip(told[:half], told[half:], strict=True):
        assert compiled_s.splitlines() == python_s.splitlines()


QUEUES = r"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.mq_open(b"/queue", os.O_RDWR | os.O_CREAT, 0o600, None) >= 0)
mounts = [line.split() for line in open("/proc/self/mountinfo")]
places = [fields[4] for fields in mounts if fields[fields.index("-") + 1] == "mqueue"]
kinds = {fields[4]: fields[fields.index("-") + 1] for fields in mounts}
print(len(places), [kinds[place] for place in places])
print([name for place in places for name in os.listdir(place)])
print([libc.umount2(place.encode(), 2) for place in places])
print([name for place in places for name in os.listdir(place)])
"""


def test_queues_lie_under_memory_and_nobody_gets_there(boxes):
    """Mounted for pid 1 alone: a mount that is nowhere would make all processors wait when it ends."""
    if "mqueue" not in Path("/proc/filesystems").read_text().split():
        pytest.skip("this kernel has no message queues")
    for box in boxes:
        for _ in range(2):
            ended = box.run("python3", "-S", "-c", QUEUES)
            assert ended.out == "True\n1 ['tmpfs']\n[]\n[-1]\n[]\n", ended


def test_the_size_of_pid_1_tells_nothing_of_launches_before(boxes):
    box = boxes[0]
    sizes: dict[object, set[str]] = {}  # by cell: they take turns, and each bears its own
    for number in range(12):
        more = ["/dev/null"] * (number * 50)
        before = {cell: cell.launches for cell in box.launcher._pool}
        size = box.run("cat", "/proc/1/statm").out
        (cell,) = (cell for cell in box.launcher._pool if cell.launches > before.get(cell, 0))
        sizes.setdefault(cell, set()).add(size)
        assert (
            box.sh('cat "$@" >/tmp/x; (sleep 100 &)', env=(("PATH", "/usr/bin"), ("X", "x" * number * 9000))).err == ""
        )
        assert box.run("cat", *more).exit_code == 0
    assert [len(found) for found in sizes.values()] == [1] * len(sizes)


@pytest.mark.parametrize(
    ("argv", "env"),
    [
        (("no-such-program",), (("PATH", "/usr/bin:/usr/sbin"),)),
        (("no-such-program",), ()),
        (("/usr/no-such-program",), ()),
        (("/etc/made",), ()),
        (("made",), (("PATH", "/usr/bin:/etc"),)),
        (("/usr",), ()),
        (("/etc/lost",), ()),
        (("x" * 5000,), (("PATH", "/usr/bin"),)),
        (("",), (("PATH", "/usr/bin"),)),
    ],
    ids=["path", "no-path", "slash", "mode", "found-and-mode", "directory", "interpreter", "long", "empty"],
)
def test_both_say_the_same_of_a_command_that_cannot_be_started(boxes, argv, env):
    files = (MadeFile("/etc/made", b"made"), MadeFile("/etc/lost", b"#!/no/interpreter\n", 0o555))
    told = []
    for box in boxes:
        ended = box.run(*argv, env=env, files=files)
        told.append((ended.exit_code, ended.exit.signal, ended.exit.verdict, ended.out, ended.err))
    assert told[0] == told[1]
    assert told[0][0] in (126, 127)
    assert told[0][-1].startswith(f"bldr: {argv[0]}: ")


def test_a_cradle_that_is_killed_is_done_without(boxes):
    box = boxes[0]
    assert box.run("true").exit_code == 0
    (pid,) = cradles(box)
    os.kill(pid, signal.SIGKILL)
    for _ in range(4):
        ended = box.run("cat", "/proc/1/comm")
        assert ended.exit_code == 0, ended
    assert ended.out.startswith("python")
    assert not cradles(box)


def test_where_the_next_one_cannot_be_made_the_network_of_the_one_before_is_given_up(boxes):
    box = boxes[0]
    program = """
import os, socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"mark", ("127.0.0.1", 5001))
print(os.readlink("/proc/self/ns/net"), flush=True)
input()
"""
    stdin, closing = os.pipe()
    launch = box.start("python3", "-S", "-c", program, stdin=stdin)
    out = box.logs[launch][0].fileno()
    box.until(lambda: os.fstat(out).st_size)
    (pid,) = cradles(box)
    os.kill(pid, signal.SIGKILL)
    os.write(closing, b"\n")
    first = box.wait(launch)
    assert first.exit_code == 0, first
    second = box.run("readlink", "/proc/self/ns/net")
    assert second.exit_code == 0, second
    assert second.out.startswith("net:[")
    assert second.out != first.out
    for fd in (stdin, closing):
        os.close(fd)


@pytest.fixture
def own_cradle():
    """One without a cell, which has entered nothing."""
    program_fd = compiled.open_program()
    if program_fd < 0:
        pytest.skip("the compiled pid 1 is not there: install bldr again where there is a C compiler")
    own = cradle.Cradle(program_fd, init.Prepared())
    os.close(program_fd)
    yield own
    own.close()


@pytest.mark.parametrize("arrive", [0, 1, 2])
def test_nobody_is_born_where_a_descriptor_was_lost_on_the_way(own_cradle, monkeypatch, arrive):
    """The last one is the control group's: without it there would be no limits."""
    send = own_cradle._send
    monkeypatch.setattr(own_cradle, "_send", lambda kind, content, fds: send(kind, content, fds[:arrive]))
    directory_fd = os.open("/", os.O_PATH)
    newborn = own_cradle.bear(0, directory_fd, directory_fd)
    os.close(directory_fd)
    with pytest.raises(cradle.CradleError):
        assert newborn.pid > 0
    assert newborn.born_as == (-errno.EMFILE, -1)
    newborn.end()


def test_a_cradle_that_dies_with_work_before_it_is_of_no_use(own_cradle):
    """The kernel then says of the socket that it was reset, not that it was closed."""
    os.kill(own_cradle.pid, signal.SIGSTOP)
    os.waitpid(own_cradle.pid, os.WUNTRACED)
    directory_fd = os.open("/", os.O_PATH)
    newborn = own_cradle.bear(0, directory_fd, -1)
    os.close(directory_fd)
    os.kill(own_cradle.pid, signal.SIGKILL)
    with pytest.raises(cradle.CradleError):
        newborn.namespace()
    newborn.end()


def test_whoever_says_that_it_is_ready_before_its_birth_is_told_is_waited_for(own_cradle):
    """A cell asks for its number later, where nobody could do without the cradle any more."""
    newborn = cradle.Newborn(own_cradle)
    own_cradle._born_last.append(newborn)
    newborn.inner.send(cradle._MADE.to_bytes(8, "little"))
    os.kill(own_cradle.pid, signal.SIGKILL)
    with pytest.raises(cradle.CradleError):
        newborn.namespace()
    newborn.end()


def test_a_birth_that_is_told_of_while_something_else_is_waited_for_is_kept(own_cradle):
    directory_fd = os.open("/", os.O_PATH)
    newborn = own_cradle.bear(0, directory_fd, -1)
    os.close(directory_fd)
    own_cradle.join(())
    assert newborn.is_alive()
    newborn.end()


def test_a_launch_that_fails_half_way_leaves_no_sandbox(own_cradle, tmp_path, monkeypatch):
    ours, theirs = socket.socketpair()
    cell = Cell(theirs, init.Prepared(), CellGroup(("", "", (), (), ()), 1), die_with_parent=False)
    directory_fd = os.open("/", os.O_PATH)
    log_fd = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)
    before = os.listdir("/proc/self/fd")
    newborn = own_cradle.bear(0, directory_fd, -1)
    pid = newborn.pid

    def give(*_):
        raise OSError(errno.ETOOMANYREFS, "too many references")

    monkeypatch.setattr(newborn, "give", give)
    plan = {"bounds": {"log": 1000}, "control": {}, "measured": ()}
    with pytest.raises(OSError, match="too many references"):
        cell._give(newborn, Waiting(1, plan, (log_fd, log_fd, log_fd), in_turn=False))
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
    for fd in (directory_fd, log_fd):
        os.close(fd)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("machine", steps.MACHINES)
def test_programs_are_the_same_every_time_and_name_what_each_step_is_for(machine):
    base = {
        "fresh": (("proc", "/proc"), ("mask", "/proc/keys", "/dev/null", 1, 3), ("tmpfs", "/tmp", 4096, 9, 0o1777),
                  ("tmpfs", "/tmp/in/it", 4096, 9, 0o1777), ("link", "/tmp/in/link", "/x")),
        "queues": "/tmp",
        "landlock": (("", "queues"), ("/tmp", "write")),
        "on_violation": "deny",
    }  # fmt: skip
    content, where = steps.ahead(machine, base, 6, b"\0" * 16)
    assert (content, where) == steps.ahead(machine, base, 6, b"\0" * 16)
    assert int.from_bytes(content[:8], "little") == len(where)
    assert {("tmpfs", "/tmp/in/it"), ("link", "/tmp/in/link"), ("landlock", ""), ("seccomp", "")} <= set(where)
    assert b"/tmp/in\0" in content  # made in what is fresh itself
    assert steps.ahead(machine, base | {"fresh": (("sysfs", "/sys"),)}, 6, b"") is None
    assert landlock.is_used(2) and not landlock.is_used(1)


@pytest.mark.parametrize("place", ["/tmp", ""])
@pytest.mark.parametrize("machine", steps.MACHINES)
def test_without_queues_exactly_what_they_need_is_passed_over(machine, place):
    """A kernel without the file system: the next step is the first of what every sandbox has."""
    base = {
        "fresh": (("tmpfs", "/tmp", 4096, 9, 0o1777),),
        "queues": place,
        "landlock": (("", "queues"), ("/tmp", "write")),
        "on_violation": "deny",
    }
    content, where = steps.ahead(machine, base, 6, b"\0" * 16)
    data = content[16 + 72 * len(where) :]
    (at,) = (
        index
        for index in range(len(where))
        if (step := content[16 + 72 * index :])[:4] == (430).to_bytes(4, "little")  # fsopen
        and data[int.from_bytes(step[24:32], "little") :].startswith(b"mqueue\0")
    )
    skipped = int.from_bytes(content[16 + 72 * at + 12 :][:4], "little")
    assert [purpose for purpose, _ in where[at : at + skipped + 2]] == ["landlock"] * (skipped + 1) + ["tmpfs"]


def test_every_kind_of_constant_is_the_same_on_both_sides():
    """The protocol is written down twice."""
    source = (Path(compiled.__file__).parent / "cradle.c").read_text()
    (kinds,) = re.findall(r"enum \{ (RUN.*?) \};", source)
    assert [getattr(cradle, f"_{kind}") for kind in kinds.split(", ")] == list(range(len(kinds.split(", "))))
    (verdicts,) = re.findall(r"enum \{ (NO_VERDICT.*?) \};", source)
    assert [getattr(cradle, f"_{kind}") for kind in verdicts.split(", ")] == list(range(len(verdicts.split(", "))))
    assert (cradle._MADE, cradle._LISTENER) == (steps.MADE, steps.LISTENER)


def test_without_a_compiler_there_is_no_program(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "path", lambda: str(tmp_path / "none"))
    monkeypatch.setenv("CC", "/no/such/compiler")
    with pytest.raises(OSError):
        compiled.build()
    monkeypatch.setenv("CC", "false")
    with pytest.raises(subprocess.CalledProcessError):
        compiled.build()
    assert compiled.open_program() == -1


def test_without_its_source_there_is_no_program_and_the_sandbox_works(sandbox, monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "_SOURCE", str(tmp_path / "cradle.c"))
    found = LinuxSandbox().probe()
    assert found.supported
    assert "runs in Python" in found.notes[0]


def test_two_installations_at_once_leave_each_other_alone(monkeypatch, tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compiled, "_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(compiled, "_SOURCE", str(tmp_path / "cradle.c"))
    (tmp_path / "cradle.c").write_text("int main(void) { return 0; }")
    older, unfinished = (tmp_path / f"cradle-{os.uname().machine}-{name}" for name in ("0123", "4567.89"))
    older.touch()
    unfinished.touch()
    program = compiled.build()
    assert {path.name for path in tmp_path.iterdir()} == {"cradle.c", os.path.basename(program), unfinished.name}
    assert subprocess.run([program], check=False).returncode == 0


WITHOUT_CLONE3 = r"""
import os, select, sys
from bldr.api import Input, Launch, SandboxSpec
from bldr_linux import syscalls
from bldr_linux.sandbox import LinuxSandbox

def instruction(code, if_true, if_false, value):
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + value.to_bytes(4, "little")

load, is_clone3 = instruction(0x20, 0, 0, 0), instruction(0x15, 0, 1, 435)
syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
syscalls.install_filter(load + is_clone3 + instruction(6, 0, 0, 0x50026) + instruction(6, 0, 0, 0x7FFF0000))
launcher = LinuxSandbox().open(sys.argv[1])
null = os.open(os.devnull, os.O_RDWR)
for number in range(3):
    spec = SandboxSpec(inputs=(Input("/usr"),))
    argv = ("/usr/bin/cat", "/proc/1/comm")
    launcher.start(Launch(launch_id=number, spec=spec, argv=argv, cwd="/", stdin=null, stdout=1, stderr=2))
    while not (exits := launcher.reap()):
        select.select([launcher], [], [])
    assert exits[0].exit_code == 0, exits
launcher.close()
"""


def test_where_nobody_sees_the_arguments_of_clone3_there_is_none(boxes):
    """So container runtimes answer it; then pid 1 joins its control group by itself."""
    path = ":".join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_CLONE3, boxes[0].root],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "bldr-pid-1\n" * 3), ran.stderr
