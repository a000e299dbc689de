"""The server answers from proof: real snapshots, real processes that ask, and every kind of change between."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bldr.watch import client
from bldr.watch.server import Address, Prover, Server

pytestmark = pytest.mark.full  # more than a minute; the quick tier has watchers in tests/e2e/test_watch.py

FILES = {
    "Builderfile": """
[workspace]
name = "asked"

[target.one]
type = "command"
sources = ["one.txt", "more/*.in"]
outputs = ["one.out"]
command = "cat $SRCS > $OUT"
""",
    "one.txt": "one\n",
    "more/a.in": "a\n",
    "unrelated/readme.md": "text\n",
}

ASK = """
import sys
from bldr.watch import awaited
from bldr.watch.client import ask

awaited.answer_behind = lambda *_: b""  # who builds it for us has no proof
sys.exit(42 if ask(sys.argv[1:], 0) is None else 0)
"""


class Watched:
    """A workspace with a `bldr watch` in it, and a way to ask without a build when nobody knows."""

    def __init__(self, root, cache):
        self.root = root
        self.cache = cache
        self.env = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        self.env["BLDR_CACHE_DIR"] = str(cache)
        self.log = root.parent / "watch.log"
        self.process = None

    def start(self, *words):
        with self.log.open("ab") as log:
            command = [sys.executable, "-P", "-m", "bldr", "watch", *words, "//..."]
            self.process = subprocess.Popen(
                command, cwd=self.root, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(30)

    def ask(self, *words, cwd=None):
        """Whether the watcher knows that there is nothing to do."""
        command = [sys.executable, "-P", "-c", ASK, *(words or ("build", "//..."))]
        ran = subprocess.run(command, cwd=cwd or self.root, env=self.env, capture_output=True, text=True, timeout=60)
        assert ran.returncode in (0, 42), ran
        assert (ran.returncode == 0) == ran.stderr.startswith("done: "), ran
        return ran.returncode == 0

    def build(self, *words):
        command = [sys.executable, "-P", "-m", "bldr", *(words or ("build", "//..."))]
        ran = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, timeout=100)
        assert ran.returncode == 0, ran
        return ran.stderr


@pytest.fixture
def watched(tmp_path, until):
    root = tmp_path / "workspace"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    workspace = Watched(root, tmp_path / "cache")
    workspace.start()
    try:
        until(workspace.ask)
        yield workspace
    finally:
        if workspace.process.poll() is None:
            workspace.process.send_signal(signal.SIGCONT)
            workspace.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "one.txt").write_text("other"),
        lambda root: (root / "one.txt").chmod(0o755),
        lambda root: (root / "more/b.in").touch(),
        lambda root: (root / "more/a.in").unlink(),
        lambda root: (root / "more").rename(root / "less"),
        lambda root: (root / "Builderfile").write_text((root / "Builderfile").read_text() + "\n"),
        lambda root: (root / "unrelated/Builderfile").touch(),
        lambda root: (root / "bldr-out/one.out").unlink(),
        lambda root: (root / "bldr-out/one.out").write_text("other"),
        lambda root: (root / "bldr-out").rename(root / "moved-out"),
        lambda root: (root / "bldr-out/.lock").unlink(),
    ],
    ids=[
        "content", "mode", "new match", "lost match", "moved directory", "Builderfile", "new package", "lost output",
        "other output", "lost outputs", "lost lock",
    ],
)  # fmt: skip
def test_after_a_change_nothing_is_known(watched, change):
    change(watched.root)
    assert not watched.ask()


def test_a_change_is_known_to_be_built_afterwards(watched, until):
    (watched.root / "one.txt").write_text("two\n")
    until(watched.ask)
    assert (watched.root / "bldr-out/one.out").read_text() == "two\na\n"


def test_whoever_asks_is_told_what_a_build_would_say(watched):
    said = r"done: 0 ran, 1 cached in \d+\.\ds\n"
    assert re.fullmatch(said, watched.build())
    watched.stop()
    assert re.fullmatch(said, watched.build())


def test_another_request_is_known_from_the_second_or_third_time_on(watched, until):
    assert not watched.ask("build", "//:one")
    watched.build("build", "//:one")
    until(lambda: watched.ask("build", "//:one"))
    assert watched.ask()


def test_the_environment_and_the_place_are_part_of_the_request(watched):
    watched.env["SOMETHING"] = "else"
    assert not watched.ask()
    del watched.env["SOMETHING"]
    assert watched.ask()
    assert not watched.ask(cwd=watched.root / "more")


def test_a_workspace_that_was_replaced_from_above_is_not_the_one_that_was_watched(watched, tmp_path):
    """The name of a directory above changes, of which nobody is told."""
    above = watched.root.parent
    subprocess.run(["cp", "-a", str(above), f"{above}-copy"], check=True)
    above.rename(f"{above}-away")
    Path(f"{above}-copy").rename(above)
    try:
        (above / "workspace/one.txt").write_text("another\n")
        assert not watched.ask()
    finally:
        above.rename(f"{above}-copy")
        Path(f"{above}-away").rename(above)


def test_a_file_with_several_names_is_looked_at(watched, until, tmp_path):
    """What is written through a name elsewhere is told to nobody who watches the directory."""
    os.link(watched.root / "one.txt", watched.root / "more/b.in")
    (watched.root / "more/b.in").rename(tmp_path / "elsewhere")
    until(watched.ask)
    (tmp_path / "elsewhere").write_text("written elsewhere\n")
    assert not watched.ask()


def test_after_an_overflow_nothing_is_known_until_all_was_looked_at(watched, until):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    watched.process.send_signal(signal.SIGSTOP)
    for number in range(most // 2 + 1):
        (watched.root / f"unrelated/{number % 2}").touch()
        (watched.root / f"unrelated/{number % 2}").unlink()
    (watched.root / "one.txt").write_text("dropped\n")
    watched.process.send_signal(signal.SIGCONT)
    known = watched.ask()
    assert not known or (watched.root / "bldr-out/one.out").read_text() == "dropped\na\n"
    until(lambda: watched.ask() and (watched.root / "bldr-out/one.out").read_text() == "dropped\na\n")


def test_a_stopped_watcher_is_passed_by(watched):
    watched.process.send_signal(signal.SIGSTOP)
    assert not watched.ask()
    assert "done: 0 ran, 1 cached" in watched.build()


def test_a_killed_watcher_is_passed_by_and_followed(watched, until):
    watched.stop(signal.SIGKILL)
    assert not watched.ask()
    assert "done: 0 ran" in watched.build()
    watched.start()
    until(watched.ask)


def test_a_watcher_that_ends_takes_its_socket_away(watched):
    assert watched.stop() == 8
    assert not [name for name in os.listdir(watched.cache / client.FOLDER) if not name.endswith(".lock")]
    assert not watched.ask()


def test_snapshots_that_are_taken_away_are_not_believed(watched):
    for snapshot in (watched.cache / "v1/snapshots").iterdir():
        snapshot.unlink()
    assert not watched.ask()


def test_nonsense_is_answered_by_nothing_and_harms_nobody(watched, monkeypatch):
    (address,) = (path for path in (watched.cache / client.FOLDER).iterdir() if path.suffix != ".lock")
    for nonsense in (b"", b"\xff\xff\xff\xff", b"\x05\0\0\0abcde", b"\x02\0\0\0\0\0"):
        with socket.socket(socket.AF_UNIX) as connection:
            monkeypatch.chdir(address.parent)  # a socket's path must be short
            connection.connect(address.name)
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(30)
            with contextlib.suppress(ConnectionError):
                assert connection.recv(100) in (b"", client.UNKNOWN)
    assert watched.ask()


@pytest.mark.root
def test_somebody_else_is_not_answered(watched):
    """The folder keeps others out; should one get in nevertheless, the kernel says who he is."""
    for path in (watched.cache, watched.cache / "v1", watched.cache / client.FOLDER):
        path.chmod(0o755)
    (address,) = (path for path in (watched.cache / client.FOLDER).iterdir() if path.suffix != ".lock")
    address.chmod(0o666)
    code = (
        "import os, socket, sys\nos.chdir(sys.argv[1])\nconnection = socket.socket(socket.AF_UNIX)\n"
        "os.setuid(1234)\nconnection.connect(sys.argv[2])\nconnection.sendall(b'\\2\\0\\0\\0\\0\\0')\n"
        "sys.stdout.buffer.write(connection.recv(100))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(address.parent), address.name], capture_output=True, timeout=30
    )
    assert ran.stdout == b"", ran


@pytest.mark.root
def test_what_is_mounted_meanwhile_is_noticed(watched, until):
    subprocess.run(["mount", "-t", "tmpfs", "none", str(watched.root / "more")], check=True)
    try:
        assert not watched.ask()
    finally:
        subprocess.run(["umount", str(watched.root / "more")], check=True)
    until(watched.ask)


def test_a_second_watcher_builds_and_leaves_the_answers_to_the_first(watched, until):
    second = Watched(watched.root, watched.cache)
    second.log = watched.root.parent / "second.log"
    second.start()
    try:
        until(lambda: b"watching" in second.log.read_bytes())
        (watched.root / "one.txt").write_text("for both\n")
        until(lambda: second.log.read_bytes().count(b"done") >= 2)
        until(watched.ask)
    finally:
        assert second.stop() == 8
    assert watched.ask()


def test_a_folder_that_others_can_enter_holds_no_socket(tmp_path):
    (tmp_path / client.FOLDER).mkdir(parents=True)
    (tmp_path / client.FOLDER).chmod(0o755)
    with pytest.raises(PermissionError):
        Address(str(tmp_path), "name")


def test_an_address_belongs_to_one_and_outlives_a_long_path(tmp_path):
    cache = tmp_path / ("long" * 30)
    cache.mkdir()
    first = Address(str(cache), "name")
    with pytest.raises(BlockingIOError):
        Address(str(cache), "name")
    assert (cache / client.FOLDER / "name").is_socket()
    first.close()
    assert not (cache / client.FOLDER / "name").exists()
    Address(str(cache), "name").close()


def test_asking_where_nobody_watches_costs_nothing_and_says_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("BLDR_CACHE_DIR", str(tmp_path))
    assert client.ask(["build"], 0) is None
    (tmp_path / client.FOLDER).mkdir(parents=True)
    assert client.ask(["build"], 0) is None
    assert capfd.readouterr() == ("", "")


def test_a_proof_of_a_request_that_nobody_remembers_is_given_up_for_a_build(tmp_path):
    """The requests that are kept are few."""
    server = Server(str(tmp_path), str(tmp_path / "cache"), "key")
    server._prover = Prover("another", (), signal.pause)
    server.begun(1, changed=True)
    assert server._prover is None
    server.close()
