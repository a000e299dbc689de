"""The programs that actions run, run as they run them: what they make, and what they say."""

import json
import marshal
import os
import subprocess
import sys
import zipfile
from xml.etree import ElementTree

import pytest

from bldr_python import compile_sources, pack, run_tests
from bldr_python.scripts import START


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Function: {name: text} -> written in the current directory."""
    monkeypatch.chdir(tmp_path)

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def python(*argv, **env):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TEST", "XML"))}
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, env={**kept, **env})


def compiled(directory, mode="strict"):
    return python("-S", compile_sources.__file__, directory, mode, "sources")


def test_bytecode_holds_no_time_and_is_the_same_again(here):
    top = here({"pkg/a.py": "X = {'a', None, 1}\ndef f(): return X\n", "sources": "pkg/a.py\n"})
    assert compiled("one").returncode == 0
    os.utime("pkg/a.py", (1, 1))
    assert compiled("two").returncode == 0
    made = (top / "one/pkg/a.pyc").read_bytes()
    assert made == (top / "two/pkg/a.pyc").read_bytes()
    assert made[4:8] == b"\1\0\0\0"  # PEP 552: by hash, unchecked
    assert marshal.loads(made[16:]).co_filename == "pkg/a.py"


def test_what_is_wrong_is_said_as_compilers_say_it(here):
    top = here({"a.py": "x = 1\ndef f(:\n", "b.py": "x\0", "c.py": "y = 1\n", "sources": "a.py\nb.py\nc.py\n"})
    done = compiled("out")
    assert done.returncode == 1
    assert "a.py:2:7: error: invalid syntax\n    def f(:\n          ^\n" in done.stderr
    assert "b.py" in done.stderr
    assert compiled("lenient", "lenient").stderr == ""
    assert [path.name for path in (top / "lenient").iterdir()] == ["c.pyc"]


def packed(top, main, call="", roots=("src",), sites=(), files=(), bytecode=()):
    spec = {"main": main, "call": call, "roots": roots, "sites": sites, "files": files, "bytecode": bytecode}
    (top / "spec").write_text(json.dumps(spec))
    (top / "start.py").write_text(START)
    done = python("-S", pack.__file__, "made", "spec", "start.py")
    assert done.returncode == 0, done.stderr
    return top / "made"


def test_a_packed_program_runs_alone(here, tmp_path_factory):
    top = here(
        {
            "src/app.py": "import sys\nfrom dep import hi\nprint(hi, sys.argv, __name__)\nsys.exit(3)\n",
            "site/dep/__init__.py": "from importlib.resources import files\nfrom importlib.metadata import version\n"
            "hi = files('dep').joinpath('hi.txt').read_text() + version('dep')\n",
            "site/dep/hi.txt": "hi ",
            "site/dep-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: dep\nVersion: 1.5\n",
            "sources": "src/app.py\nsite/dep/__init__.py\n",
        }
    )
    compiled("bytes")
    files = ["src/app.py", "site/dep/__init__.py", "site/dep/hi.txt", "site/dep-1.5.dist-info/METADATA"]
    made = packed(top, "app", files=files, sites=["site"], bytecode=["bytes"])
    with zipfile.ZipFile(made) as archive:
        names = archive.namelist()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert "dep/__init__.pyc" in names and ".tree/src/app.pyc" in names
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "app"
    made.rename(elsewhere)
    done = subprocess.run([elsewhere, "x"], capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout) == (3, f"hi 1.5 ['{elsewhere}', 'x'] __main__\n"), done.stderr


def test_what_an_installer_would_move_stands_at_the_top(here):
    """Modules of a wheel's `purelib` are imported as those beside its metadata are, though one holds the other."""
    top = here(
        {
            "src/app.py": "import dep, moved\nprint(dep.__name__, moved.__file__)\n",
            "site/dep.py": "",
            "site/dep-1.5.data/purelib/moved.py": "",
        }
    )
    sites = ["site/dep-1.5.data/purelib", "site"]
    made = packed(top, "app", files=["src/app.py", "site/dep.py", "site/dep-1.5.data/purelib/moved.py"], sites=sites)
    assert python(made).stdout == f"dep {made}/moved.py\n"


