"""`bldr watch` as a person has it: real processes, real events, builds counted by what they say."""

import os
import shutil
import signal
import subprocess
import time

import pytest

BUILDERFILE = """
    [target.joined]
    type = "command"
    sources = ["a.txt", "parts/**/*.in"]
    outputs = ["joined.txt"]
    command = "cat $SRCS > $OUT"
"""
FILES = {"Builderfile": BUILDERFILE, "a.txt": "a\n", "parts/one.in": "one\n"}


def text(project):
    path = project.out("joined.txt")
    return path.read_text() if path.exists() else ""


def test_a_change_is_built(watch, until):
    project, watcher = watch(FILES)
    assert text(project) == "a\none\n"
    project.write({"a.txt": "b\n"})
    until(lambda: text(project) == "b\none\n" and watcher.waits)
    assert "changed: a.txt\n" in watcher.said
    assert watcher.end() == 8
    assert watcher.said.endswith("interrupted\n")


def test_a_file_that_an_editor_replaces_and_one_that_a_pattern_finds(watch, until):
    project, _ = watch(FILES)
    (project.root / ".a.txt.new").write_text("edited\n")
    (project.root / ".a.txt.new").replace(project.root / "a.txt")
    until(lambda: text(project) == "edited\none\n")
    project.write({"parts/new/deep/two.in": "two\n"})
    until(lambda: text(project) == "edited\ntwo\none\n")
    project.write({"parts/new/deep/two.in": "2\n"})
    until(lambda: text(project) == "edited\n2\none\n")
    shutil.rmtree(project.root / "parts/new")
    until(lambda: text(project) == "edited\none\n")


def test_what_no_build_depends_on_is_no_reason(watch, until):
    project, watcher = watch(FILES)
    builds = watcher.builds
    project.write({"bldr-out/mine.txt": "mine", ".git/index": "x", "parts/.one.in.swp": "an editor's own"})
    project.write({"a.txt": "b\n"})
    until(lambda: text(project) == "b\none\n" and watcher.waits)
    assert watcher.builds == builds + 1
    assert "swp" not in watcher.said


def test_a_link_leads_to_what_changes(watch, until, project):
    sources = BUILDERFILE.replace('"a.txt"', '"link/file.txt", "alias"')
    made = project({**FILES, "real/file.txt": "real\n", "Builderfile": sources})
    (made.root / "link").symlink_to("real")
    (made.root / "alias").symlink_to("a.txt")
    watch(made)
    assert text(made) == "real\na\none\n"
    made.write({"real/file.txt": "other\n"})
    until(lambda: text(made) == "other\na\none\n")
    made.write({"a.txt": "b\n"})
    until(lambda: text(made) == "other\nb\none\n")


def test_a_broken_builderfile_is_shown_and_mended(watch, until):
    project, watcher = watch(FILES)
    whole = project.read("Builderfile")
    (project.root / "Builderfile").write_text(whole + "[broken\n")
    until(lambda: "not valid TOML" in watcher.said and watcher.waits)
    (project.root / "Builderfile").write_text(whole.replace("cat $SRCS", "cat $SRCS $SRCS"))
    until(lambda: text(project) == "a\none\na\none\n")


def test_a_workspace_that_is_broken_from_the_start(watch, until, project):
    made = project(FILES)
    whole = made.read("Builderfile")
    (made.root / "Builderfile").write_text("[broken\n")
    made, watcher = watch(made)
    assert "not valid TOML" in watcher.said
    (made.root / "Builderfile").write_text(whole)
    until(lambda: text(made) == "a\none\n")


def test_a_failing_action_is_mended(watch, until):
    files = {**FILES, "Builderfile": BUILDERFILE.replace("cat $SRCS", "grep -q good a.txt && cat $SRCS")}
    project, watcher = watch(files)
    assert "FAILED" in watcher.said
    project.write({"a.txt": "good\n"})
    until(lambda: text(project) == "good\none\n")


