"""What only Microsoft's kernel enforces, and Wine accepts and ignores: `pytest -m windows`, on a Windows."""

import os
import stat

import pytest

from bldr.api import Level, ResourceLimits
from bldr_windows.sandbox import WindowsSandbox
from bldr_windows.tree import remove_tree

pytestmark = pytest.mark.windows

MEMORY = "block = bytearray(512 << 20)\nfor at in range(0, len(block), 4096): block[at] = 1\n"


def test_everything_that_can_be_promised_is():
    isolation = WindowsSandbox().probe().isolation
    kernel = {name for name, level in isolation.items() if level == Level.KERNEL}
    assert kernel == {"privileges", "memory", "cpu-share"}
    assert {name for name in isolation if name not in kernel} == {"env", "wall-time", "cpu", "processes"}


def test_memory_that_is_used_up_ends_it_with_a_verdict(box):
    ended, _, err = box.run(MEMORY, limits=ResourceLimits(memory_bytes=128 << 20))
    assert ended.verdict is not None, err
    assert (ended.verdict.limit, ended.verdict.value) == ("memory", 128 << 20)
    assert ended.isolation["memory"] == Level.KERNEL


def test_processor_time_that_is_used_up_ends_it_with_a_verdict(box):
    ended, _, err = box.run("while True: pass", limits=ResourceLimits(cpu_time_s=1.0, wall_time_s=50))
    assert ended.verdict is not None, err
    assert (ended.verdict.limit, ended.verdict.value) == ("cpu", 1.0)
    assert ended.usage.cpu_s >= 1.0


def test_more_processes_than_allowed_end_it_with_a_verdict(box):
    program = "import subprocess, sys, time\n"
    program += "for _ in range(9): subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    ended, _, err = box.run(program + "time.sleep(600)", limits=ResourceLimits(processes=3, wall_time_s=50))
    assert ended.verdict is not None, err
    assert (ended.verdict.limit, ended.verdict.value) == ("processes", 3)
    assert ended.isolation["processes"] == Level.SUPERVISED


def test_of_a_junction_in_an_action_s_tree_only_itself_is_removed(box, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    tree = box.tree()
    ended, _, err = box.run(
        argv=("C:\\Windows\\System32\\cmd.exe", "/d", "/c", "mklink", "/j", "out", str(kept)), tree=tree
    )
    assert ended.exit_code == 0, err
    assert os.lstat(os.path.join(tree.upper, "out")).st_file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT
    remove_tree(tree.upper)
    assert (kept / "file").read_text() == "mine"


def test_directories_for_their_maker_alone_are_the_action_s_too(box):
    """As an administrator makes them, whose directories belong to the administrators."""
    tree = box.tree(words="two words\n")
    os.rmdir(tree.upper)
    os.mkdir(tree.upper, 0o700)
    ended, out, err = box.run("print(open('words').read(), end=''); open('new', 'w').close()", tree=tree)
    assert (ended.exit_code, out) == (0, "two words\n"), err


def test_use_is_counted(box):
    ended, _, err = box.run("open('written', 'wb').write(bytes(1 << 20))", tree=box.tree())
    assert ended.exit_code == 0, err
    assert ended.usage.written_bytes >= 1 << 20
    assert ended.usage.memory_peak_bytes > 0


def test_what_is_not_labelled_is_not_written_to(box, tmp_path):
    target = tmp_path / "mine"
    target.write_text("mine")
    for path in (target, tmp_path / "new", os.path.join(os.environ["USERPROFILE"], "bldr-test")):
        ended, _, err = box.run(f"open({str(path)!r}, 'w')")
        assert ended.exit_code == 1
        assert "PermissionError" in err
    assert target.read_text() == "mine"


def test_processes_of_others_are_out_of_reach(box):
    """OpenProcess with PROCESS_TERMINATE, of the process that runs this."""
    program = f"import ctypes; raise SystemExit(1 if ctypes.windll.kernel32.OpenProcess(1, 0, {os.getpid()}) else 0)"
    assert box.run(program)[0].exit_code == 0


def test_the_token_is_low_and_has_no_privileges(box):
    _, out, err = box.run(argv=("C:\\Windows\\System32\\whoami.exe", "/groups", "/priv"))
    assert "S-1-16-4096" in out, err
    assert "SeDebugPrivilege" not in out
