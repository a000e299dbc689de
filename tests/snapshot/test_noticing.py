"""A null build notices every kind of change; whatever it says is what the whole build would have said."""

import os
import shutil
import subprocess
import sys
import time

import pytest


def assert_noticed(project, *words, **more):
    """The whole build runs, and leaves everything as a build without snapshots does."""
    ran = project.bldr(*words, **more) if words else project.build(**more)
    assert not ran.quick, ran
    return ran


def test_says_what_the_whole_build_says(project):
    quick = project.until_quick()
    whole = project.build(BLDR_SNAPSHOT="off")
    assert not whole.quick
    assert (quick.counts, quick.stdout, quick.exit_code) == (whole.counts, whole.stdout, whole.exit_code)
    assert quick.counts == "done: 0 ran, 2 cached"


def test_imports_nothing_of_the_engine(project):
    modules = project.until_quick().modules
    light = {"bldr", "bldr.cli", "bldr.cli.main", "bldr.load", "bldr.load.names"}
    loaded = {name for name in modules if name.split(".")[0] == "bldr"} - light
    assert {name.split(".")[1] for name in loaded} <= {"snapshot", "watch"}, loaded
    assert not loaded & {"bldr.snapshot.write", "bldr.snapshot.actions", "bldr.snapshot.edited"}
    heavy = {"argparse", "msgspec", "sqlite3", "pluggy", "dataclasses", "importlib.metadata", "asyncio", "typing"}
    listed = [sys.executable, "-P", "-c", "import sys; print(*sys.modules)"]
    bare = subprocess.run(listed, env=project.env(), capture_output=True, text=True, check=True).stdout.split()
    assert not (modules & heavy).difference(bare)


def test_the_first_build_of_a_workspace_leaves_a_snapshot(project):
    """Although it has just made `bldr-out`, which makes the root too new for a signature."""
    project.settle()
    assert project.build().exit_code == 0
    assert project.build().quick
    project.write("new.txt", "")
    assert_noticed(project)


def test_a_root_that_was_changed_during_the_first_build(project):
    """What the loader saw counts, not what was there when the snapshot was written."""
    project.write(
        "Builderfile", project.read("Builderfile").replace('sources = ["two.txt"]', 'sources = ["t*.txt"]', 1)
    )
    project.write("src/slow.txt", "slow\n")
    project.write("Builderfile", project.read("Builderfile").replace("cat $SRCS >", "sleep 1; cat $SRCS >"))
    project.settle()
    argv, _ = project.argv("build", "//...")
    process = subprocess.Popen(argv, cwd=project.root, env=project.env(), stderr=subprocess.DEVNULL)
    for _ in range(600):
        if (project.root / "bldr-out").exists():
            break
        time.sleep(0.01)
    time.sleep(0.5)
    project.write("three.txt", "three\n")
    assert process.wait(timeout=60) == 0
    assert project.build().exit_code == 0
    assert "three" in project.read("bldr-out/two.out")


def test_quiet_says_nothing(project):
    quick = project.until_quick("build", "-q", "//...")
    assert (quick.stdout, quick.stderr) == ("", "")


def test_tests_are_told_as_the_whole_build_tells_them(project):
    quick = project.until_quick("test", "//...")
    whole = project.bldr("test", "//...", BLDR_SNAPSHOT="off")
    assert (quick.stdout, quick.counts) == (whole.stdout, whole.counts)
    assert "//:check (cached) PASSED in " in quick.stdout


@pytest.mark.parametrize("words", [("-v",), ("--format", "json"), ("--events", "events.jsonl")])
def test_what_cannot_be_foretold_is_not(project, words):
    project.until_quick()
    for _ in range(2):
        project.settle()
        assert not project.build(*words).quick


# Sources


