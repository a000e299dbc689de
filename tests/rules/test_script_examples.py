"""Examples built from nothing, again, after an edit, and in another checkout: Python, shell, archives, messages."""

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

REPOSITORY = Path(__file__).parents[2]
IGNORED = shutil.ignore_patterns("bldr-out")


@pytest.fixture
def example(project):
    """Function: (name of an example) -> the project, with a copy of it for a workspace."""

    def copy(name):
        shutil.copytree(REPOSITORY / "examples" / name, project.root, ignore=IGNORED, dirs_exist_ok=True)
        return project

    return copy


def all_of(project):
    """Everything built and every test passed; what ran for it, sorted."""
    built = project.bldr("build", "--hermetic", "//...")
    assert built.exit_code == 0, built
    tested = project.bldr("test", "--hermetic", "//...")
    assert tested.exit_code == 0, tested
    return sorted((*built.ran, *tested.ran))


def outputs(project):
    """Path below bldr-out -> content, of all but what test runs leave."""
    top = project.root / "bldr-out"
    files = (path for path in top.rglob("*") if path.is_file() and ".test/" not in str(path))
    return {str(path.relative_to(top)): path.read_bytes() for path in files}


@pytest.fixture
def again(tmp_path_factory):
    """Function: (project, name of its example) -> the outputs of another checkout with another cache."""

    def build(project, name):
        other = type(project)(
            tmp_path_factory.mktemp("again") / "somewhere else", tmp_path_factory.mktemp("other-cache")
        )
        shutil.copytree(REPOSITORY / "examples" / name, other.root, ignore=IGNORED, dirs_exist_ok=True)
        all_of(other)
        return outputs(other)

    return build


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_python(example, again):
    """Needs the index that pip is configured for, or wheels that were fetched before."""
    project = example("python")
    assert all_of(project)
    assert all_of(project) == []
    first = outputs(project)
    assert project.output_of("app/count", project.root / "app/rain.txt") == (project.out("app/rain.counts")).read_text()
    assert first == again(project, "python")
    replace(project.root / "app/main.py", '"times"', '"count"')
    assert all_of(project) == ["Command //app:rain", "PythonCompile //app:count", "PythonPack //app:count"]
    replace(project.root / "words/tests/test_counting.py", "go", "come")
    assert all_of(project) == ["Test //words:unit_test"]


def test_shell(example, again):
    if shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck here")
    project = example("shell")
    assert all_of(project)
    assert all_of(project) == []
    assert project.output_of("report/report", project.root / "report/numbers.txt") == "Sum of the numbers\n42\n"
    assert outputs(project) == again(project, "shell")
    replace(project.root / "log/log.sh", "# log LEVEL", "# log the LEVEL")
    program = ["ShellCheck //report:report", "ShellProgram //report:report"]
    assert all_of(project) == [
        "Command //report:numbers",
        "ShellCheck //log:log",
        *program,
        "Test //report:report_test",
    ]
    replace(project.root / "report/report_test.sh", "a file", "any file")
    assert all_of(project) == ["ShellCheck //report:report_test", "Test //report:report_test"]


def test_archive(example, again):
    project = example("archive")
    assert all_of(project)
    assert all_of(project) == []
    assert outputs(project) == again(project, "archive")
    replace(project.root / "docs/usage.txt", "Run", "Call")
    archives = ["Pack //:for_windows", "Pack //:plain", "Pack //:release"]
    assert all_of(project) == [*archives, "Test //:release_test"]
    replace(project.root / "hello.in", "#!/bin/sh", "#!/bin/sh\n")
    assert all_of(project) == ["Command //:hello", "Pack //:release", "Pack //:small", "Test //:release_test"]


OTHER_LANGUAGES = """
[target.checked]
type = "library"
language = "protobuf"
compiler = ["@pypi//:bin/protoc"]
sources = ["*.proto"]

[target.cc]
type = "library"
language = "protobuf"
compiler = ["@pypi//:bin/protoc"]
generate = "c++"
sources = ["*.proto"]

[target.jar]
type = "library"
language = "protobuf"
compiler = ["@pypi//:bin/protoc"]
generate = "java"
sources = ["*.proto"]

[target.go]
type = "library"
language = "protobuf"
compiler = ["@pypi//:bin/protoc"]
generate = "go"
plugins = [":protoc-gen-go"]
sources = ["*.proto"]

[target.from_root]
type = "library"
language = "protobuf"
compiler = ["@pypi//:bin/protoc"]
generate = "python"
root = "proto-files"
sources = ["proto-files/**/*.proto"]

[target.protoc-gen-go]
type = "executable"
language = "python"
sources = ["plugin.py"]
deps = ["@pypi//:protobuf"]
"""
PLUGIN = """
import sys
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
response = CodeGeneratorResponse()
for name in request.file_to_generate:
    response.file.add(name=name.replace(".proto", ".pb.go"), content=f"// {request.parameter}")
sys.stdout.buffer.write(response.SerializeToString())
"""


def test_protobuf(example, again):
    """Needs the index that pip is configured for, or wheels that were fetched before."""
    project = example("protobuf")
    assert all_of(project)
    assert all_of(project) == []
    assert project.output_of("app/notes", "me", "hi") == 'owner: "me"\nnotes {\n  text: "hi"\n}\n'
    assert outputs(project) == again(project, "protobuf")
    replace(project.root / "messages/book.proto", "string owner = 1;", "string owner = 1;\n  string title = 3;")
    assert all_of(project) == [
        "ProtoCompile //messages:messages_py",
        "PythonCompile //messages:messages",
        "PythonPack //app:notes",
        "Test //app:notes_test",
    ]


@pytest.mark.parametrize("mode", ["--hermetic", "--no-hermetic"])
def test_messages_in_other_languages(example, mode):
    """Where nothing is mounted, the compiler and its plugins stand elsewhere, and have to be found all the same."""
    project = example("protobuf")
    with open(project.root / "messages/Builderfile", "a") as file:
        file.write(OTHER_LANGUAGES)
    (project.root / "messages/plugin.py").write_text(PLUGIN)
    for name in ("a-b.v1.proto", "c-d/e.proto"):
        project.write({f"messages/proto-files/{name}": 'syntax = "proto3";\n'})
    ran = project.bldr("build", mode, "//messages:all")
    assert ran.exit_code == 0, ran
    out = project.out("messages")
    made = {str(path.relative_to(out)) for path in (out / "proto-files").rglob("*") if path.is_file()}
    assert made == {"proto-files/a_b/v1_pb2.py", "proto-files/c_d/e_pb2.py"}
    assert b"example.Note" in (out / "checked.protoset").read_bytes()
    assert "class Note" in (out / "note.pb.h").read_text() and (out / "note.pb.cc").exists()
    assert {path.name for path in (out / "jar.java").rglob("*.java")} == {"BookOuterClass.java", "NoteOuterClass.java"}
    assert (out / "book.pb.go").read_text() == "// paths=source_relative"
    replace(project.root / "messages/book.proto", "repeated Note", "repeated Notes")
    ran = project.bldr("build", mode, "//messages:checked")
    assert ran.exit_code == 1
    assert 'book.proto:9:12: "Notes" is not defined.' in ran.output
