"""The fake `sandbox-exec` is worth relying on: what a profile does not allow is denied by a kernel, and what it allows
is there."""

import http.server
import os
import signal
import subprocess
import threading

import enforcement
import pytest
from seatbelt import Profile

BASICS = """
(version 1)
(deny default)
(allow process-fork)
(allow process-exec* (subpath "/usr") (subpath "/bin"))
(allow file-read* (literal "/") (subpath "/usr") (subpath "/bin") (literal "/dev/null") (subpath "/dev/fd"))
(allow file-write* (literal "/dev/null"))
"""
PYTHON = "/usr/bin/python3"


@pytest.fixture
def box(tmp_path, sandbox_exec):
    """A directory with inputs, outputs and secrets, and a way to run a shell script in it under a profile."""
    top = tmp_path / "top"
    for name in ("in", "out", "secret", "in/private"):
        (top / name).mkdir(parents=True)
    for name in ("in/a", "in/private/key", "secret/s"):
        (top / name).write_text(f"content of {name}\n")
    return Box(top, sandbox_exec)


class Box:
    def __init__(self, top, program):
        self.top = top
        self.program = program

    def words(self, *rules):
        text = BASICS + "\n".join(rules).replace("$TOP", str(self.top))
        return [self.program, "-p", text, "--"]

    def run(self, script, *rules, argv=(), env=None):
        command = [*self.words(*rules), *(argv or ("/bin/sh", "-c", script))]
        env = {"PATH": "/usr/bin:/bin", "TOP": str(self.top)} if env is None else env
        return subprocess.run(command, cwd=self.top, env=env, capture_output=True, text=True, timeout=100)


READS = '(allow file-read* (subpath "$TOP/in"))'
WRITES = '(allow file-read* file-write* (subpath "$TOP/out"))'


def test_what_is_allowed_can_be_done(box):
    ran = box.run("cat in/a in/private/key > out/both && mv out/both out/moved && cat out/moved", READS, WRITES)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "content of in/a\ncontent of in/private/key\n", "")
    assert (box.top / "out/moved").read_text() == ran.stdout


@pytest.mark.parametrize(
    "script",
    [
        "cat secret/s",
        "echo x > in/a",
        "echo x > in/new",
        "rm in/a",
        "mv in/a in/b",
        "chmod 600 in/a",
        "ln -s /etc/passwd out/l && cat out/l",
        "cat /etc/passwd",
        "ls /home",
        "ls /root",
        "ls /tmp",
        "ls $TOP",
        "ls $TOP/..  | grep -v top",
        "cat /proc/1/root/etc/passwd",
        "cat out/../secret/s",
        "mkdir $TOP/new && ls $TOP/new",
        "mknod out/disk b 8 0 && cat out/disk",
        "kill -0 $OUTER",
        "ls /dev/sda /dev/mem /dev/kmsg",
    ],
)
def test_what_is_not_allowed_is_denied(box, script):
    before = {path: path.read_bytes() for path in box.top.rglob("*") if path.is_file()}
    script = script.replace("$OUTER", str(os.getppid()))
    ran = box.run(f"({script}) || exit 1; echo reached", READS, WRITES)
    assert ran.returncode != 0, ran.stdout
    assert "reached" not in ran.stdout
    assert {path: path.read_bytes() for path in before} == before
    assert not (box.top / "new").exists()


def test_a_later_denial_takes_a_part_away_and_a_later_allowance_gives_it_back(box):
    denial = '(deny file-read* (subpath "$TOP/in/private"))'
    script = "cat in/a; cat in/private/key"
    ran = box.run(script, READS, denial)
    assert (ran.returncode, ran.stdout) == (1, "content of in/a\n")
    assert box.run(script, denial, READS).returncode == 0
    back = '(allow file-read* (literal "$TOP/in/private/key"))'
    assert box.run("cat in/private/key", READS, denial, back).stdout == "content of in/private/key\n"
    assert box.run("ls in/private", READS, '(deny file-read* (literal "$TOP/in/a"))').returncode == 0
    assert box.run("cat in/a", READS, '(deny file-read* (literal "$TOP/in/a"))').returncode != 0


