"""Attacks through the command line, as somebody meets them who runs what they do not trust."""

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="attacks on the Linux sandbox"),
    pytest.mark.skipif(not os.path.exists(PYTHON), reason="the system has no /usr/bin/python3"),
]
BLDR = (sys.executable, "-m", "bldr")

TYPE = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
answers = []
for fd in (0, 1, 2):
    for high in (0, 1 << 32, 1 << 63):
        for character in b"echo > typed\\n":
            libc.ioctl(fd, ctypes.c_ulong(0x5412 | high), ctypes.byref(ctypes.c_char(character)))
        answers.append(ctypes.get_errno())
        for code in (2, 3, 4):  # of TIOCLINUX: set the selection, paste it
            libc.ioctl(fd, ctypes.c_ulong(0x541C | high), ctypes.byref(ctypes.c_char(code)))
        answers.append(ctypes.get_errno())
print("answers", *sorted({errno.errorcode.get(answer, "typed") for answer in answers}))
"""


@pytest.fixture
def environment():
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return {**kept, "PS1": "", "PS2": ""}


@pytest.fixture
def shell(tmp_path, environment):
    """An interactive shell on a terminal of its own: what is typed there it does; what the terminal showed."""
    pids = []

    def run(command):
        pid, controller = pty.fork()
        if pid == 0:
            os.chdir(tmp_path)
            os.execve("/bin/sh", ["sh"], environment)
        pids.append(pid)
        os.write(controller, f"{command}; echo fin''ished\n".encode())
        shown = b""
        deadline = time.monotonic() + 60
        while b"finished" not in shown and time.monotonic() < deadline:
            if select.select([controller], [], [], 1)[0]:
                shown += os.read(controller, 4096)
        # Whatever else was typed, the shell has done it when it has done this.
        os.write(controller, b"echo af''ter\n")
        while b"after" not in shown and time.monotonic() < deadline:
            if select.select([controller], [], [], 1)[0]:
                shown += os.read(controller, 4096)
        os.close(controller)
        return shown.decode()

    yield run
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("words", [
    ("exec", "--input", "type.py=/type.py", "--", PYTHON, "/type.py"),
    ("sandbox", "--ro-bind", "/", "/", "--new-session", "--cap-drop", "ALL", PYTHON, "type.py"),
], ids=["exec", "sandbox"])  # fmt: skip
def test_a_terminal_gets_no_input_from_the_command(shell, tmp_path, words):
    """CVE-2017-5226 in the very place: a shell waits on the terminal that the command has for all of its streams.

    Bubblewrap's command line lets root keep its capabilities, with which anybody types anywhere, unless it is told.
    """
    (tmp_path / "type.py").write_text(TYPE)
    shown = shell(shlex.join((*BLDR, *words)))
    assert "answers " in shown, shown
    if words[0] == "exec":
        assert "answers EPERM\r" in shown, shown
    assert not (tmp_path / "typed").exists(), shown


def test_the_same_typing_works_outside_where_the_kernel_allows_it(shell, tmp_path):
    """Or the test above would prove nothing."""
    try:
        with open("/proc/sys/dev/tty/legacy_tiocsti") as file:
            allowed = file.read().strip() != "0"
    except FileNotFoundError:
        allowed = True  # an older kernel, which always does
    (tmp_path / "type.py").write_text(TYPE.replace("(0, 1 << 32, 1 << 63)", "(0,)"))
    shown = shell(f"{PYTHON} type.py")
    is_permitted = allowed or os.geteuid() == 0
    assert (tmp_path / "typed").exists() == is_permitted, shown


@pytest.mark.parametrize("words", [
    ("exec", "--"), ("sandbox", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64",
                     "/lib64", "--proc", "/proc", "--unshare-all"),
], ids=["exec", "sandbox"])  # fmt: skip
def test_descriptors_of_the_caller_do_not_come_along(tmp_path, environment, words):
    """CVE-2024-21626. `bldr sandbox` passes on what its caller left open, as bubblewrap does: but none of its own."""
    program = "import os; print(*sorted(int(n) for n in os.listdir('/proc/self/fd')))"
    opened = [os.open(place, os.O_RDONLY) for place in ("/", tmp_path, "/proc/self")]
    passed = opened if words[0] == "exec" else ()
    try:
        ran = subprocess.run(
            [*BLDR, *words, PYTHON, "-c", program], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, pass_fds=passed, timeout=60,
        )  # fmt: skip
    finally:
        for fd in opened:
            os.close(fd)
    assert ran.stdout == "0 1 2 3\n", ran  # the last one lists them


@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare here")
@pytest.mark.parametrize("command", ["exec", "build"])
def test_hermetic_fails_where_no_namespace_can_be_made(tmp_path, environment, command):
    """In a user namespace that may have no other: nothing runs, and the reason and a remedy are told."""
    (tmp_path / "ran").mkdir()
    (tmp_path / "Builderfile").write_text(
        '[workspace]\nname = "w"\n[target.t]\ntype = "command"\noutputs = ["out"]\ncommand = "echo > $OUT"\n'
    )
    words = {
        "exec": ("exec", "--hermetic", "--output", f"{tmp_path}/ran/", "--", "touch", f"{tmp_path}/ran/it"),
        "build": ("build", "--hermetic", "--cache-dir", str(tmp_path / "cache")),
    }[command]
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    ran = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", script, "sh", *BLDR, *words],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if "unshare failed" in ran.stderr:
        pytest.skip(f"no user namespaces here: {ran.stderr.strip()}")
    assert ran.returncode == 5, ran
    assert "user namespace" in ran.stderr, ran
    assert "hint: " in ran.stderr, ran
    assert not (tmp_path / "ran" / "it").exists()
    assert not (tmp_path / "bldr-out" / "out").exists()


def _below(directory):
    """All that is there, while things come and go."""
    return [Path(place, name) for place, inside, names in os.walk(directory) for name in (*inside, *names)]


@pytest.mark.root
def test_another_user_does_not_enter_the_cache(tmp_path, environment):
    """CVE-2024-38531: neither the staging of an action nor a blob is within another user's reach."""
    cache = tmp_path / "cache"
    for place in (tmp_path, *tmp_path.parents):
        if str(place).startswith("/tmp/"):
            place.chmod(0o755)
    (tmp_path / "Builderfile").write_text(
        '[workspace]\nname = "w"\n'
        '[target.t]\ntype = "command"\noutputs = ["out"]\ncommand = "echo ready > $OUT; sleep 30"\n'
    )
    build = subprocess.Popen(
        [*BLDR, "build", "--cache-dir", str(cache)],
        env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not any(path.name == "out" for path in _below(cache / "v1/staging")) and time.monotonic() < deadline:
            assert build.poll() is None, build.stderr.read()
            time.sleep(0.02)
        staged = [*_below(cache / "v1/staging"), *cache.glob("v1/blobs"), cache / "v1", *cache.glob("v1/*")]
        assert len(staged) > 4
        look = (
            "import os, sys\nfor p in sys.argv[1:]:\n    for act in (os.listdir, os.stat, lambda p: os.open(p, 0)):\n"
        )
        look += "        try: act(p)\n        except PermissionError: continue\n        print(p)\n"
        stranger = subprocess.run(
            [PYTHON, "-c", look, *map(str, staged)], user=12345, group=12345, extra_groups=[], cwd="/",
            capture_output=True, text=True,
        )  # fmt: skip
        assert (stranger.returncode, stranger.stdout) == (0, ""), stranger
    finally:
        build.terminate()
        build.communicate(timeout=60)