def test_an_entry_point_is_called(here):
    top = here({"src/p/cli.py": "class Main:\n    @staticmethod\n    def run():\n        return 'ended'\n"})
    done = python(packed(top, "p.cli", "Main.run", files=["src/p/cli.py"]))
    assert (done.returncode, done.stderr) == (1, "ended\n")


def test_a_program_may_be_called_main_itself(here):
    """As the starter of every packed program is, which must not find itself."""
    top = here({"src/__main__.py": "import sys\nprint(__name__, __file__, sys.modules['__main__'].__spec__.origin)\n"})
    made = packed(top, "__main__", files=["src/__main__.py"])
    done = python(made)
    path = f"{made}/.tree/src/__main__.py"
    assert done.stdout == f"__main__ {path} {path}\n", done.stderr


def test_what_holds_native_libraries_is_unpacked_once(here):
    top = here({"src/app.py": "import os\nprint(os.path.dirname(__file__))\n", "src/x.so.1": "no library"})
    made = packed(top, "app", files=["src/app.py", "src/x.so.1"])
    first = python(made, BLDR_ZIPAPP_CACHE=str(top / "cache"))
    (unpacked,) = (top / "cache").iterdir()
    assert first.stdout == f"{unpacked}/.tree/src\n", first.stderr
    before = os.stat(unpacked).st_ctime_ns
    assert python(made, BLDR_ZIPAPP_CACHE=str(top / "cache")).stdout == first.stdout
    assert os.stat(unpacked).st_ctime_ns == before
    without = python(made, BLDR_ZIPAPP_CACHE="/proc/nowhere", TMPDIR=str(top))
    assert without.stdout.startswith(f"{top}/bldr-zipapp-"), without.stderr
    assert not list(top.glob("bldr-zipapp-*"))


CASES = """
import unittest

class Some(unittest.TestCase):
    def test_passes(self):
        pass
    def test_fails(self):
        self.assertEqual(1, 2, "not \\x07 the same")
    def test_raises(self):
        raise KeyError("k")
    @unittest.skip("not now")
    def test_skipped(self):
        pass
    def test_parts(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertNotEqual(n, 1)
    @unittest.expectedFailure
    def test_known(self):
        self.fail()

class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no set-up")
    def test_never(self):
        pass
"""


def run_test(framework, modules, *arguments, bytecode=(), **env):
    spec = {
        "framework": framework,
        "files": [f"{name}.py" for name in modules],
        "modules": list(modules),
        "bytecode": list(bytecode),
    }
    with open("spec", "w") as file:
        json.dump(spec, file)
    options = () if framework == "pytest" else ("-S",)
    path = f"{os.getcwd()}:{os.path.dirname(os.path.dirname(pytest.__file__))}"
    return python("-s", *options, run_tests.__file__, "spec", *arguments, PYTHONPATH=path, **env)


def report(path="test.xml"):
    """Name of a case -> the kinds of what is said of it."""
    root = ElementTree.parse(path).getroot()
    return {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}


def test_unittest_reports_each_case(here):
    here({"some.py": CASES, "broken.py": "import nothing_of_this_name\n"})
    done = run_test("unittest", ["some", "broken"], XML_OUTPUT_FILE="test.xml")
    assert done.returncode == 1
    assert report() == {
        "test_passes": [],
        "test_fails": ["failure"],
        "test_raises": ["error"],
        "test_skipped": ["skipped"],
        "test_parts": ["failure"],
        "test_known": ["skipped"],
        "setUpClass (some.Broken)": ["error"],
        "importing": ["error"],
    }
    suite = ElementTree.parse("test.xml").getroot()[0].attrib
    assert (suite["tests"], suite["failures"], suite["errors"], suite["skipped"]) == ("8", "2", "3", "2")


