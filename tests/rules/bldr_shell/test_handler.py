"""What becomes of targets of shell: actions, what dependents learn, and what is refused."""

import pytest

from bldr.api import Executable, Files, TargetError, TestInfo, ToolchainError
from bldr.testing import FakeContext, FakeDep, analyze, fake_toolchain
from bldr_shell.handler import ShellHandler

SHELL, SHELLCHECK = fake_toolchain("shell", "sh"), fake_toolchain("shellcheck", "shellcheck")


def made_of(label, kind, files=None, deps=(), toolchains=(SHELL,), **table):
    context = FakeContext(label, files=files or {}, deps={"deps": deps}, toolchains=toolchains)
    return analyze(ShellHandler(), {"type": kind, "language": "shell", **table}, context)


def paths(artifacts):
    return [artifact.path for artifact in artifacts]


def test_a_script_that_needs_nothing_is_copied():
    program = made_of("//a:x", "executable", {"sources": ["a/x.sh"]})
    assert program.commands == ("sh a/x.shell/assemble.sh a/x.sh a/x",)
    assert program.get(Executable) == Executable(program.actions[0].outputs[0], (), ("shell",))


def test_one_that_does_stands_in_a_tree_with_all_of_it():
    library = made_of("//lib:l", "library", {"sources": ["lib/l.sh"], "data": ["lib/l.txt"]}, toolchains=[SHELL])
    tool = FakeContext("//c:tool").declare_file("tool")
    c = FakeDep("//c:tool", Files((tool,)), Executable(tool, (), ("cc-runtime",)))
    program = made_of("//a:x", "executable", {"sources": ["a/it's.sh"]}, [library.as_dep(), c], toolchains=[SHELL])
    action = program.action("ShellProgram")
    files = dict(action.files)
    assert files["a/x.shell/files"].split("\n") == ["a/it's.sh", "lib/l.sh", "lib/l.txt", "c/tool", ""]
    assert "exec \"$RUNFILES_DIR/\"'a/it'\\''s.sh' \"$@\"" in files["a/x.shell/launch.sh"]
    executable = program.get(Executable)
    assert paths(executable.runtime) == ["a/x.runfiles"]
    assert executable.toolchains == ("shell", "cc-runtime")


def test_shellcheck_is_asked_where_it_is():
    with_it = (SHELL, SHELLCHECK)
    library = made_of("//l:l", "library", {"sources": ["l/l.sh"]}, toolchains=with_it, lint_flags=("-o", "all"))
    action = library.action("ShellCheck")
    assert action.argv == ("sh", "l/l.shell/check.sh", "l/l.lint", "-o", "all", "--", "l/l.sh")
    assert action.toolchains == ("shell", "shellcheck")
    assert paths(library.get(Files).files) == ["l/l.sh", "l/l.lint"]
    test = made_of("//a:t", "test", {"sources": ["a/t.sh"]}, [library.as_dep()], toolchains=with_it)
    assert paths(test.action("ShellCheck").inputs) == ["a/t.sh", "l/l.sh"]  # those that it sources are followed
    assert "a/t.lint" in paths(test.get(TestInfo).inputs)
    assert made_of("//l:l", "library", {"sources": ["l/l.sh"]}, lint="auto").actions == ()
    assert made_of("//l:l", "library", {"sources": ["l/l.sh"]}, toolchains=with_it, lint=False).actions == ()
    with pytest.raises(ToolchainError):
        made_of("//l:l", "library", {"sources": ["l/l.sh"]}, lint=True)


@pytest.mark.parametrize(
    ("sources", "table", "message", "attribute"),
    [
        (["a/x.sh", "a/y.sh"], {}, "it is not said which script runs", "sources"),
        (["a/x.sh"], {"main": "y.sh"}, 'main is "y.sh", which is none of the sources', "main"),
    ],
)
def test_what_is_refused(sources, table, message, attribute):
    context = FakeContext("//a:x", files={"sources": sources}, toolchains=[SHELL])
    with pytest.raises(TargetError) as refused:
        analyze(ShellHandler(), {"type": "executable", "language": "shell", **table}, context)
    assert (refused.value.message, context.failed_attribute) == (message, attribute)


def test_a_dep_that_has_nothing_for_scripts_is_refused():
    with pytest.raises(TargetError, match="//o:x is neither a library nor a program, and makes no files"):
        made_of("//a:x", "library", {}, [FakeDep("//o:x")])
