"""One build at a time has a workspace."""

import errno
import fcntl
import threading

import pytest

from bldr.api.errors import BldrError
from bldr.execute.workspace_lock import workspace_lock


def lock(root, operation):
    file = open(root / "bldr-out/.lock", "w")  # noqa: SIM115 - closed by who asked
    fcntl.flock(file, operation)
    return file


@pytest.fixture
def root(tmp_path):
    (tmp_path / "bldr-out").mkdir()
    return tmp_path


def test_who_looks_for_a_moment_is_waited_for_in_silence(root):
    heard = []
    with lock(root, fcntl.LOCK_SH) as other:
        letting_go = threading.Timer(0.03, fcntl.flock, (other, fcntl.LOCK_UN))
        letting_go.start()
        with workspace_lock(str(root), lambda: heard.append("waiting")):
            pass
        letting_go.join()
    assert heard == []


def test_whoever_takes_longer_is_told_of_once(root):
    heard = []
    other = lock(root, fcntl.LOCK_EX)
    with (
        workspace_lock(str(root), lambda: (heard.append("waiting"), other.close())),
        open(root / "bldr-out/.lock") as third,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(third, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert heard == ["waiting"]


def test_a_file_system_without_locks_is_said_to_be_one(root, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(BldrError) as raised, workspace_lock(str(root), lambda: None):
        raise AssertionError("it was not locked")
    assert raised.value.message == f"cannot lock {root}/bldr-out/.lock: No locks available"
    assert "file system" in raised.value.hint
