"""A fresh checkout of what another one has built gets the same, without a look at what nothing there differs in."""

import os
import shutil
import subprocess
import time

import pytest


class Checkout:
    """A copy of the project's workspace, with nothing built in it, that shares the cache."""

    def __init__(self, project, name):
        self.project = project
        self.root = project.top / name
        shutil.copytree(project.root, self.root, symlinks=True, ignore=shutil.ignore_patterns("bldr-out"))

    def build(self, *words, **more):
        return self.project.bldr("build", *words, "//...", cwd=self.root, **more)

    def test(self, **more):
        return self.project.bldr("test", "//...", cwd=self.root, **more)

    def outputs(self):
        return outputs(self.root)


def outputs(root):
    """Everything below `bldr-out`: contents and modes, links, directories."""
    found = {}
    for directory, inside, names in os.walk(root / "bldr-out"):
        for name in (*inside, *names):
            path = os.path.join(directory, name)
            key = os.path.relpath(path, root)
            if os.path.islink(path):
                found[key] = os.readlink(path)
            elif os.path.isdir(path):
                found[key] = "directory"
            else:
                with open(path, "rb") as file:
                    found[key] = (file.read(), os.fstat(file.fileno()).st_mode)
    return found


@pytest.fixture
def built(project):
    project.write("deep/Builderfile", """
[target.program]
type = "command"
sources = ["program.sh"]
outputs = ["bin/program"]
command = "cp $SRCS $OUT; chmod 755 $OUT"
""")  # fmt: skip
    project.write("deep/program.sh", "#!/bin/sh\necho hello\n")
    project.until_quick()
    return project


def test_another_checkout_is_answered_by_contents(built):
    other = Checkout(built, "other")
    ran = other.build()
    assert ran.exit_code == 0, ran
    assert ran.quick, ran
    assert ran.counts == "done: 0 ran, 3 cached"
    assert other.outputs() == outputs(built.root)
    assert other.outputs()["bldr-out/sub/more/link"] == "x"
    assert other.outputs()["bldr-out/sub/more/empty"] == "directory"


def test_it_is_a_workspace_like_any_other_from_then_on(built):
    other = Checkout(built, "other")
    built.settle()
    assert other.build().quick
    null = other.build()
    assert null.quick
    assert "bldr.snapshot.checkout" not in null.modules, "the null build has a snapshot of its own"
    (other.root / "two.txt").write_text("changed\n")
    edited = other.build()
    assert edited.edited, edited
    assert edited.counts == "done: 1 ran, 2 cached"
    assert (other.root / "bldr-out" / "two.out").read_text().startswith("changed\n")
    assert (built.root / "bldr-out" / "two.out").read_text().startswith("two\n")
    assert built.build().quick


def test_an_edit_before_the_outputs_went_is_not_taken_for_one_after(built):
    """What differed from a snapshot is not believed of the next one at the same place, which has the same twin."""
    built.settle()
    built.write("two.txt", "changed\n")
    assert built.build().edited
    built.write("two.txt", "two\n")
    built.settle()
    shutil.rmtree(built.root / "bldr-out")
    assert built.build().quick
    built.write("two.txt", "changed\n")
    ran = built.build()
    assert ran.exit_code == 0, ran
    assert (built.root / "bldr-out" / "two.out").read_text().startswith("changed\n")


def test_outputs_that_were_cleaned_come_back(built):
    before = outputs(built.root)
    assert built.bldr("clean").exit_code == 0
    ran = built.build()
    assert ran.quick, ran
    assert outputs(built.root) == before


def test_tests_are_answered_as_well(built):
    built.settle()
    built.until_quick("test", "//...")
    other = Checkout(built, "other")
    ran, whole = other.test(), Checkout(built, "whole").test(BLDR_SNAPSHOT="off")
    assert ran.quick, ran
    assert (ran.exit_code, ran.counts) == (whole.exit_code, whole.counts)