def test_a_part_of_what_may_be_written_is_kept(box):
    (box.top / "out/kept").mkdir()
    ran = box.run("echo > out/x && echo > out/kept/x", WRITES, '(deny file-write* (subpath "$TOP/out/kept"))')
    assert ran.returncode != 0
    assert (box.top / "out/x").exists()
    assert not (box.top / "out/kept/x").exists()


def test_exit_codes_and_signals_pass(box):
    assert box.run("exit 7").returncode == 7
    assert box.run("exit 143").returncode == 143
    assert box.run("kill -TERM $$").returncode == -signal.SIGTERM
    assert box.run("kill -KILL $$").returncode == -signal.SIGKILL


def test_the_environment_passes_and_nothing_is_added(box):
    env = {"PATH": "/usr/bin:/bin", "A": "b c", "É": "\n"}
    ran = box.run("", READS, argv=("/usr/bin/env", "-0"), env=env)
    assert dict(entry.split("=", 1) for entry in ran.stdout.split("\0") if entry) == env


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-n", "no-network", "/bin/true"], 64, "-n"),
        (["/bin/true"], 64, "usage"),
        (["-p", "(version 1)(deny default)"], 64, "usage"),
        (["-p", "(version 1)", "/bin/true"], 65, "nothing says what holds"),
        (["-p", "(version 1)(deny default)(allow nonsense)", "/bin/true"], 65, 'no operation "nonsense"'),
        (["-f", "/no/such/file", "/bin/true"], 65, "/no/such/file: No such file"),
        (["-p", "(version 1)(deny default)", "--", "/bin/true"], 71, "Operation not permitted"),
        (["-p", BASICS, "--", "/bin/no-such-program"], 71, "No such file"),
        (["-p", BASICS, "-D", "X", "/bin/true"], 64, "-D X"),
        (["-p", BASICS + '(allow file-read* (literal (param "X")))', "/bin/true"], 65, '"X" is not given'),
    ],
)
def test_what_it_refuses_it_says(sandbox_exec, words, code, said):
    ran = subprocess.run([sandbox_exec, *words], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert ran.stderr.startswith("sandbox-exec: ")
    assert said in ran.stderr


def test_a_profile_in_a_file_with_parameters(box):
    profile = box.top / "it.sb"
    profile.write_text(BASICS + '(allow file-read* (subpath (param "IN")))')
    command = [box.program, f"-DIN={box.top}/in", "-f", str(profile), "/bin/cat", "in/a"]
    assert subprocess.run(command, cwd=box.top, capture_output=True, text=True).stdout == "content of in/a\n"


def test_a_script_needs_its_interpreter_to_be_allowed(box):
    script = box.top / "in/run"
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    narrow = BASICS.replace("process-exec*", "process-exec") + READS.replace("$TOP", str(box.top))
    narrow += f'(allow process-exec (subpath "{box.top}/in"))'
    for rules, code in ((narrow, 71), (f'{narrow}(allow process-exec-interpreter (literal "/bin/sh"))', 0)):
        ran = subprocess.run([box.program, "-p", rules, str(script)], cwd=box.top, capture_output=True, text=True)
        assert ran.returncode == code, ran.stderr


# Network

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 10).close()
except OSError as error:
    sys.exit(error.strerror)
"""
TO_ITSELF = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), 10).close()
"""
LOCAL = '(allow network* (local ip "localhost:*") (remote ip "localhost:*"))'


