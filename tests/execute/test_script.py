"""Scripts that need no shell: what is said of them is what shells do with them."""

import os
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bldr.api import TREE_ROOT, Action, Artifact, Label, Toolchain
from bldr.execute.script import PlainCommand, plain_command, without_shell
from bldr.graph.actions import ActionNode, Permissions

LABEL = Label("", "", "a")


def toolchain(name, trees=None, **executables):
    return Toolchain(name=name, executables=executables, identity="x", trees=tuple((trees or {}).items()))


SHELLS = toolchain("shell", sh="/usr/bin/dash", cat="/usr/bin/cat")
ENV = {"SRCS": "a/b.txt c.txt", "DEPS": "", "OUT": "out/o.txt", "OUTS": "out/o.txt", "TOOLS": "/tools/t", "HOME": "/h"}
OUTPUTS = {"out/o.txt"}
SHOW = "#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done\n"


@pytest.mark.parametrize(
    ("script", "argv", "stdout"),
    [
        ("cat $SRCS $DEPS > $OUT", ("cat", "a/b.txt", "c.txt"), "out/o.txt"),
        ("cat $SRCS >$OUT", ("cat", "a/b.txt", "c.txt"), "out/o.txt"),
        ("  cat ${SRCS}\n", ("cat", "a/b.txt", "c.txt"), ""),
        ("sort -o$OUT -- $SRCS", ("sort", "-oout/o.txt", "--", "a/b.txt", "c.txt"), ""),
        ("sed 's/a b/*/; s/$x/y/' c.txt > out/o.txt", ("sed", "s/a b/*/; s/$x/y/", "c.txt"), "out/o.txt"),
        ("grep \"a  b\" \"$SRCS\" \"$DEPS\"", ("grep", "a  b", "a/b.txt c.txt", ""), ""),
        ("grep -e'x y'\"z\" c.txt", ("grep", "-ex yz", "c.txt"), ""),
        ("cat 1 > $OUT", ("cat", "1"), "out/o.txt"),
    ],
)  # fmt: skip
def test_what_a_shell_would_execute(script, argv, stdout):
    assert plain_command(script, ENV, OUTPUTS) == PlainCommand(argv, stdout)


@pytest.mark.parametrize(
    "script",
    [
        "", "> $OUT", "$SRCS", "cat a; cat b", "cat a\ncat b", "cat a && cat b", "cat a | sort", "cat a &", "! cat a",
        "cat < a", "cat a >> $OUT", "cat a >| $OUT", "cat a >& $OUT", "cat a 2> $OUT", "cat a 2>$OUT", "cat a 1>$OUT",
        "cat a > $OUT b", "cat > $OUT > $OUT", "cat a > other", "cat a > $SRCS", "cat a > $DEPS", "cat a >", "cat a>",
        "cat a # b", "cat *.txt", "cat [ab]", "cat a?", "cat ~", "cat a=~", "cat {a,b}", "cat \\a", "cat `ls`",
        "cat $(ls)", "cat $((1))", "cat $HOME", "cat $1", "cat $SRCSX", "cat $SRCS_", "cat ${SRCS%t}", "cat $OTHER",
        "cat x$SRCS", "cat $SRCS$SRCS", "cat 'a", "cat \"a", "cat \"a$SRCS\"", "cat \"\\a\"", "cat $'a'",
        "A=b cat a", "echo a > $OUT", "printf a", "test a", "cd a", "exec cat a", ". a", "if", "time cat", "true",
        "[ a ]", "./cat a", "/bin/cat a", "$TOOLS a", "-x", "+x", "%1", "'' a", "ca:t a", "cat a\0b", "cat 'a\0b'",
        "cat a\rb", "cät",
    ],
)  # fmt: skip
def test_what_is_left_to_the_shell(script):
    assert plain_command(script, ENV, OUTPUTS) is None


@pytest.mark.parametrize("value", ["a\tb", "a\nb", "*", "a?", "[a]", "a\\b", "a\vb\n", "@(a)", "{a,b}", "~", "ü"])
def test_values_that_a_shell_may_split_otherwise_or_expand(value):
    assert plain_command("cat $SRCS", {"SRCS": value}, OUTPUTS) is None
    assert plain_command('cat "$SRCS"', {"SRCS": value}, OUTPUTS) == PlainCommand(("cat", value))


@pytest.mark.parametrize("value", [" b", "b ", " b ", "a b"])
@pytest.mark.parametrize("script", ["cat x$SRCS", "cat ${SRCS}x", "cat a > $SRCS"])
def test_blanks_in_values_beside_other_text(script, value):
    assert plain_command(script, {"SRCS": value}, {"a", "b", "a b"}) is None


@pytest.mark.parametrize("name", ["BASH_FUNC_cat%%", "BASHOPTS", "SHELLOPTS", "PWD", "IFS", "PPID", "OPTIND", "SHLVL"])
def test_variables_that_shells_read_or_set(name):
    assert plain_command("cat a", {name: "noglob"}, OUTPUTS) is None


