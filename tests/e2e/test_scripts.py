"""Scripts that are one plain command are run without a shell, and nobody can tell from what comes of it."""

import textwrap

import pytest

from bldr.session import BuildRequest, Session
from bldr_linux.client import LinuxLauncher


def command(name, script, more=""):
    return f"""
    [target.{name}]
    type = "command"
    sources = ["words.txt"]
    outputs = ["{name}.txt"]
    command = '''{script}'''
    {more}
    """


@pytest.fixture
def launches(monkeypatch):
    """What is launched, by the first output of the action."""
    found = {}
    start = LinuxLauncher.start

    def recorded(launcher, launch):
        found[launch.spec.outputs[0].path] = (launch.argv, launch.into)
        start(launcher, launch)

    monkeypatch.setattr(LinuxLauncher, "start", recorded)
    return found


def build(project):
    request = BuildRequest(
        patterns=("//...",), directory=str(project.root), cache_dir=str(project.cache), isolation="require"
    )
    with Session(request) as session:
        return session.build()


def test_what_needs_no_shell_is_started_without_one(project, launches):
    it = project(
        {
            "Builderfile": command("plain", "tr a-z A-Z < $SRCS > $OUT")
            + command("upper", "sed 's/o/0/g' $SRCS > $OUT")
            + command("copied", "cp $SRCS $OUT")
            + command("piped", "cat $SRCS | sort > $OUT"),
            "words.txt": "two words\n",
        }
    )
    assert build(it).exit_code == 0
    assert launches["/build/upper.txt"] == (("sed", "s/o/0/g", "words.txt"), "upper.txt")
    assert launches["/build/copied.txt"] == (("cp", "words.txt", "copied.txt"), "")
    assert [launches[f"/build/{name}.txt"][0][0] for name in ("plain", "piped")] == ["sh", "sh"]
    made = {name: it.out(f"{name}.txt").read_text() for name in ("plain", "upper", "copied", "piped")}
    assert made == {"plain": "TWO WORDS\n", "upper": "tw0 w0rds\n", "copied": "two words\n", "piped": "two words\n"}


def test_a_tool_that_is_called_sh_is_no_shell(project, launches):
    it = project(
        {
            "Builderfile": """
            [target.sh]
            type = "command"
            outputs = ["bin/sh"]
            command = "printf '#!/bin/dash\\necho not a shell > made.txt\\n' > $OUT; chmod +x $OUT"
            executable = true
            """
            + command("made", "sed s/a/b/ $SRCS > $OUT", 'tools = [":sh"]'),
            "words.txt": "two words\n",
        }
    )
    build(it)
    assert launches["/build/made.txt"][0][0] == "sh"


WORLD = ("printenv", "readlink -f .", "id -u", "ls -A", "cat /proc/self/limits", "stat -c %a .")


def test_a_command_sees_what_it_sees_below_a_shell(project):
    """`:;` is all that sets the second of each pair apart. The order of variables and what shells add of their own to
    them is nobody's concern."""
    pairs = "".join(
        command(f"a{number}", f"{script} > $OUT") + command(f"b{number}", f":; {script} > $OUT")
        for number, script in enumerate(WORLD)
    )
    it = project({"Builderfile": pairs, "words.txt": "two words\n"})
    ran = it.build("//...")
    assert ran.exit_code == 0, ran
    for number, script in enumerate(WORLD):
        texts = [it.out(f"{letter}{number}.txt").read_text() for letter in "ab"]
        one, other = (
            sorted(line.replace(f"b{number}.txt", f"a{number}.txt") for line in text.splitlines() if not _is_own(line))
            for text in texts
        )
        assert one == other, script
        assert one


def _is_own(line):
    return line.startswith(("_=", "SHLVL=", "OLDPWD="))


ENDS = {
    "missing": "no-such-program $SRCS > $OUT",
    "failing": "ls no-such-file > $OUT",
    "killed": "env sh -c 'kill -9 $$' > $OUT",
}


def test_how_it_ends_is_told_the_same_way(project):
    pairs = "".join(
        command(f"a-{name}", script.replace("'", '"')) + command(f"b-{name}", f":; {script}".replace("'", '"'))
        for name, script in ENDS.items()
    ).replace("$$", "\\$\\$")
    it = project({"Builderfile": pairs, "words.txt": "two words\n"})
    ran = it.build("--keep-going", "//...")
    assert ran.exit_code == 1, ran
    events = {event["label"]: event for event in ran.of("action_finished")}
    for name, code in (("missing", 127), ("failing", 2), ("killed", 137)):
        assert [events[f"//:{letter}-{name}"]["exit_code"] for letter in "ab"] == [code, code], name
        assert not it.out(f"a-{name}.txt").exists()
    assert ran.stderr.count("ls: cannot access 'no-such-file'") == 2
    assert ran.stderr.count("no-such-program: not found") == 2


TOOLS = r"""
[target.gen]
type = "command"
outputs = ["gen"]
command = "printf 'echo made \"$@\"\\n' > $OUT; chmod +x $OUT"
executable = true

[target.sort]
type = "command"
outputs = ["sort"]
command = "printf '#!/no/such/interpreter\\n' > $OUT; chmod +x $OUT"
executable = true
"""


def test_programs_that_only_a_shell_runs(project):
    """Without `#!`, or with an interpreter that is not there while another program has the name, too."""
    made = command("made", "gen of it > $OUT", 'tools = [":gen"]')
    sorted_ = command("sorted", "sort $SRCS > $OUT", 'tools = [":sort"]')
    it = project({"Builderfile": TOOLS + textwrap.dedent(made + sorted_), "words.txt": "b\na\n"})
    ran = it.build("//...")
    assert ran.exit_code == 0, ran
    assert it.out("made.txt").read_text() == "made of it\n"
    assert it.out("sorted.txt").read_text() == "a\nb\n"


def test_a_path_of_ones_own(project):
    """What stands in it may be a script without `#!`."""
    own = 'data = ["bin/cat"]\n    env = { PATH = "bin:/toolchain/shell/bin" }'
    files = {"Builderfile": command("made", "cat $SRCS > $OUT", own), "words.txt": "", "bin/cat": "echo own\n"}
    it = project(files)
    (it.root / "bin/cat").chmod(0o755)
    ran = it.build("//...")
    assert ran.exit_code == 0, ran
    assert it.out("made.txt").read_text() == "own\n"


def test_a_variable_that_shells_set(project):
    """Whoever sets one gets what a shell makes of it; in `bldr shell`, too."""
    it = project({"Builderfile": command("made", "printenv PWD > $OUT", 'env = { PWD = "/x" }'), "words.txt": ""})
    assert it.build("//...").exit_code == 0
    assert it.out("made.txt").read_text() == "/build\n"
    ran = it.bldr("shell", "//:made", stdin="printenv PWD\n")
    assert (ran.exit_code, ran.stdout) == (0, "/build\n"), ran