def test_same_size_and_time_restored(project):
    project.until_quick()
    path = project.root / "two.txt"
    before = path.stat()
    path.write_text("TWO\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project.build().counts == "done: 1 ran, 1 cached"
    assert project.read("bldr-out/two.out").startswith("TWO")


def test_edited_at_once_after_a_build(project):
    """Within the granularity of the clock a signature says nothing."""
    project.until_quick()
    path = project.root / "two.txt"
    for number in range(8):
        path.write_text(f"two {number}\n")
        assert project.build().exit_code == 0
        path.write_text(f"TWO {number}\n")
        assert project.build().exit_code == 0
        assert project.read("bldr-out/two.out").startswith(f"TWO {number}")


def test_a_new_file_that_a_pattern_matches(project):
    project.until_quick()
    project.write("src/c.txt", "c\n")
    assert_noticed(project)
    assert project.read("bldr-out/one.out") == "a\nb\nc\n"


def test_a_removed_file(project):
    project.until_quick()
    (project.root / "src/b.txt").unlink()
    assert_noticed(project)
    assert project.read("bldr-out/one.out") == "a\n"


def test_a_removed_source_that_is_named(project):
    project.until_quick()
    (project.root / "two.txt").unlink()
    assert assert_noticed(project).exit_code == 2


def test_an_execute_bit(project):
    project.until_quick()
    (project.root / "two.txt").chmod(0o755)
    ran = project.build()
    assert ran.counts == "done: 1 ran, 1 cached", ran


def test_replaced_by_a_link(project):
    project.until_quick()
    path = project.root / "src/b.txt"
    path.unlink()
    path.symlink_to("a.txt")
    assert_noticed(project)
    assert project.read("bldr-out/one.out") == "a\na\n"


def test_a_directory_replaced_by_a_link_to_itself(project):
    project.until_quick()
    os.rename(project.root / "src", project.top / "src")
    (project.root / "src").symlink_to(project.top / "src")
    assert assert_noticed(project).exit_code == 2


def test_a_builderfile(project):
    project.until_quick()
    project.write("Builderfile", project.read("Builderfile").replace("cat $SRCS one.out", "cat one.out $SRCS"))
    assert assert_noticed(project).counts == "done: 1 ran, 1 cached"


def test_a_new_package(project):
    project.until_quick()
    project.write("src/deeper/Builderfile", '[target.x]\ntype = "command"\noutputs = ["x"]\ncommand = "echo > $OUT"\n')
    assert assert_noticed(project).counts == "done: 1 ran, 2 cached"


def test_a_source_where_an_output_belongs(project):
    project.until_quick()
    project.write("sub/other", "")
    project.write("sub/more/x", "")
    whole = project.build(BLDR_SNAPSHOT="off")
    ran = assert_noticed(project)
    assert (ran.exit_code, ran.stderr.splitlines()[0]) == (whole.exit_code, whole.stderr.splitlines()[0])


def test_a_workspace_that_begins_nearer(project):
    inner = project.root / ".hidden"
    inner.mkdir()
    project.until_quick("build", "//...", cwd=inner)
    (inner / "Builderfile").write_text('[workspace]\nname = "inner"\n')
    assert not project.bldr("build", "//...", cwd=inner).quick


def test_unrelated_files_do_not_matter(project):
    """A directory that lists the same names again is the same; one that is never entered may change as it likes."""
    project.until_quick()
    project.write("two.txt~", "")
    (project.root / "two.txt~").unlink()
    project.write(".git/index", "x")
    shutil.rmtree(project.root / ".git")
    assert project.build().quick


# Outputs


def test_an_output_that_was_deleted(project):
    project.until_quick()
    (project.root / "bldr-out/two.out").unlink()
    assert assert_noticed(project).counts == "done: 0 ran, 2 cached"
    assert project.read("bldr-out/two.out").startswith("two")


def test_an_output_that_was_edited(project):
    project.until_quick()
    path = project.root / "bldr-out/two.out"
    before = path.stat()
    text = path.read_text()
    path.write_text(text.replace("two", "TWO"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert_noticed(project)
    assert path.read_text() == text


def test_an_output_replaced_by_a_link_to_the_same(project):
    project.until_quick()
    path = project.root / "bldr-out/two.out"
    path.rename(project.top / "moved")
    path.symlink_to(project.top / "moved")
    assert_noticed(project)
    assert not path.is_symlink()


def test_an_output_directory_replaced_by_a_link_to_itself(project):
    project.until_quick()
    path = project.root / "bldr-out/sub"
    path.rename(project.top / "sub")
    path.symlink_to(project.top / "sub")
    assert_noticed(project)
    assert not path.is_symlink()


def test_a_file_added_to_an_output_directory(project):
    project.until_quick()
    project.write("bldr-out/sub/more/stranger", "")
    assert_noticed(project)
    assert not (project.root / "bldr-out/sub/more/stranger").exists()


def test_an_empty_directory_removed_from_an_output(project):
    project.until_quick()
    (project.root / "bldr-out/sub/more/empty").rmdir()
    assert_noticed(project)
    assert (project.root / "bldr-out/sub/more/empty").is_dir()


def test_a_link_among_outputs_that_leads_elsewhere(project):
    project.until_quick()
    link = project.root / "bldr-out/sub/more/link"
    link.unlink()
    link.symlink_to("y")
    assert_noticed(project)
    assert os.readlink(link) == "x"


def test_all_outputs_removed(project):
    """The build is proven as that of a fresh checkout is, and all outputs are written again."""
    before = project.until_quick()
    two = project.read("bldr-out/two.out")
    assert project.bldr("clean").exit_code == 0
    assert not (project.root / "bldr-out/two.out").exists()
    assert project.build().counts == before.counts
    assert project.read("bldr-out/two.out") == two
    assert os.readlink(project.root / "bldr-out/sub/more/link") == "x"


# What is asked, and where


def test_other_variables(project):
    project.until_quick()
    ran = assert_noticed(project, GREETING="good evening")
    assert ran.counts == "done: 1 ran, 1 cached"
    assert_noticed(project, NEW="1")


def test_a_variable_of_the_shell_that_a_target_inherits(project):
    project.until_quick()
    assert_noticed(project, SHLVL="2")
    assert "hello 2" in project.read("bldr-out/two.out")


def test_a_variable_of_the_shell_that_nobody_inherits(project):
    project.until_quick()
    assert project.build(OLDPWD="/elsewhere", _="/usr/bin/env").quick


def test_other_words(project):
    project.until_quick()
    assert_noticed(project, "build", "-k", "//...")
    assert_noticed(project, "build", "//:one")
    assert_noticed(project, "test", "//...")


def test_another_directory(project):
    project.until_quick()
    assert_noticed(project, cwd=project.root / "src")


def test_another_workspace_in_the_same_place(project):
    project.until_quick()
    project.root.rename(project.top / "before")
    shutil.copytree(project.top / "before", project.root, symlinks=True)
    assert_noticed(project)


def test_options_that_move(project):
    project.until_quick()
    for _ in range(2):
        ran = project.bldr("build", "-C", str(project.root), "//...", cwd=project.top)
        assert ran.exit_code == 0
        assert not ran.quick
    project.until_quick("-C", str(project.root), "build", "//...", cwd=project.top)
