"""What becomes of targets of Go: jobs to the letter, what dependents learn, and what is refused."""

import json

import pytest

from bldr.api import Artifact, Executable, Files, TargetError, TestInfo, Toolchain
from bldr_go.handler import GoHandler
from bldr_go.providers import GoInfo, GoStdInfo

GO = Toolchain(name="go", executables={"go": "/usr/bin/go"}, attributes={"version": "1.22.1", "goroot": "/usr/lib/go"})


@pytest.fixture
def std(dep, made):
    return dep("//:go-std", GoStdInfo(made("go-std", is_directory=True), made("go-std.tool")))


@pytest.fixture
def analyze(analyze_with, std):
    def analyze(label, table, deps=None, **given):
        deps = {"std": [std], **(deps or {})}
        return analyze_with(GoHandler(), label, {"language": "go", **table}, deps=deps, toolchain=GO, **given)

    return analyze


@pytest.fixture
def words(analyze):
    return analyze(
        "//lib/words:words",
        {"type": "library", "import_path": "example.org/words", "build_tags": ["fast"], "go_version": "1.19"},
        files={"sources": ["lib/words/a.go", "lib/words/b_amd64.s"], "data": ["lib/words/list.txt"]},
    )


def job_of(action):
    ((path, text),) = action.files
    assert action.argv[1] == path
    return json.loads(text)


def test_a_library_is_compiled_for_its_users_and_for_programs_apart(words):
    (action,) = words.actions
    assert [output.path for output in action.outputs] == ["lib/words/words.x", "lib/words/words.a"]
    assert job_of(action) == {
        "Mode": "compile",
        "ImportPath": "example.org/words",
        "Directory": "lib/words",
        "Std": "go-std",
        "Packages": {},
        "Tags": ["fast"],
        "Flags": ["-lang=go1.19"],
        "Export": "lib/words/words.x",
        "Object": "lib/words/words.a",
    }
    info = words.get(GoInfo)
    assert info.export == action.outputs[0]
    assert info.objects == (("example.org/words", action.outputs[1]),)


def test_a_program_is_compiled_with_what_it_imports_and_linked_of_all_below(analyze, words):
    near = analyze(
        "//near:near", {"type": "library"}, files={"sources": ["near/n.go"]}, deps={"deps": [words.as_dep()]}
    )
    program = analyze(
        "//app:count", {"type": "executable"}, files={"sources": ["app/main.go"]}, deps={"deps": [near.as_dep()]}
    )
    compiled, linked = program.actions
    assert job_of(compiled)["Packages"] == {"near": "near/near.x"}
    assert job_of(linked)["Packages"] == {"near": "near/near.a", "example.org/words": "lib/words/words.a"}
    assert "lib/words/words.x" not in {item.path for item in (*compiled.inputs, *linked.inputs)}
    executable = program.get(Executable)
    assert (executable.program.path, executable.toolchains) == ("app/count", ())
    assert [item.path for item in executable.runtime] == ["lib/words/list.txt"]


def test_a_test_takes_the_place_of_the_library_that_it_tests(analyze, words):
    test = analyze(
        "//lib/words:words_test",
        {"type": "test"},
        files={"sources": ["lib/words/a_test.go"]},
        deps={"library": [words.as_dep()]},
    )
    compiled, linked = test.actions
    assert job_of(compiled)["ImportPath"] == "example.org/words"
    assert [item.path for item in compiled.inputs][2:] == [
        "lib/words/a.go",
        "lib/words/b_amd64.s",
        "lib/words/a_test.go",
    ]
    assert job_of(linked)["Packages"] == {}
    assert test.get(TestInfo).argv[-1] == "./lib/words/words_test"
    assert test.get(Files).files == linked.outputs


def test_the_standard_library_is_an_action_of_its_own(analyze):
    std = analyze("//:go-std", {"type": "stdlib", "packages": ["fmt", "os"]})
    (action,) = std.actions
    assert action.argv[-2:] == ("fmt", "os")
    assert std.get(GoStdInfo).directory == Artifact("go-std", std.label, True)
    assert action.toolchains == ("shell", "go")


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["a/x.go", "a/b/y.go"], 'the sources stand in several directories: "a" and "a/b"'),
        (["a/x.txt"], '"a/x.txt" is no source of Go'),
        ([], "there are no sources"),
    ],
)
def test_sources_that_are_no_package(analyze, sources, message):
    with pytest.raises(TargetError, match=message):
        analyze("//a:a", {"type": "library"}, files={"sources": sources})


def test_two_packages_of_one_import_path(analyze, words):
    other = analyze(
        "//x:x",
        {"type": "library", "import_path": "example.org/words"},
        files={"sources": ["x/x.go"]},
    )
    with pytest.raises(TargetError, match=r'"example\.org/words" comes from two targets: //lib/words:words and //x:x'):
        analyze(
            "//app:app",
            {"type": "executable"},
            files={"sources": ["app/m.go"]},
            deps={"deps": [words.as_dep(), other.as_dep()]},
        )


def test_without_a_standard_library(analyze, dep):
    with pytest.raises(TargetError, match="the standard library is not said"):
        analyze("//a:a", {"type": "library"}, files={"sources": ["a/x.go"]}, deps={"std": [dep("//:other")]})