@pytest.fixture
def server():
    """One on loopback, outside of every sandbox."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_nobody_is_reached_unless_the_profile_says_so(box, server):
    def connect(*rules):
        return box.run("", *rules, argv=(PYTHON, "-c", CONNECT, "127.0.0.1", str(server)))

    assert connect().returncode != 0
    assert connect(LOCAL).returncode != 0, "the loopback of the action's own"
    assert connect("(allow network*)").returncode == 0
    away = box.run("", LOCAL, argv=(PYTHON, "-c", CONNECT, "192.0.2.1", "443"))
    assert "unreachable" in away.stderr


def test_loopback_is_up_where_the_profile_says_so(box):
    assert box.run("", LOCAL, argv=(PYTHON, "-c", TO_ITSELF)).returncode == 0
    assert box.run("", argv=(PYTHON, "-c", TO_ITSELF)).returncode != 0


# Ends


def sleepers(duration):
    found = subprocess.run(["pgrep", "-f", f"sleep {duration}"], capture_output=True, text=True).stdout.split()
    return [pid for pid in found if pid != str(os.getpid())]


def start(box, script):
    reading, writing = os.pipe()
    env = {"PATH": "/usr/bin:/bin"}
    words = [*box.words(), "/bin/sh", "-c", script]
    process = subprocess.Popen(words, cwd=box.top, env=env, stdout=writing, start_new_session=True)
    os.close(writing)
    assert os.read(reading, 100) == b"started\n"
    return process, reading


def test_a_signal_to_its_group_reaches_the_command_which_may_handle_it(box):
    process, reading = start(box, "trap 'echo polite; exit 9' TERM; echo started; while :; do sleep 0.05; done")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == 9
    assert os.read(reading, 100) == b"polite\n"
    os.close(reading)


def test_killing_it_leaves_nothing(box, until):
    duration = f"98{os.getpid()}"
    process, reading = start(box, f"setsid sleep {duration} & sleep {duration} & echo started; wait")
    try:
        until(lambda: len(sleepers(duration)) >= 2)
        process.kill()  # itself alone
        process.wait(60)
        until(lambda: not sleepers(duration))
        assert os.read(reading, 1) == b"", "a process holds the pipe"
    finally:
        os.close(reading)


# What is shown, as words


def test_paths_that_differ_from_what_is_around_them_are_shown_one_by_one(tmp_path):
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").write_text("")
    rules = f"""(version 1) (deny default)
    (allow file-read* (subpath "{tmp_path}/a") (literal "{tmp_path}/a/file") (subpath "{tmp_path}/missing"))
    (deny file-read* (subpath "{tmp_path}/a/b"))
    (allow file-read* file-write* (subpath "{tmp_path}/a/b/c"))"""
    words = enforcement.operations(Profile(rules))
    own = " ".join(words[words.index("/proc") + 1 :])
    above = " ".join(f"--perms 0111 --dir {path}" for path in enforcement.ancestors(f"{tmp_path}/a"))
    assert own.removeprefix(above).strip().replace(str(tmp_path), "TOP") == (
        "--ro-bind TOP/a TOP/a --perms 0111 --tmpfs TOP/a/b --bind TOP/a/b/c TOP/a/b/c"
        " --remount-ro TOP/a/b --remount-ro /"
    )


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ('(allow file-read* (subpath "/"))', "the whole root"),
        ('(allow file-read* (regex #"^/Users/"))', "more than can be mounted"),
        ('(allow file-write* (subpath "/usr/share"))', "written and not read"),
    ],
)
def test_what_it_cannot_enforce_is_an_error(rule, error):
    with pytest.raises(enforcement.UnenforceableError, match=error):
        enforcement.operations(Profile(f"(version 1)(deny default){rule}"))


def test_a_rule_about_a_path_through_a_link_shows_nothing(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("")
    (tmp_path / "link").symlink_to("real")
    rules = f'(version 1)(deny default)(allow file-read* (subpath "{tmp_path}/link/file"))'
    assert not [word for word in enforcement.operations(Profile(rules)) if str(tmp_path) in word]
