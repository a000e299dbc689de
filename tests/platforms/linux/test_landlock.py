"""The second wall: what it stops when the first one is gone, and that nothing runs into it that should not."""

import os
import shutil
import socket
import tempfile
from contextlib import suppress

import pytest

import bldr_linux.compile
import bldr_linux.reuse
from bldr.api import Input, NetworkPolicy, Output, Temp
from bldr_linux import landlock, syscalls
from bldr_linux.root import StepError

ABI = syscalls.landlock_abi()
if ABI < 2:
    pytest.skip(f"the kernel's Landlock (version {ABI}) is too old to put up a wall", allow_module_level=True)


@pytest.fixture
def behind(tmp_path):
    """Runs a function behind the wall, in a process of its own: what it returned, or the number of its error."""

    def run(function, rules, abi=ABI):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
                landlock.restrict(rules, abi)
                answer = function()
            except OSError as error:
                answer = os.strerror(error.errno)
            except StepError as error:
                answer = f"{error.step} {error.path}"
            finally:
                os.write(writing, str(answer).encode())
                os._exit(0)
        os.close(writing)
        with open(reading) as file:
            answer = file.read()
        os.waitpid(pid, 0)
        return answer

    return run


@pytest.fixture
def places(tmp_path):
    for name in ("inside/sub", "outside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("kept")
    return tmp_path


@pytest.mark.parametrize("abi", range(2, ABI + 1))
def test_only_what_the_rules_name_is_written(behind, places, abi):
    rules = ((str(places / "inside"), "write"),)
    allowed = {
        "write": lambda: (places / "inside/sub/file").write_text("x"),
        "make": lambda: (places / "inside/made").write_text("y"),
        "directory": lambda: (places / "inside/deep/er").mkdir(parents=True),
        "link": lambda: os.link(places / "inside/sub/file", places / "inside/hard"),
        "symlink": lambda: os.symlink("x", places / "inside/soft"),
        "move": lambda: os.rename(places / "inside/sub/file", places / "inside/moved"),
        "socket": lambda: socket.socket(socket.AF_UNIX).bind(str(places / "inside/s")),
        "pipe": lambda: os.mkfifo(places / "inside/fifo"),
        "remove": lambda: os.unlink(places / "inside/hard"),
        "read": lambda: (places / "outside/file").read_text(),
        "run": lambda: os.waitstatus_to_exitcode(os.system("true")),
    }
    for name, attempt in allowed.items():
        answer = behind(attempt, rules, abi)
        assert answer in ("None", "0", "1", "kept"), (name, answer)
    denied = {
        "write": lambda: (places / "outside/file").write_text("x"),
        "make": lambda: (places / "outside/made").write_text("y"),
        "directory": lambda: (places / "outside/deep").mkdir(),
        "symlink": lambda: os.symlink("x", places / "outside/soft"),
        "remove": lambda: os.unlink(places / "outside/file"),
        "pipe": lambda: os.mkfifo(places / "outside/fifo"),
    }
    for name, attempt in denied.items():
        assert behind(attempt, rules, abi) == "Permission denied", name
    out = behind(lambda: os.rename(places / "inside/moved", places / "outside/moved"), rules, abi)
    assert out in ("Permission denied", "Invalid cross-device link")
    if abi >= 3:
        assert behind(lambda: os.truncate(places / "outside/file", 0), rules, abi) == "Permission denied"
    assert (places / "outside/file").read_text() == "kept"
    assert [path.name for path in (places / "outside").iterdir()] == ["file"]


def test_with_a_rule_to_read_nothing_else_is_read(behind, places):
    rules = ((str(places / "inside/sub"), "read"), (str(places / "inside/sub/file"), "write"))
    assert behind(lambda: (places / "inside/sub/file").read_text(), rules) == "kept"
    assert behind(lambda: os.listdir(places / "inside/sub"), rules) == "['file']"
    assert behind(lambda: (places / "inside/sub/new").write_text("x"), rules) == "Permission denied"
    assert behind(lambda: (places / "outside/file").read_text(), rules) == "Permission denied"
    assert behind(lambda: os.listdir(places / "outside"), rules) == "Permission denied"
    assert behind(lambda: os.execv("/usr/bin/true", ["true"]), rules) == "Permission denied"


def test_a_rule_about_nothing_is_an_error(behind, places):
    """Fewer rules than were asked for would be a stricter wall, but not the one that the plan describes."""
    missing = str(places / "missing")
    assert behind(lambda: "went on", ((missing, "write"),)) == f"landlock {missing}"


def test_before_files_could_be_moved_there_is_no_wall(behind, places):
    assert behind(lambda: (places / "outside/file").write_text("x"), (), abi=1) == "1"


def test_no_mount_changes_behind_the_wall(places):
    """Not even with all capabilities over the namespace."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
            syscalls.make_mounts_private()
            syscalls.mount("x", str(places / "inside"), "tmpfs", 0, None)
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
            landlock.restrict(((str(places), "write"),), ABI)
            try:
                syscalls.mount("x", str(places / "inside"), "tmpfs", 0, None)
            except PermissionError:
                os._exit(7)
        os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 1 and os.geteuid() == 0:
        pytest.fail("the mount succeeded")
    assert code == 7


@pytest.mark.skipif(ABI < 6, reason="signals and abstract sockets are scoped since version 6 of Landlock")
def test_signals_and_abstract_sockets_stay_inside(behind):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0bldr-test-{os.getpid()}")
        listener.listen()
        name = listener.getsockname()
        assert behind(lambda: socket.socket(socket.AF_UNIX).connect(name), ()) == "Operation not permitted"
    parent = os.getpid()
    assert behind(lambda: os.kill(parent, 0), ()) == "Operation not permitted"

    def own():
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(f"\0bldr-test-own-{os.getpid()}")
            server.listen()
            client.connect(server.getsockname())
        child = os.fork()
        if child == 0:
            signal_comes = os.read(os.pipe()[0], 1)
            os._exit(len(signal_comes))
        os.kill(child, 15)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert behind(own, ()) == "-15"


@pytest.fixture
def careless(monkeypatch):
    """Mounts as if somebody had forgotten to make them read-only."""

    def access(*attributes):
        monkeypatch.setattr(
            bldr_linux.compile,
            "_operations",
            lambda launch, host, genuine=bldr_linux.compile._operations: tuple(
                ("bind", *op[1:3], "rw") if op[:2] == ("bind", "/in") else op
                for op in genuine(launch, host)
                if op[0] != "seal"
            ),
        )
        # The wall is built from what ought to be.
        monkeypatch.setattr(bldr_linux.compile, "places", lambda operations: (("/dev", "write"), ("/tmp", "write")))

    return access


@pytest.fixture
def careless_cell(monkeypatch):
    """The same of what a cell keeps."""

    def divide(plan, tree, host, genuine=bldr_linux.reuse.divide):
        base, own = genuine(plan, tree, host)
        kept = [("bind", *op[1:3], "rw") if op[:2] == ("bind", "/in") else op for op in base["kept"]]
        assert kept.pop() == ("freeze", "/")
        return {**base, "kept": tuple(kept)}, own

    return lambda: monkeypatch.setattr(bldr_linux.reuse, "divide", divide)


@pytest.mark.parametrize("kind", ["careless", "careless_cell"])
def test_the_wall_holds_where_mounts_do_not(box, request, kind):
    request.getfixturevalue(kind)()
    source = box.directory("source", 0o777, own=True)
    (source / "file").write_text("kept")
    (source / "file").chmod(0o666)
    script = """
        for path in /in/file /in/new /new /etc/new; do
            (: > $path) 2>/dev/null && echo "wrote $path"
        done
        rm -f /in/file 2>/dev/null && echo removed
        mkdir /in/dir 2>/dev/null && echo made
        cat /in/file; echo fine > /tmp/x
    """
    options = {"more_inputs": (Input("/in", str(source)),)}
    ended = box.sh(script, **options)
    assert (ended.exit_code, ended.out) == (0, "kept"), ended
    assert [path.name for path in source.iterdir()] == ["file"]


def test_abstract_sockets_of_the_host_are_out_of_reach_on_its_network(attack):
    if ABI < 6:
        pytest.skip("abstract sockets are scoped since version 6 of Landlock")
    name = f"bldr-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        answers = attack(f"abstract_socket={name}", "own_loopback", network=NetworkPolicy(host=True))
    assert answers == {f"abstract_socket={name}": "EPERM", "own_loopback": "ok"}


def test_nothing_runs_into_the_wall_that_should_not(box):
    """Files and directories move about in the tree, children are ended."""
    output = box.directory("output", 0o777, own=True)
    tree = box.tree()
    script = """
        mkdir pkg; echo a > pkg/a; echo b > pkg/b
        mkdir -p out/deep; mv pkg/a out/deep/a; mv out/deep out/moved; ln out/moved/a out/hard; ln -s hard out/soft
        mv pkg/b /tmp/b; mv /tmp/b /out/b; cp /out/b /dev/shm/b; mkfifo out/pipe; rm out/pipe
        : > /dev/null
        sleep 1000 & kill $!; wait $! || echo ended $?
        cat out/soft /out/b; truncate -s 0 /out/b
    """
    ended = box.sh(script, tree=tree, temps=(Temp("/tmp"),), outputs=(Output("/out", str(output)),))
    assert ended.exit_code == 0, ended
    assert "ended 143" in ended.out


def test_standard_streams_are_opened_once_more_by_name(box, monkeypatch):
    genuine = tempfile.TemporaryFile

    def for_all():
        file = genuine()
        os.fchmod(file.fileno(), 0o666)  # root's would not be the action's to open, wall or not
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", for_all)
    ended = box.sh("echo one > /dev/stdout; echo two >> /proc/self/fd/1; echo three > /dev/stderr; cat < /dev/stdin")
    assert (ended.exit_code, ended.out, ended.err) == (0, "one\ntwo\n", "three\n"), ended


def test_queues_and_memory_files_are_not_files(box):
    program = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.mq_open(b"/queue", os.O_RDWR | os.O_CREAT, 0o600, None) >= 0)
fd = os.memfd_create("x")
open(f"/proc/self/fd/{fd}", "w").write("x")
print(os.pread(fd, 9, 0))
reading, writing = os.pipe()
open(f"/proc/self/fd/{writing}", "w").write("y")
print(os.read(reading, 1))
"""
    assert box.run("python3", "-S", "-c", program).out == "True\nb'x'\nb'y'\n"


def test_a_sandbox_in_the_sandbox_may_put_up_a_wall_of_its_own(box):
    program = (
        "import sys; sys.path.append(sys.argv[1]);"
        "from bldr_linux import landlock, syscalls;"
        "landlock.restrict((), syscalls.landlock_abi());"
        "open('/tmp/x', 'w')"
    )
    package = os.path.dirname(os.path.dirname(landlock.__file__))
    visible = box.directory("package")
    shutil.copytree(f"{package}/bldr_linux", visible / "bldr_linux", ignore=shutil.ignore_patterns("__pycache__"))
    ended = box.run("python3", "-S", "-c", program, "/package", more_inputs=(Input("/package", str(visible)),))
    assert "PermissionError: [Errno 13] Permission denied: '/tmp/x'" in ended.err


def test_rules_are_each_place_once():
    operations = (
        ("proc", "/proc"),
        ("bind", "/usr", "/usr", "ro"),
        ("tmpfs", "/dev/shm", 1, 1, 0o1777),
        ("tmpfs", "/tmp", 1, 1, 0o1777),
        ("bind", "/tmp/out", "/x", "rw"),
        ("bind", "/tmpout", "/x", "rw"),
        ("overlay", "/build", "l", "u", "w"),
        ("seal", "/"),
    )
    expected = (("/build", "write"), ("/dev/shm", "write"), ("/tmp", "write"), ("/tmpout", "write"))
    assert bldr_linux.compile.places(operations) == expected
