"""What becomes of targets of Python: actions, what dependents learn, and what is refused."""

import json

import pytest

from bldr.api import CcInfo, Executable, Files, PythonInfo, TargetError, TestInfo
from bldr.testing import FakeContext, FakeDep, analyze, fake_toolchain
from bldr_python.handler import PythonHandler
from bldr_python.providers import Bytecode

PYTHON = fake_toolchain("python", "python3", version="3.11.7")


def made_of(label, kind, files=None, deps=(), **table):
    context = FakeContext(label, files=files or {}, deps={"deps": deps}, toolchains=[PYTHON])
    return analyze(PythonHandler(), {"type": kind, "language": "python", **table}, context)


def paths(artifacts):
    return [artifact.path for artifact in artifacts]


@pytest.fixture
def greet():
    files = {"sources": ["lib/src/greet/__init__.py", "lib/src/greet/words.py"], "data": ["lib/src/greet/hi.txt"]}
    return made_of("//lib:greet", "library", files, imports=["src"])


def pinned(name, *files, roots=()):
    """A distribution as a lock file gives it."""
    sources = [f"external/pypi/{name}/{file}" for file in files]
    data = [f"external/pypi/{name}/{name}-1.0.dist-info/METADATA"]
    return made_of(
        f"@pypi//:{name}", "library", {"sources": sources, "data": data}, imports=[name, *roots], check=False
    )


def test_a_library_is_compiled_in_one_action(greet):
    action = greet.action("PythonCompile")
    assert action.argv[3:] == (
        "lib/greet.python/compile_sources.py", "lib/greet.bytecode", "strict", "lib/greet.python/sources"
    )  # fmt: skip
    assert dict(action.files)["lib/greet.python/sources"] == "lib/src/greet/__init__.py\nlib/src/greet/words.py\n"
    assert paths(action.inputs) == ["lib/src/greet/__init__.py", "lib/src/greet/words.py"]
    assert action.toolchains == ("python",)
    info = greet.get(PythonInfo)
    assert info.import_roots == ("lib/src",)
    assert paths(info.runtime) == ["lib/src/greet/hi.txt"]
    assert paths(greet.get(Bytecode).directories) == ["lib/greet.bytecode"]
    assert paths(greet.get(Files).files) == [*paths(info.sources), "lib/greet.bytecode"]


def test_a_program_holds_all_below_it(greet):
    program = made_of(
        "//app:hello", "executable", {"sources": ["app/main.py"]}, [greet.as_dep(), pinned("dep", "dep.py").as_dep()]
    )
    action = program.action("PythonPack")
    spec = json.loads(dict(action.files)["app/hello.python/program.json"])
    assert (spec["main"], spec["call"]) == ("main", "")
    assert spec["roots"] == ["app", "lib/src"]
    assert spec["sites"] == ["external/pypi/dep"]
    assert spec["bytecode"] == ["app/hello.bytecode", "lib/greet.bytecode", "external/pypi/dep.bytecode"]
    assert set(spec["files"]) | set(spec["bytecode"]) == set(paths(action.inputs))
    assert program.get(Executable) == Executable(action.outputs[0], (), ("python",))
    assert paths(action.outputs) == ["app/hello"]


def test_what_an_installer_would_move_is_of_the_distribution():
    dep = pinned("dep", "dep.py", "dep-1.0.data/purelib/moved.py", roots=["dep/dep-1.0.data/purelib"])
    program = made_of("//app:hello", "executable", {"sources": ["app/main.py"]}, [dep.as_dep()])
    spec = json.loads(dict(program.action("PythonPack").files)["app/hello.python/program.json"])
    assert spec["roots"] == ["app"]
    assert spec["sites"] == ["external/pypi/dep/dep-1.0.data/purelib", "external/pypi/dep"]


@pytest.mark.parametrize(
    ("sources", "table", "expected"),
    [
        (["a/x.py", "a/hello.py"], {}, ("hello", "")),
        (["a/x.py", "a/__main__.py"], {}, ("__main__", "")),
        (["a/x.py", "a/b/y.py"], {"main": "b/y.py"}, ("b.y", "")),
        (["a/s/p/__main__.py", "a/s/p/x.py"], {"main": "s/p/__main__.py", "imports": ["s"]}, ("p.__main__", "")),
        ([], {"entry_point": "pytest:console.main"}, ("pytest", "console.main")),
    ],
)  # fmt: skip
def test_what_runs(sources, table, expected):
    program = made_of("//a:hello", "executable", {"sources": sources}, **table)
    spec = json.loads(dict(program.action("PythonPack").files)["a/hello.python/program.json"])
    assert (spec["main"], spec["call"]) == expected


