"""Workspaces and files whose names are made to be misread: every tier builds them, and no report is broken by them."""

import errno
import json
import os
import pty
import select
import subprocess
import sys
import xml.etree.ElementTree

import pytest

WORKSPACE = 'w "q\'" \\back (paren) $HOME `id` *?[a] #; {x} %s -- new\nline \x1b[31mred\x1b]0;title\x07 ☃😀é'
PRINTABLE = 's "q\'" \\b (p) $H `id` #; {x} %s ☃😀é'
PACKAGE = "p+=,@~#.d"
LONG = "x" * 90
FILES = {
    "Builderfile": """
        [target.copy]
        type = "command"
        sources = ["data/*"]
        outputs = ["copied"]
        command = ["cp", "$SRCS", "$OUTS"]

        [target.many]
        type = "command"
        sources = ["many/*"]
        outputs = ["many.txt"]
        command = '''cat many/* > $OUT'''

        [target.listed]
        type = "command"
        sources = ["many/*"]
        outputs = ["gen/"]
        command = ["cp", "-t", "gen", "$SRCS"]

        [target.hello]
        type = "executable"
        language = "c"
        sources = ["src/*.c"]
    """,
    f"{PACKAGE}/Builderfile": """
        [target.unit]
        type = "test"
        language = "c"
        sources = ["*.c"]
    """,
    f"{PACKAGE}/{PRINTABLE}.c": "int main(void) { return 1; }\n",
    f"data/{PRINTABLE}": "content\n",
    f"src/{PRINTABLE}.c": '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n',
    **{f"many/{number}-{LONG}": f"{number}\n" for number in range(720)},
}
NAMES_BYTES = sum(len(name) for name in FILES if name.startswith("many/"))
NO_LANDLOCK = [(number, errno.ENOSYS) for number in (444, 445, 446)]
COLOURED, TITLED = "\x1b[31mred", "\x1b]0;title"


@pytest.fixture(params=["linux", "landlock", "plain"])
def bldr(request, inside):
    """A function that runs bldr in the ugly workspace, in one tier."""
    it = inside(FILES, denied=NO_LANDLOCK if request.param == "plain" else ())
    it.project.root = it.project.root.rename(it.project.root.with_name(WORKSPACE))

    def run(*args, **more):
        if request.param != "linux":
            return it.bldr(*args, **more)
        command = it.project.command(*args, **more)
        return subprocess.run(command, cwd=it.project.root, env=it.project.env(), capture_output=True, text=True)

    run.project, run.tier = it.project, request.param
    if run.tier == "linux" and run("doctor").returncode:
        pytest.skip("there is no sandbox of namespaces here")
    return run


def harmless(ran):
    """What was printed, which must do nothing to a terminal."""
    text = ran.stdout + ran.stderr
    assert "\x1b" not in text, repr(text)
    assert "\x07" not in text, repr(text)
    return text


def test_they_are_built_and_every_report_is_whole(bldr, tmp_path):
    assert NAMES_BYTES > 65536
    gen = ["//:copy", "//:many", "//:hello"]
    done = bldr("build", *gen, events=tmp_path / "events")
    assert done.returncode == 0, done
    assert (f'the sandbox "{bldr.tier}" does not give' in harmless(done)) == (bldr.tier != "linux")
    out = bldr.project.out
    assert out("copied").read_text() == "content\n"
    assert sorted(map(int, out("many.txt").read_text().split())) == list(range(720))
    assert subprocess.check_output([out("hello")], text=True) == "hello\n"
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert events[0]["root"] == str(bldr.project.root)
    assert events[-1]["success"]
    assert f"Compiling src/{PRINTABLE}.c as C" in {event.get("message") for event in events}
    assert "done: 0 ran" in harmless(bldr("build", *gen))

    (entry,) = json.loads(bldr("log", "--format", "json", "//:copy").stdout)
    assert f"data/{PRINTABLE}" in entry["command"]
    assert "# //:copy Command: ok" in harmless(bldr("log", "//:copy"))
    (bldr.project.root / "data" / PRINTABLE).write_text("other\n")
    assert f"must run: data/{PRINTABLE} changed\n" in harmless(bldr("explain", "//:copy"))
    (part,) = json.loads(bldr("explain", "--format", "json", "//:copy").stdout)
    assert part["lines"] == [f"must run: data/{PRINTABLE} changed"]
    harmless(bldr("doctor"))

    failed = bldr("test", "--junit", str(tmp_path / "junit.xml"), f"//{PACKAGE}:unit")
    assert failed.returncode == 3, failed
    assert f"//{PACKAGE}:unit" in harmless(failed)
    (case,) = xml.etree.ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    assert PACKAGE in case.get("classname") + case.get("name")


