"""A staged toolchain serves the next build while a stat proves it, and is read, or staged anew, where none does."""

import ntpath
import os
import time

import pytest

from bldr.api.spec import Input
from bldr.api.toolchains import Toolchain
from bldr.execute.sysroot import Sysroots
from bldr.store.blobs import Blobs
from bldr.store.store import open_store


@pytest.fixture
def cache(tmp_path):
    return str(tmp_path / "cache")


@pytest.fixture
def toolchain(tmp_path):
    program = tmp_path / "host" / "program"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho one\n")
    program.chmod(0o755)
    return Toolchain(
        name="demo", executables={"program": str(program)}, files=(str(program),), identity=f"demo {tmp_path}"
    )


def place(cache, toolchain):
    """Where the program stands in the sysroot that a new build gets."""
    top = "/" + toolchain.files[0].split("/")[1]
    with open_store(cache, lambda _message, _hint: None) as store:
        (shown,) = [item for item in Sysroots(store).stage([toolchain]).inputs if item.path == top]
    return shown.source + toolchain.files[0].removeprefix(shown.path)


@pytest.fixture
def reads(monkeypatch):
    """What blobs are looked at."""
    seen = []
    path = Blobs.path
    monkeypatch.setattr(Blobs, "path", lambda *arguments: seen.append(arguments) or path(*arguments))
    return seen


def test_it_is_read_once_and_then_proven_by_a_stat(cache, toolchain, reads):
    first = place(cache, toolchain)
    reads.clear()
    assert place(cache, toolchain) == first
    assert len(reads) == 1
    assert place(cache, toolchain) == first
    assert len(reads) == 1


@pytest.mark.parametrize("keeps_times", [False, True])
def test_a_program_that_somebody_changed_is_staged_anew(cache, toolchain, keeps_times):
    first = place(cache, toolchain)
    assert place(cache, toolchain) == first
    status = os.stat(first)
    time.sleep(0.02)  # the clock that stamps files goes on
    os.chmod(first, 0o755)
    with open(first, "r+b") as file:
        file.seek(15)
        file.write(b"two")
    os.chmod(first, 0o555)
    if keeps_times:
        os.utime(first, ns=(status.st_mtime_ns, status.st_mtime_ns))
    again = place(cache, toolchain)
    assert again != first
    with open(again) as file:
        assert file.read() == "#!/bin/sh\necho one\n"


def test_a_blob_that_is_used_elsewhere_costs_another_look_and_no_more(cache, toolchain, reads):
    first = place(cache, toolchain)
    assert place(cache, toolchain) == first
    time.sleep(0.02)
    os.chmod(first, 0o555)  # as by every first use in a process
    reads.clear()
    assert place(cache, toolchain) == first
    assert len(reads) == 1
    assert place(cache, toolchain) == first
    assert len(reads) == 1


def test_what_is_gone_is_staged_anew(cache, toolchain):
    first = place(cache, toolchain)
    assert place(cache, toolchain) == first
    os.unlink(first)
    assert os.path.exists(place(cache, toolchain))


def test_programs_of_a_drive_stay_where_they_are(cache, toolchain, monkeypatch):
    monkeypatch.setattr(os.path, "splitdrive", ntpath.splitdrive)
    home = os.path.dirname(toolchain.files[0])
    drive = Toolchain(
        name="python",
        executables={"python": "C:\\Python\\python.exe", "pip": "C:\\Python\\pip.exe"},
        files=("C:\\Python\\python312.dll",),
        trees=(("/toolchain/python/tree", home),),
        identity="python",
    )
    with open_store(cache, lambda _message, _hint: None) as store:
        shown = Sysroots(store).stage([toolchain, drive])
    staged = [item for item in shown.inputs if not item.path.startswith("/toolchain/python")]
    assert os.path.exists(next(item.source for item in staged if item.path == "/toolchain") + "/demo/bin/program")
    assert set(shown.inputs) - set(staged) == {
        Input("/toolchain/python/bin/python", "C:\\Python\\python.exe"),
        Input("/toolchain/python/bin/pip", "C:\\Python\\pip.exe"),
        Input("/toolchain/python/bin", os.path.dirname("C:\\Python\\python.exe")),
        Input("/toolchain/python/tree", home),
    }
