"""What becomes of a target that is a command."""

import pytest

from bldr.api import Artifact, Executable, Files, TargetError, TestInfo
from bldr_command.handler import CommandHandler

COMMAND = {"type": "command", "outputs": ["out.txt"], "command": "cat $SRCS > $OUT"}


@pytest.fixture
def analyze(analyze_with):
    return lambda table, **given: analyze_with(CommandHandler(), "//pkg:made", {**COMMAND, **table}, **given)


@pytest.fixture
def analyze_test(analyze_with):
    return lambda table, **given: analyze_with(CommandHandler(), "//pkg:check", {"type": "test", **table}, **given)


def test_a_script_is_run_by_the_shell_with_its_words_as_variables(analyze, dep, made):
    lib = dep("//other:maker", Files((made("other/gen.h"),)))
    target = analyze({"env": {"MODE": "fast"}}, files={"sources": ["pkg/a.txt", "pkg/b.txt"]}, deps={"deps": [lib]})
    (action,) = target.actions
    assert action.argv == ("sh", "-euc", "cat $SRCS > $OUT", "made")
    assert action.env == {
        "MODE": "fast",
        "SRCS": "pkg/a.txt pkg/b.txt",
        "DEPS": "other/gen.h",
        "TOOLS": "",
        "OUTS": "pkg/out.txt",
        "OUT": "pkg/out.txt",
    }
    assert [artifact.path for artifact in action.inputs] == ["pkg/a.txt", "pkg/b.txt", "other/gen.h"]
    assert action.outputs == (Artifact("pkg/out.txt", target.label),)
    assert action.toolchains == ("shell",)
    assert target.get(Files) == Files(action.outputs)
    assert target.get(Executable) is None


def test_a_list_is_run_without_a_shell_and_its_words_are_spliced(analyze):
    target = analyze(
        {"command": ["join", "-o", "$OUT", "$SRCS", "--", "$HOME", "x$SRCS", "$OUTS"]},
        files={"sources": ["pkg/a b.txt", "pkg/c.txt"]},
    )
    (action,) = target.actions
    assert action.argv == (
        "join", "-o", "pkg/out.txt", "pkg/a b.txt", "pkg/c.txt", "--", "$HOME", "x$SRCS", "pkg/out.txt",
    )  # fmt: skip
    assert action.env == {}


def test_data_is_an_input_and_no_source(analyze):
    target = analyze({}, files={"sources": ["pkg/a.txt"], "data": ["pkg/table.bin"]})
    (action,) = target.actions
    assert action.env["SRCS"] == "pkg/a.txt"
    assert [artifact.path for artifact in action.inputs] == ["pkg/a.txt", "pkg/table.bin"]


def test_tools_bring_their_files_and_their_toolchains(analyze, dep, made):
    program, library = made("tools/gen"), made("tools/libgen.so")
    tool = dep("//tools:gen", Files((program,)), Executable(program, (library,), ("cc-runtime",)))
    target = analyze({"toolchains": ["cc"]}, deps={"tools": [tool, tool]})
    (action,) = target.actions
    assert action.tools == (program, library)
    assert action.env["TOOLS"] == "/tools/tools/gen /tools/tools/gen"
    assert action.toolchains == ("shell", "cc", "cc-runtime")


def test_a_trailing_slash_declares_a_directory(analyze):
    target = analyze({"outputs": ["gen/", "list.txt"]})
    gen, listed = target.actions[0].outputs
    assert (gen.path, gen.is_directory) == ("pkg/gen", True)
    assert (listed.path, listed.is_directory) == ("pkg/list.txt", False)
    assert "OUT" not in target.actions[0].env
    assert target.actions[0].env["OUTS"] == "pkg/gen pkg/list.txt"


def test_an_executable_command_can_be_run(analyze):
    target = analyze({"executable": True}, files={"data": ["pkg/names.txt"]})
    assert target.get(Executable) == Executable(
        Artifact("pkg/out.txt", target.label), (Artifact("pkg/names.txt"),), ("shell",)
    )