@pytest.mark.parametrize("words", [
    ("build", "-C", "{root}/nowhere"), ("build", "--cache-dir", "{root}/Builderfile/x"),
    ("build", "--events", "{root}/nowhere/x"), ("build", "//:\x1b[31mred"), ("build", "--\x1b[31mred"),
    ("log", "//:\x1b[31mred"), ("query", "//:\x1b[31mred +"), ("\x1b[31mred",), ("init", "\x1b[31mred"),
    ("exec", "--input", "/\x1b[31mred", "--", "true"), ("build", "--config", "\x1b[31mred"),
    ("-C", "{root}/nowhere", "build"), ("-C", "{root}", "doctor", "--cache-dir", "{root}/cache"),
], ids=lambda words: " ".join(words).encode("ascii", "replace").decode().replace("\x1b", "ESC"))  # fmt: skip
def test_messages_about_them_do_nothing_to_a_terminal(tmp_path, words):
    root = tmp_path / WORKSPACE
    root.mkdir()
    (root / "Builderfile").write_text('[workspace]\nname = "w"\n')
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    env |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "bldr", *(word.format(root=root) if "{root}" in word else word for word in words)]
    ran = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    text = harmless(ran)
    assert "red" in text, text
    assert "new\nline" not in text, text


MADE = {
    "Builderfile": """
        [target.dangling]
        type = "command"
        outputs = ["dangling/"]
        command = '''mkdir -p $OUT; ln -s /etc/passwd "$OUT/$(printf 'a\\033[31mb\\nhint: c')"'''

        [target.other]
        type = "command"
        outputs = ["other"]
        command = '''echo > "$(printf 'a\\033[31mb\\nhint: c')"'''

        [target.listed]
        type = "command"
        sources = ["in"]
        outputs = ["listed/"]
        command = '''mkdir -p $OUT; cp in "$OUT/$(printf 'a\\033[31mb\\nhint: c')"'''

        [target.uses]
        type = "command"
        sources = [":listed"]
        outputs = ["uses"]
        command = '''cat listed/* > $OUT'''
    """,
    "in": "1\n",
}


def test_names_that_actions_make_stay_in_their_line(project):
    it = project(MADE)
    ran = it.bldr("build", "-k", "//...")
    assert ran.exit_code == 1, ran
    assert 'the output "dangling/a\\x1b[31mb\\nhint: c" is a link to' in ran.stderr
    assert 'hint: it made "a\\x1b[31mb\\nhint: c" instead\n' in ran.stderr
    assert "\x1b" not in ran.stderr
    assert it.out("uses").read_text() == "1\n"
    it.write({"in": "2\n"})
    assert it.bldr("build", "//:listed").exit_code == 0
    explained = it.bldr("explain", "//:uses")
    assert explained.stdout.splitlines()[1] == "  must run: listed/a\\x1b[31mb\\nhint: c changed", explained


def test_a_terminal_shows_them_and_obeys_none(project):
    it = project(MADE)
    it.root = it.root.rename(it.root.with_name(WORKSPACE))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(it.root)
        command = it.command("build", "-k", "-v", "//...")
        os.execve(command[0], command, it.env(TERM="xterm-256color", COLUMNS="300"))
    text = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            text += os.read(terminal, 65536)
        except OSError:  # it is closed
            break
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    shown = text.decode()
    assert 'it made "a\\x1b[31mb\\nhint: c" instead' in shown
    assert COLOURED not in shown
    assert TITLED not in shown
    assert "a\x1b[31mb" not in shown