FOUND = """
import lib, os, unittest

class Found(unittest.TestCase):
    def test_place(self):
        self.assertEqual(os.readlink(lib.__cached__), os.path.abspath("one/lib.pyc"))
"""


@pytest.mark.parametrize("framework", ["unittest", "pytest"])
def test_filters_and_shards(here, framework):
    cases = "".join(f"    def test_{letter}(self):\n        pass\n" for letter in "abcde")
    here({"test_it.py": f"import unittest\nclass It(unittest.TestCase):\n{cases}"})
    assert run_test(framework, ["test_it"], TESTBRIDGE_TEST_ONLY="test_c", XML_OUTPUT_FILE="test.xml").returncode == 0
    assert list(report()) == ["test_c"]
    seen = []
    total = 7 if framework == "unittest" else 2  # more than cases; pytest takes seconds to start
    for index in range(total):
        shard = {"TEST_TOTAL_SHARDS": str(total), "TEST_SHARD_INDEX": str(index)}
        env = {**shard, "TEST_SHARD_STATUS_FILE": f"status{index}"}
        assert run_test(framework, ["test_it"], XML_OUTPUT_FILE="test.xml", **env).returncode == 0
        assert os.path.exists(f"status{index}")
        seen += report()
    assert sorted(seen) == [f"test_{letter}" for letter in "abcde"]
    env = {"TEST_TOTAL_SHARDS": "2", "TEST_SHARD_INDEX": "1", "XML_OUTPUT_FILE": "test.xml"}
    wanted = "test_a or test_c" if framework == "pytest" else "*test_[ac]"
    assert run_test(framework, ["test_it"], TESTBRIDGE_TEST_ONLY=wanted, **env).returncode == 0
    assert list(report()) == ["test_c"]  # what the filter leaves is divided
    assert run_test(framework, ["test_it"], TESTBRIDGE_TEST_ONLY="nothing", **env).returncode == 5


@pytest.mark.parametrize("framework", ["unittest", "pytest"])
def test_a_test_without_cases_fails(here, framework):
    here({"test_it.py": "x = 1\n"})
    for total in ("1", "2"):
        done = run_test(framework, ["test_it"], TEST_TOTAL_SHARDS=total, TEST_SHARD_INDEX="0")
        assert done.returncode == 5
        assert "no tests were found in test_it.py" in done.stderr


def test_bytecode_is_used_and_a_test_that_leaves_is_noticed(here):
    top = here(
        {"lib.py": "x = 1\n", "sources": "lib.py\n", "test_it.py": "import lib, os\nprint(lib.x)\nos._exit(0)\n"}
    )
    assert compiled("bytes").returncode == 0
    (top / "lib.py").write_text("x = 2\n")  # never to be seen: bytecode is not compared with its source
    done = run_test("unittest", ["test_it"], bytecode=["bytes"], TEST_PREMATURE_EXIT_FILE="premature", TMPDIR=str(top))
    assert done.stdout == ""  # left before anything was written out
    assert (top / "premature").exists()
    (top / "test_it.py").write_text((top / "test_it.py").read_text().replace("os._exit(0)", ""))
    done = run_test("unittest", ["test_it"], bytecode=["bytes"], TEST_PREMATURE_EXIT_FILE="premature", TMPDIR=str(top))
    assert (done.stdout, done.returncode) == ("1\n", 5)
    assert not (top / "premature").exists()


def test_two_libraries_may_hold_one_source(here):
    here({"lib.py": "x = 1\n", "sources": "lib.py\n", "test_it.py": FOUND})
    assert [compiled(directory).returncode for directory in ("one", "two")] == [0, 0]
    done = run_test("unittest", ["test_it"], bytecode=["one", "two"])
    assert done.returncode == 0, done.stderr