def test_tests_run_where_their_files_stand(greet):
    sources = {"sources": ["lib/tests/test_a.py", "lib/tests/cases.py"]}
    test = made_of("//lib:t", "test", sources, [greet.as_dep()], imports=["tests"], env={"MODE": "x"})
    assert test.actions == ()
    info = test.get(TestInfo)
    spec = json.loads(dict(info.files)[info.argv[-1]])
    assert spec == {
        "framework": "unittest",
        "files": ["lib/tests/test_a.py"],
        "modules": ["test_a"],
        "bytecode": ["lib/greet.bytecode"],
    }
    assert info.env == {"PYTHONPATH": "${BLDR_ROOT}/lib/tests:${BLDR_ROOT}/lib/src", "MODE": "x"}
    assert "lib/greet.bytecode" in paths(info.inputs)
    assert info.argv[3] in dict(info.files)


def test_pytest_is_used_where_it_is_a_dep():
    pytest_dep = pinned("pytest", "pytest/__init__.py").as_dep()
    test = made_of("//:t", "test", {"sources": ["check.py", "conftest.py"]}, [pytest_dep])
    info = test.get(TestInfo)
    spec = json.loads(dict(info.files)[info.argv[-1]])
    assert spec["framework"] == "pytest"
    assert spec["files"] == ["check.py"]  # nothing is named as tests are: all that may be one
    assert info.env["PYTHONPATH"] == "${BLDR_ROOT}:${BLDR_ROOT}/external/pypi/pytest"


def test_shared_libraries_of_other_languages_come_along():
    words = FakeDep("//c:words", CcInfo(shared_libraries=(FakeContext("//c:words").declare_file("libwords.so"),)))
    program = made_of("//a:hello", "executable", {"sources": ["a/main.py"]}, [words])
    assert "c/libwords.so" in paths(program.action("PythonPack").inputs)
    assert program.get(Executable).toolchains == ("python", "cc-runtime")
    above = made_of("//b:b", "library", {"sources": ["b/b.py"]}, [words])
    top = made_of("//c:c", "library", {"sources": ["c/c.py"]}, [above.as_dep()])
    test = made_of("//d:t", "test", {"sources": ["d/t.py"]}, [top.as_dep()])
    assert test.get(TestInfo).toolchains == ("python", "cc-runtime")


@pytest.mark.parametrize(
    ("kind", "files", "table", "message", "attribute"),
    [
        ("library", {"sources": ["a/x.txt"]}, {}, '"a/x.txt" is no source of Python', "sources"),
        ("library", {"sources": ["a/x.py"]}, {"imports": ["src"]},
         '"a/x.py" is in none of the directories of "imports" (src)', "sources"),
        ("library", {}, {"imports": ["../b"]}, 'the import directory "../b" is outside the package', "imports"),
        ("library", {}, {"requires": "3.12"},
         "it is made for Python 3.12, and the toolchain is Python 3.11.7", "requires"),
        ("executable", {"sources": ["a/y.py", "a/z.py"]}, {}, "it is not said what runs", ""),
        ("executable", {"sources": ["a/x.py"]}, {"main": "y.py"},
         'main is "y.py", which is none of the sources', "main"),
        ("executable", {"sources": ["a/x.py"]}, {"main": "x.py", "entry_point": "x:y"},
         '"main" and "entry_point" are both given', "entry_point"),
        ("executable", {}, {"entry_point": "x"}, '"x" is no entry point', "entry_point"),
        ("test", {"sources": ["a/conftest.py"]}, {}, "a test needs sources", "sources"),
        ("test", {"sources": ["a/x.py"]}, {"framework": "pytest"}, "pytest is not among the deps", "framework"),
    ],
)  # fmt: skip
def test_what_is_refused(kind, files, table, message, attribute):
    context = FakeContext("//a:x", files=files, toolchains=[PYTHON])
    with pytest.raises(TargetError) as refused:
        analyze(PythonHandler(), {"type": kind, "language": "python", **table}, context)
    assert refused.value.message == message
    assert context.failed_attribute == attribute


@pytest.mark.parametrize(
    ("providers", "message"),
    [
        ([CcInfo()], "//o:x is a static library"),
        ([Files(())], "//o:x is no library for Python"),
    ],
)
def test_what_is_no_dep(providers, message):
    with pytest.raises(TargetError, match=message):
        made_of("//a:x", "library", {}, [FakeDep("//o:x", *providers)])
