"""What the handler of Java makes of targets, without a compiler."""

import pytest

from bldr.api import Artifact, CcInfo, Configuration, Executable, TargetError, TestInfo, parse_label
from bldr.testing import FakeContext, FakeDep, analyze
from bldr_java.handler import JavaHandler
from bldr_java.providers import JavaInfo

LIBRARY = {"type": "library", "language": "java"}
PROGRAM = {"type": "executable", "language": "java", "main_class": "org.example.Main"}
TEST = {"type": "test", "language": "java"}


def dep(name):
    return FakeDep(f"//lib:{name}", JavaInfo(jars=(Artifact(f"lib/{name}.jar", parse_label(f"//lib:{name}")),)))


def library(**files):
    return analyze(JavaHandler(), LIBRARY, FakeContext("//pkg:it", files=files))


def test_a_library_is_one_jar():
    made = library(sources=["pkg/src/A.java", "pkg/src/B.java"])
    assert [artifact.path for artifact in made.action("Javac").outputs] == ["pkg/it.jar"]
    assert dict(made.action("Javac").files)["pkg/it.jar.sources"] == '"pkg/src/A.java"\n"pkg/src/B.java"\n'
    assert [jar.path for jar in made.get(JavaInfo).jars] == ["pkg/it.jar"]


def test_what_is_made_elsewhere_needs_no_action():
    made = library(jars=["pkg/one.jar"])
    assert made.actions == ()
    assert [jar.path for jar in made.get(JavaInfo).jars] == ["pkg/one.jar"]


def test_the_class_path_has_own_deps_first_and_each_once():
    middle = FakeDep("//lib:middle", JavaInfo(jars=(Artifact("lib/middle.jar"), Artifact("lib/base.jar"))))
    base = FakeDep("//lib:base", JavaInfo(jars=(Artifact("lib/base.jar"),)))
    context = FakeContext("//pkg:it", files={"sources": ["pkg/A.java"]}, deps={"deps": [middle, base]})
    argv = analyze(JavaHandler(), LIBRARY, context).action("Javac").argv
    assert argv[argv.index("-classpath") + 1] == "lib/middle.jar:lib/base.jar"
    assert "-proc:none" in argv


def test_annotation_processors_run_where_they_are_named():
    context = FakeContext("//pkg:it", files={"sources": ["pkg/A.java"]}, deps={"processors": [dep("processor")]})
    action = analyze(JavaHandler(), LIBRARY, context).action("Javac")
    assert action.argv[action.argv.index("-processorpath") + 1] == "lib/processor.jar"
    assert "-proc:none" not in action.argv
    assert "lib/processor.jar" in [artifact.path for artifact in action.inputs]


def test_resources_stand_below_their_root():
    files = {"resources": ["pkg/res/org/example/text.txt"]}
    made = analyze(JavaHandler(), {**LIBRARY, "resource_root": "res/"}, FakeContext("//pkg:it", files=files))
    copied = dict(made.action("Javac").files)["pkg/it.jar.resources"]
    assert copied == "pkg/res/org/example/text.txt\torg/example/text.txt\n"


def test_debugging_is_a_matter_of_the_configuration():
    files = {"sources": ["A.java"]}
    flags = {"java": ("-Xlint:all",)}
    context = FakeContext("//:it", files=files, configuration=Configuration(mode="debug", flags=flags))
    argv = analyze(JavaHandler(), {**LIBRARY, "flags": ["-Xlint:-serial"], "release": 17}, context).action("Javac").argv
    assert "-g" in argv and argv[-2:] == ("-Xlint:all", "-Xlint:-serial")
    assert argv[argv.index("--release") + 1] == "17"
    assert "-g" not in library(sources=["A.java"]).action("Javac").argv


def test_a_program_finds_shared_libraries_from_where_it_stands():
    native = FakeDep("//native:c", CcInfo(shared_libraries=(Artifact("native/libc.so", parse_label("//native:c")),)))
    context = FakeContext("//pkg:it", files={"sources": ["pkg/A.java"]}, deps={"deps": [native]})
    made = analyze(JavaHandler(), {**PROGRAM, "jvm_flags": ["-Da=it's"]}, context)
    assert (
        """exec java '-Da=it'\\''s' -Djava.library.path="${self%/*}/../native" -jar"""
        in made.action("JavaLink").argv[6]
    )
    assert [file.path for file in made.get(Executable).runtime] == ["native/libc.so"]


def test_a_test_is_of_junit_unless_it_names_a_program():
    context = FakeContext("//pkg:it", files={"sources": ["pkg/ATest.java"]}, deps={"deps": [dep("junit")]})
    made = analyze(JavaHandler(), TEST, context)
    assert "pkg/it.runner/BldrJUnitRunner.java" in dict(made.action("Javac").files)
    assert made.get(TestInfo).argv[-4:] == ("-classpath", "pkg/it.jar:lib/junit.jar", "BldrJUnitRunner", "pkg/it.jar")
    context = FakeContext("//pkg:it", files={"sources": ["pkg/ATest.java"]})
    made = analyze(JavaHandler(), {**TEST, "main_class": "org.example.ATest"}, context)
    assert made.get(TestInfo).argv[-1] == "org.example.ATest"
    assert "runner" not in str(made.action("Javac").files)


@pytest.mark.parametrize(
    ("table", "files", "deps", "attribute", "message"),
    [
        (LIBRARY, {"sources": ["pkg/a.txt"]}, [], "sources", "no source of Java"),
        (LIBRARY, {"jars": ["pkg/a.zip"]}, [], "jars", "no jar"),
        (LIBRARY, {"resources": ["other/a"]}, [], "resources", "is not below"),
        (LIBRARY, {}, [FakeDep("//:c", CcInfo())], "deps", "no library of Java, nor a shared one of C"),
        (PROGRAM, {}, [], "sources", "nothing to run"),
        ({**PROGRAM, "main_class": "a b"}, {"sources": ["pkg/A.java"]}, [], "main_class", "no name of a class"),
        (TEST, {}, [], "sources", "a test of JUnit has sources"),
    ],
)
def test_mistakes_name_the_attribute(table, files, deps, attribute, message):
    context = FakeContext("//pkg:it", files=files, deps={"deps": deps})
    with pytest.raises(TargetError, match=message):
        analyze(JavaHandler(), table, context)
    assert context.failed_attribute == attribute
