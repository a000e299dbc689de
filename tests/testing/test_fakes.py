"""The fakes keep the protocols that they stand for."""

import msgspec
import pytest

from bldr.api import (
    Artifact,
    Configuration,
    Executable,
    Exit,
    Files,
    Launch,
    TargetError,
    TestInfo,
    ToolchainError,
    Usage,
)
from bldr.session import BuildRequest, Session
from bldr.testing import FakeContext, FakeDep, FakeDetector, FakeSandbox, Project, analyze, fake_toolchain
from bldr.testing.planning import open_project
from bldr_command.handler import CommandHandler

UPPER = {"type": "command", "outputs": ["upper.txt"], "command": "tr a-z A-Z < $SRCS > $OUT"}


def test_a_handler_is_asked_without_a_workspace():
    context = FakeContext("//pkg:upper", files={"sources": ["pkg/a.txt", Artifact("pkg/b.txt")]})
    upper = analyze(CommandHandler(), UPPER, context)
    assert upper.get(Files).files == tuple(context.declared) == upper.action("Command").outputs
    assert upper.commands == ("sh -euc tr a-z A-Z < $SRCS > $OUT upper",)
    assert upper.action("Command").inputs == (Artifact("pkg/a.txt"), Artifact("pkg/b.txt"))
    assert upper.get(Executable) is None
    with pytest.raises(ValueError, match='0 actions are called "Link"; there are: Command'):
        upper.action("Link")

    deps = {"deps": [upper.as_dep(), FakeDep("//:more", Files((Artifact("more.txt"),)))]}
    test = analyze(CommandHandler(), {"type": "test", "command": "true"}, FakeContext("//:test", deps=deps))
    assert [artifact.path for artifact in test.get(TestInfo).inputs] == ["pkg/upper.txt", "more.txt"]


def test_a_context_refuses_what_the_real_one_refuses():
    with pytest.raises(msgspec.ValidationError, match="outputs"):
        analyze(CommandHandler(), {"type": "command", "command": "true"}, FakeContext())
    context = FakeContext()
    with pytest.raises(TargetError, match=r'"\.\./x" cannot be an output'):
        context.declare_file("../x")
    context.declare_directory("x")
    with pytest.raises(TargetError, match='the output "x" is declared twice'):
        context.declare_file("x")
    with pytest.raises(TargetError, match="no"):
        context.fail("no", attribute="deps")
    assert context.failed_attribute == "deps"
    with pytest.raises(ToolchainError, match='there is no toolchain "cc" here'):
        context.toolchain("cc")


def test_what_a_context_knows_is_what_was_said():
    toolchain = fake_toolchain("cc", "gcc", compiler="gcc")
    context = FakeContext(toolchains=[toolchain], configuration=Configuration(mode="debug"))
    assert context.toolchain("cc") is toolchain
    assert toolchain.executables == {"gcc": "/usr/bin/gcc"}
    assert toolchain.attributes == {"compiler": "gcc"}
    assert (context.configuration.mode, context.platform.os, context.files("sources")) == ("debug", "linux", ())


def test_a_detector_answers_by_its_variable():
    detector = FakeDetector("cc", {"gcc": fake_toolchain("cc", "gcc")}, "CC")
    assert detector.environment == ("CC",)
    assert detector.detect({"CC": "gcc"}).name == "cc"
    with pytest.raises(ToolchainError, match='there is no toolchain "cc"'):
        detector.detect({"CC": "clang"})
    assert detector.asked == [{"CC": "gcc"}, {"CC": "clang"}]
    assert FakeDetector("cc", {"": fake_toolchain("cc")}).detect({"CC": "any"}).identity == "fake cc"


def test_a_fake_sandbox_lets_a_whole_build_pass_without_a_process(project: Project):
    """The engine takes it for a platform: outputs are taken from the tree, failures are told, results are stored."""

    def answer(launch: Launch) -> int:
        with open(f"{launch.tree.lower or launch.tree.upper}/words.txt") as file:
            text = file.read().upper()
        with open(f"{launch.tree.upper}/upper.txt", "w") as file:
            file.write(text)
        return 0

    project.write({"Builderfile": BUILDERFILE, "words.txt": "two words\n"})
    sandbox = FakeSandbox(answer)
    with opened(project, sandbox) as session:
        assert session.build().exit_code == 0
    assert project.read("bldr-out/upper.txt") == "TWO WORDS\n"
    assert [launch.argv[:2] for launch in sandbox.launches] == [("sh", "-euc")]
    with opened(project, sandbox) as session:
        assert session.build().cached == 1
    assert len(sandbox.launches) == 1
    project.edit("words.txt", "two", "three")
    with opened(project, FakeSandbox(lambda launch: Exit(launch_id=0, exit_code=7, usage=Usage()))) as session:
        assert session.build().exit_code == 1


BUILDERFILE = """
    [target.upper]
    type = "command"
    sources = ["words.txt"]
    outputs = ["upper.txt"]
    command = "tr a-z A-Z"
"""


def opened(project, sandbox):
    request = BuildRequest(
        patterns=("//...",), directory=str(project.root), cache_dir=str(project.cache), isolation="require"
    )
    session = Session(request)
    session.platforms = type(session.platforms)([sandbox], "require", session.store.root, session.store.memo)
    return session


def test_a_plan_needs_no_build(project: Project):
    project.write({"Builderfile": BUILDERFILE, "words.txt": "two words\n"})
    with open_project(project) as (_, plan):
        assert [node.name for node in plan.nodes] == ["upper.txt"]