@pytest.mark.parametrize("outputs", [["a", "b"], ["a/"]])
def test_only_one_file_can_be_a_program(analyze, outputs):
    with pytest.raises(TargetError, match="one output, the program"):
        analyze({"executable": True, "outputs": outputs})


@pytest.mark.parametrize("output", ["/etc/passwd", "../x", "a//b", "./a", "a/../../b", "/", ""])
def test_an_output_is_a_normal_path_below_the_package(analyze, output):
    with pytest.raises(TargetError, match="is no output"):
        analyze({"outputs": [output]})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"outputs": []}, "a command needs outputs"),
        ({"command": "  "}, "the command is empty"),
        ({"command": []}, "the command is empty"),
        ({"command": ["", "x"]}, "the command is empty"),
        ({"command": ["cp", "$OUT"], "outputs": ["a", "b"]}, r"\$OUT is for commands with one output"),
        ({"env": {"SRCS": "mine"}}, "the variable SRCS is set by bldr"),
        ({"env": {"OUT": "mine"}, "outputs": ["a", "b"]}, "the variable OUT is set by bldr"),
    ],
)
def test_what_makes_no_sense_is_refused(analyze, table, message):
    with pytest.raises(TargetError, match=message):
        analyze(table)


@pytest.mark.parametrize("name", ["a b.txt", "a\tb", "a*.txt", "what?", "[ab]"])
def test_a_path_that_the_shell_would_take_apart_is_refused_in_a_script_and_fine_in_a_list(analyze, name):
    with pytest.raises(TargetError, match="would split or expand"):
        analyze({}, files={"sources": [f"pkg/{name}"]})
    assert f"pkg/{name}" in analyze({"command": ["cat", "$SRCS"]}, files={"sources": [f"pkg/{name}"]}).actions[0].argv


def test_more_paths_than_an_environment_holds_are_refused(analyze):
    sources = [f"pkg/{number:0100}.txt" for number in range(2000)]
    with pytest.raises(TargetError, match=r"\$SRCS would be longer than the system allows \(2000 paths\)"):
        analyze({}, files={"sources": sources})


def test_a_tool_must_be_a_program_and_a_dep_must_make_files(analyze, dep, made):
    with pytest.raises(TargetError, match="//other:maker is no program"):
        analyze({}, deps={"tools": [dep("//other:maker", Files((made("other/x"),)))]})
    with pytest.raises(TargetError, match="//other:nothing provides no files"):
        analyze({}, deps={"deps": [dep("//other:nothing")]})


def test_a_test_without_a_language_is_a_command(analyze_test, dep, made):
    program = made("app/app")
    tool = dep("//app:app", Executable(program, (), ("cc-runtime",)))
    target = analyze_test(
        {"command": "app $SRCS | cmp - $1", "env": {"A": "1"}, "args": ["x"], "toolchains": ["cc"]},
        files={"sources": ["pkg/in.txt"], "data": ["pkg/expected.txt"]},
        deps={"tools": [tool]},
    )
    assert target.actions == ()
    assert target.get(TestInfo) == TestInfo(
        argv=("sh", "-euc", "app $SRCS | cmp - $1", "check"),
        inputs=(Artifact("pkg/in.txt"), Artifact("pkg/expected.txt")),
        env={"A": "1", "SRCS": "pkg/in.txt", "DEPS": "", "TOOLS": "/tools/app/app"},
        toolchains=("shell", "cc", "cc-runtime"),
        tools=(program,),
    )


def test_a_test_as_a_list(analyze_test):
    target = analyze_test({"command": ["cmp", "$SRCS"]}, files={"sources": ["pkg/a", "pkg/b"]})
    assert target.get(TestInfo).argv == ("cmp", "pkg/a", "pkg/b")