@pytest.mark.parametrize(
    "script", ["cat '$''{BLDR_ROOT}'", "cat '${BLDR_ROOT}/x'", "cat ${BLDR_ROOT}", "cat $BLDR_ROOT"]
)
def test_the_token_for_the_tree_is_left_to_the_shell(script):
    """It is replaced in the script, before a shell sees it."""
    assert plain_command(script, ENV, OUTPUTS) is None


def action_node(script, *, toolchains=(SHELLS,), path="/tools/bin:/toolchain/shell/bin", tools=()):
    outputs = (Artifact("out/o.txt", LABEL), Artifact("out/d", LABEL, is_directory=True))
    action = Action(
        argv=("sh", "-euc", script, "a"), inputs=(), outputs=outputs, mnemonic="Command",
        tools=tuple(Artifact(tool, LABEL) for tool in tools),
    )  # fmt: skip
    env = (("OUT", "out/o.txt"), ("PATH", path))
    return ActionNode(
        index=0, label=LABEL, action=action, handler="", toolchains=toolchains, env=env, permissions=Permissions(),
        deps=(),
    )  # fmt: skip


def test_what_an_action_does_instead():
    found = without_shell(action_node("cat a > $OUT"))
    assert found == PlainCommand(("cat", "a"), "out/o.txt", (("PWD", TREE_ROOT),))
    assert without_shell(action_node("cat a > out/d")) is None


@pytest.mark.parametrize(
    "how",
    [
        {"toolchains": ()},
        {"toolchains": (toolchain("python", python3="/usr/bin/python3"), toolchain("more", sh="/usr/bin/dash"))},
        {"toolchains": (toolchain("own", {"/toolchain/own/tree": "/x"}, cat="/toolchain/own/tree/cat"), SHELLS)},
        {"toolchains": (toolchain("own", {"/toolchain/own/tree": "/x"}, sh="/toolchain/own/tree/sh"), SHELLS)},
        {"toolchains": (toolchain("shell", sh="/usr/bin/busybox", cat="/usr/bin/cat"),)},
        {"tools": ("bin/cat",)},
        {"tools": ("bin/sh",)},
        {"path": "bin:/toolchain/shell/bin"},
        {"path": "/usr/bin"},
        {"path": ""},
    ],
)
def test_programs_that_may_be_for_a_shell(how):
    """Who knows what they are, or which of several it would be."""
    assert without_shell(action_node("cat a > $OUT", **how)) is None


@pytest.fixture(scope="module")
def shells(tmp_path_factory):
    """Real shells, each with a directory of its own in which nothing is but the program `show`."""
    found = []
    for name in ("dash", "bash", "busybox", "ksh", "mksh", "zsh"):
        path = shutil.which(name)
        if path:
            directory = tmp_path_factory.mktemp(name)
            (directory / "show").write_text(SHOW)
            (directory / "show").chmod(0o755)
            (directory / "out").mkdir()
            found.append(([path, "sh"] if name == "busybox" else [path], directory))
    return found


def run(shell, script, env):
    """The words that `show` is given, and what went to the output."""
    program, directory = shell
    output = directory / "out/o.txt"
    output.unlink(missing_ok=True)
    argv0 = "sh" if os.path.basename(program[0]) != "busybox" else program[0]
    ran = subprocess.run(
        [argv0, *program[1:], "-euc", script, "name"], executable=program[0], cwd=directory, check=True,
        env={**env, "PATH": str(directory)}, stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    words = (output.read_bytes() if output.exists() else ran.stdout).decode().split("\0")[:-1]
    return tuple(words), "out/o.txt" if output.exists() else ""


PIECES = (
    " ", "  ", "\t", ">", "a", "-b=c", "x:y,z", "'q r'", "''", '"s  t"', '""', "$SRCS", "${SRCS}", '"$SRCS"',
    '"${OUT}"', "$OUT", "$DEPS", '"$DEPS"', "$TOOLS", "%+@", "3", "'*'", '"?"', "1", "'$SRCS'", "$OUTS", '"#"', "ü",
    "#", "~", "{a,b}",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9), st.text("ab/. -=%@", max_size=6))
@example(["a", " ", ">", "$OUT"], "a")
@example(["a", "1", ">", "$OUT"], "a")
@example(["$DEPS", "a", "$DEPS"], "a")
@example(["a", "$SRCS", "b"], " a")
@example(["$SRCS", "$DEPS"], "")
def test_shells_agree(shells, pieces, value):
    assert shells, "there is no shell at all"
    script, env = "show " + "".join(pieces), {**ENV, "SRCS": value}
    plain = plain_command(script, env, OUTPUTS)
    if plain is not None:
        for shell in shells:
            words, stdout = run(shell, script, env)
            assert (words, stdout) == (plain.argv[1:], plain.stdout), (shell[0], script)