def damage(path, text):
    """Change a blob's content behind the store's back, and hide it."""
    status = os.stat(path)
    path.chmod(0o600)
    path.write_bytes(text)
    path.chmod(0o444)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def blob_of(project, content):
    for path in (project.cache / "v1" / "blobs").glob("*/*"):
        if path.suffix != ".x" and path.read_bytes() == content:
            return path
    raise AssertionError(content)


DIFFERENCES = {
    "a source": lambda root: (root / "two.txt").write_text("owt\n"),
    "a source is executable": lambda root: (root / "two.txt").chmod(0o755),
    "a source more": lambda root: (root / "src" / "c.txt").write_text("c\n"),
    "a source less": lambda root: (root / "src" / "b.txt").unlink(),
    "a Builderfile": lambda root: (root / "deep" / "Builderfile").write_text(
        (root / "deep" / "Builderfile").read_text().replace("755", "555")
    ),
    "another package": lambda root: (root / "src" / "Builderfile").write_text(""),
    "a link for a directory": lambda root: ((root / "src").rename(root / "real"), (root / "src").symlink_to("real")),
    "an output is in the way": lambda root: (root / "bldr-out").mkdir() or (root / "bldr-out" / "x").write_text(""),
}


_QUICK_ENOUGH = ("a source", "a source is executable", "a source more", "a link for a directory")


@pytest.mark.parametrize(
    "difference", [pytest.param(name, marks=() if name in _QUICK_ENOUGH else pytest.mark.full) for name in DIFFERENCES]
)
def test_what_differs_is_left_to_the_whole_build(built, difference):
    other, whole = Checkout(built, "other"), Checkout(built, "whole")
    for checkout in (other, whole):
        DIFFERENCES[difference](checkout.root)
    cache = built.top / "another cache"  # what is warm is every test's
    subprocess.run(["cp", "-a", built.warm, cache], check=True)
    ran, expected = other.build(), whole.build(BLDR_SNAPSHOT="off", BLDR_CACHE_DIR=str(cache))
    assert not ran.quick
    assert ran.exit_code == expected.exit_code, ran
    assert other.outputs() == whole.outputs()


def test_damage_in_the_cache_is_mended_and_nothing_of_it_written(built):
    damage(blob_of(built, b"a\nb\n"), b"b\na\n")
    other = Checkout(built, "other")
    ran = other.build()
    assert ran.exit_code == 6, ran
    assert "was damaged and has been removed" in ran.stderr
    assert b"b\na\n" not in {found[0] for found in other.outputs().values()}
    assert other.build().exit_code == 0
    assert other.outputs() == outputs(built.root)


def test_a_collection_of_garbage_takes_it(built):
    assert built.bldr("gc", "--max-size", "1").exit_code == 0
    ran = Checkout(built, "other").build()
    assert ran.exit_code == 0, ran
    assert not ran.quick


def test_another_toolchain_or_environment_has_no_part_in_it(built):
    ran = Checkout(built, "other").build(GREETING="good evening")
    assert not ran.quick
    assert "good evening" in (built.top / "other" / "bldr-out" / "two.out").read_text()


def test_two_at_once_in_one_checkout_come_to_the_same(built):
    other = Checkout(built, "other")
    running = []
    for _ in range(3):
        argv, _modules = built.argv("build", "//...")
        running.append(subprocess.Popen(argv, cwd=other.root, env=built.env(), stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert other.outputs() == outputs(built.root)


@pytest.mark.full
def test_what_a_killed_build_left_is_no_matter(built):
    """Whenever it is killed, nothing half stands in the place of an output, and the next build is a good one."""
    expected = outputs(built.root)
    for delay_s in (0.04, 0.08, 0.12):
        other = Checkout(built, f"other-{delay_s}")
        argv, _modules = built.argv("build", "//...")
        process = subprocess.Popen(argv, cwd=other.root, env=built.env(), stderr=subprocess.DEVNULL)
        time.sleep(delay_s)
        process.kill()
        process.wait()
        for name, content in other.outputs().items():
            if ".bldr-work" not in name and ".lock" not in name:
                assert content == expected[name]
        assert other.build().exit_code == 0
        assert other.outputs() == expected