def test_what_changes_during_a_build_is_built_afterwards(watch, until):
    files = {**FILES, "Builderfile": BUILDERFILE.replace("cat $SRCS", "cat a.txt >/dev/null; sleep 2; cat $SRCS")}
    project, watcher = watch(files)
    project.write({"a.txt": "second\n"})
    until(lambda: "changed: a.txt" in watcher.said)
    time.sleep(0.5)  # the build has begun, and may or may not have read it
    project.write({"a.txt": "third\n"})
    until(lambda: text(project) == "third\none\n" and watcher.waits)


def test_git_changes_thousands_of_files_at_once(watch, until, project):
    """As one change: a build or two, not thousands."""
    made = project(FILES)

    def git(*words):
        identity = ("-c", "user.name=x", "-c", "user.email=x", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *identity, *words], cwd=made.root, check=True, capture_output=True, env=made.env())

    made.write({f"parts/d{number % 100}/{number}.in": f"{number}\n" for number in range(5000)})
    made.write({".gitignore": "bldr-out\n"})
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "many")
    many = len(FILES["a.txt"]) + sum(path.stat().st_size for path in (made.root / "parts").rglob("*.in"))
    git("checkout", "-qb", "few")
    git("rm", "-rq", "parts/d*")
    git("commit", "-qm", "few")
    made, watcher = watch(made)
    builds = watcher.builds
    git("checkout", "-q", "main")
    until(lambda: len(text(made)) == many and watcher.waits)
    assert 1 <= watcher.builds - builds <= 3
    git("checkout", "-q", "few")
    until(lambda: text(made) == "a\none\n" and watcher.waits)


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_workspace_that_goes_and_returns(watch, until, project, how):
    made, watcher = watch(FILES)
    away = made.root.with_name("away")
    if how == "removed":
        shutil.copytree(made.root, away)
        shutil.rmtree(made.root)
    else:
        made.root.rename(away)
    until(lambda: "is gone" in watcher.said)
    (away / "a.txt").write_text("returned\n")
    away.rename(made.root)
    until(lambda: text(made) == "returned\none\n" and watcher.waits)
    made.write({"parts/one.in": "and watched\n"})
    until(lambda: text(made) == "returned\nand watched\n")


def test_a_builder_that_is_killed_is_replaced(watch, until):
    project, watcher = watch(FILES)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(watcher.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)
    project.write({"a.txt": "b\n"})
    until(lambda: text(project) == "b\none\n" or "ended unexpectedly" in watcher.said)
    project.write({"a.txt": "c\n"})
    until(lambda: text(project) == "c\none\n")


def test_nothing_is_left_of_a_watcher_that_is_killed(watch, until):
    files = {**FILES, "Builderfile": BUILDERFILE.replace("cat $SRCS", "test -e stop || cat $SRCS; sleep 1")}
    _, watcher = watch(files)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(watcher.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert children
    watcher.end(signal.SIGKILL)
    until(lambda: not any(os.path.exists(f"/proc/{child}") for child in children))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_at_once_also_during_a_build(watch, until, number):
    files = {**FILES, "Builderfile": BUILDERFILE.replace("cat $SRCS", "grep -q wait a.txt && sleep 600; cat $SRCS")}
    project, watcher = watch(files)
    project.write({"a.txt": "wait\n"})
    until(lambda: "changed: a.txt" in watcher.said)
    time.sleep(1)
    assert watcher.end(number) == 8
    assert watcher.said.endswith("interrupted\n")


def test_tests_are_watched_too(watch, until):
    builderfile = """
        [target.unit]
        type = "test"
        language = "c"
        sources = ["unit.c"]
    """
    project, watcher = watch({"Builderfile": builderfile, "unit.c": "int main(void) { return 0; }\n"}, "test", "//...")
    assert "passed" in watcher.said
    project.write({"unit.c": "int main(void) { return 1; }\n"})
    until(lambda: "FAILED" in watcher.said and watcher.waits)


def test_polling(watch, until):
    project, _ = watch(FILES, "--poll", "//...")
    project.write({"a.txt": "polled\n"})
    os.utime(project.root / "a.txt", (4_000_000_000, 4_000_000_000))
    until(lambda: text(project) == "polled\none\n")


def test_mistakes_on_the_command_line_are_said_at_once(project):
    made = project(FILES)
    ran = subprocess.run(
        made.command("watch", "--junit", "x.xml"), cwd=made.root, env=made.env(), capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert "bldr build" in ran.stderr
