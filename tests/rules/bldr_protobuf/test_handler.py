"""What becomes of messages: command lines to the letter, what dependents learn, and what is refused."""

import pytest

from bldr.api import Executable, Files, TargetError
from bldr.testing import FakeContext, FakeDep, analyze
from bldr_protobuf.handler import ProtobufHandler
from bldr_protobuf.providers import ProtoInfo


def program(label, name, *toolchains):
    made = FakeContext(label).declare_file(name)
    return FakeDep(label, Files((made,)), Executable(made, (), toolchains))


PROTOC = program("@pypi//:bin/protoc", "bin/protoc", "python")


def made_of(label, sources, deps=(), compiler=(PROTOC,), plugins=(), **table):
    given = {"deps": deps, "compiler": compiler, "plugins": plugins}
    context = FakeContext(label, files={"sources": sources}, deps=given)
    table = {"type": "library", "language": "protobuf", "compiler": [str(dep.label) for dep in compiler], **table}
    return analyze(ProtobufHandler(), table, context)


def paths(artifacts):
    return [artifact.path for artifact in artifacts]


def test_messages_for_others_are_checked():
    below = made_of("//b:b", ["b/src/b.proto"], root="src")
    assert below.commands == ("protoc -Ib/src --descriptor_set_out=b/b.protoset b/src/b.proto",)
    above = made_of("//a:a", ["a/a.proto"], [below.as_dep()], generate="python")
    (action,) = above.actions
    assert above.commands == ("protoc -Ia -Ib/src --python_out=a a/a.proto",)
    assert paths(action.inputs) == ["a/a.proto", "b/src/b.proto"]
    assert paths(action.tools) == ["external/pypi/bin/protoc"]
    assert action.toolchains == ("python",)
    assert above.get(ProtoInfo).roots == ("a", "b/src")
    assert made_of("//c:c", [], [above.as_dep()]).get(ProtoInfo) == above.get(ProtoInfo)


@pytest.mark.parametrize(
    ("language", "outputs", "words"),
    [
        ("python", ["pkg/x/my_note_pb2.py", "pkg/y_pb2.py"], "--python_out=pkg"),
        ("c++", ["pkg/x/my-note.pb.cc", "pkg/x/my-note.pb.h", "pkg/y.pb.cc", "pkg/y.pb.h"], "--cpp_out=pkg"),
        ("go", ["pkg/x/my-note.pb.go", "pkg/y.pb.go"], "--go_out=pkg --go_opt=paths=source_relative"),
    ],
)
def test_sources_in_another_language(language, outputs, words):
    made = made_of("//pkg:m", ["pkg/x/my-note.proto", "pkg/y.proto"], generate=language)
    assert paths(made.get(Files).files) == outputs
    assert made.commands == (f"protoc -Ipkg {words} pkg/x/my-note.proto pkg/y.proto",)


@pytest.mark.parametrize(
    ("source", "root", "expected"),
    [
        ("pkg/proto-files/a.proto", "proto-files", "pkg/proto-files/a_pb2.py"),  # only below the root
        ("pkg/proto-files/a.proto", ".", "pkg/proto_files/a_pb2.py"),
        ("pkg/v1.0/b.v1.proto", "v1.0", "pkg/v1.0/b/v1_pb2.py"),
        ("a-b.proto", ".", "a_b_pb2.py"),
    ],
)
def test_modules_of_python_are_called_as_protoc_calls_them(source, root, expected):
    label = "//pkg:m" if source.startswith("pkg/") else "//:m"
    assert paths(made_of(label, [source], generate="python", root=root).get(Files).files) == [expected]


def test_java_is_a_directory_because_the_files_decide_about_names():
    made = made_of("//:m", ["m.proto"], generate="java", options=["lite"])
    assert made.actions[0].argv[:2] == ("sh", "-euc")
    assert made.actions[0].argv[3:] == ("m.java", "protoc", "-I.", "--java_out=m.java", "--java_opt=lite", "m.proto")
    assert made.actions[0].toolchains == ("shell", "python")
    assert made.get(Files).files[0].is_directory


def test_plugins_are_programs():
    plugin = program("//tools:protoc-gen-go", "protoc-gen-go", "cc-runtime")
    made = made_of("//:m", ["m.proto"], plugins=[plugin], generate="go")
    assert "tools/protoc-gen-go" in paths(made.actions[0].tools)  # so its directory is on PATH
    assert made.actions[0].toolchains == ("python", "cc-runtime")


def test_what_comes_with_the_compiler_is_found():
    context = FakeContext("@pypi//:bin/protoc")
    known = context.declare_file("x.data/include/google/protobuf/descriptor.proto")
    made = context.declare_file("bin/protoc")
    compiler = FakeDep("@pypi//:bin/protoc", Files((made,)), Executable(made, (known,), ("python",)))
    action = made_of("//:m", ["m.proto"], compiler=[compiler]).actions[0]
    assert action.argv[1:4] == ("-I.", "-I", "/tools/external/pypi/x.data/include")
    assert known in action.tools


@pytest.mark.parametrize(
    ("given", "message", "attribute"),
    [
        ({"sources": ["p/m.txt"]}, '"p/m.txt" is no source of messages', "sources"),
        ({"sources": ["q/m.proto"]}, '"q/m.proto" is not below "p"', "sources"),
        ({"sources": [], "generate": "go"}, "there is nothing to generate from", "sources"),
        ({"sources": ["p/m.proto"], "root": ".."}, 'the directory ".." is outside the package', "root"),
        ({"sources": ["p/m.proto"], "deps": [PROTOC]}, "@pypi//:bin/protoc is no library of messages", "deps"),
        ({"sources": ["p/m.proto"], "compiler": [FakeDep("//:x")]},
         "the compiler is one program that understands the options of protoc", "compiler"),
        ({"sources": ["p/m.proto"], "plugins": [PROTOC]},
         "@pypi//:bin/protoc is no program called protoc-gen-NAME", "plugins"),
    ],
)  # fmt: skip
def test_what_is_refused(given, message, attribute):
    blamed = []
    fail = FakeContext.fail

    def remember(context, message, hint="", attribute=""):
        blamed.append(attribute)
        fail(context, message, hint, attribute)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeContext, "fail", remember)
        with pytest.raises(TargetError) as refused:
            made_of("//p:m", **given)
    assert (refused.value.message, blamed) == (message, [attribute])
