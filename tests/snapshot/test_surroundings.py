"""A null build notices every change of the machine and of the cache, and bears others at work."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import time

import pytest

from bldr.snapshot import check
from bldr.snapshot.request import request_key


def assert_noticed(project, **more):
    """The whole build runs."""
    ran = project.build(**more)
    assert not ran.quick, ran
    return ran


# The machine


def test_a_toolchain(project):
    tools = project.top / "tools"
    tools.mkdir()
    # what stands below the home is no part of the machine, and not looked at
    elsewhere = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(project.top / "home")}
    project.until_quick(**elsewhere)
    shutil.copy(shutil.which("cat"), tools / "cat")
    assert_noticed(project, **elsewhere)


def installed_plugin(tmp_path, code):
    """A distribution with one plugin: its folder, and the search path on which it is found."""
    site = tmp_path / "site"
    info = site / "stranger-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bldr]\nstranger = stranger\n")
    (site / "stranger.py").write_text(code)
    return site, os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])


def test_a_new_plugin(project, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    search = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    project.until_quick(PYTHONPATH=search)
    (site / "stranger.py").write_text("")
    info = site / "stranger-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    assert_noticed(project, PYTHONPATH=search)
    project.until_quick(PYTHONPATH=search)
    (info / "entry_points.txt").write_text("[bldr]\nstranger = stranger\n")
    assert_noticed(project, PYTHONPATH=search)


def test_a_plugin_that_changed(project, tmp_path):
    site, search = installed_plugin(tmp_path, "answer = 1\n")
    project.until_quick(PYTHONPATH=search)
    (site / "stranger.py").write_text("answer = 2\n")
    assert_noticed(project, PYTHONPATH=search)


LATE = """
from bldr.api import Analysis, TargetAttributes, hook

class Handler:
    name = "late"
    serves = (("late", None),)
    semantics_version = 1
    def attributes(self, type): return TargetAttributes
    def analyze(self, attributes, context):
        from stranger_analysis import PROVIDES
        return Analysis((), PROVIDES)

@hook
def bldr_handlers(): return [Handler]
"""


def test_a_module_of_a_plugin_that_was_imported_by_the_analysis_alone(project, tmp_path):
    site, search = installed_plugin(tmp_path, LATE)
    module = site / "stranger_analysis.py"
    module.write_text("from bldr.api import Files\nPROVIDES = (Files(()),)\n")
    with open(project.root / "Builderfile", "a") as builderfile:
        builderfile.write('\n[target.late]\ntype = "late"\n')
    project.until_quick(PYTHONPATH=search)
    module.write_text(module.read_text() + "# another one\n")
    assert_noticed(project, PYTHONPATH=search)


def test_a_plugin_that_warns_at_every_build(project, tmp_path):
    _, search = installed_plugin(tmp_path, "raise RuntimeError('broken')\n")
    for _ in range(3):
        project.settle()
        assert "broken" in assert_noticed(project, PYTHONPATH=search).stderr


# The cache


def test_a_cache_that_is_gone(project):
    project.until_quick()
    shutil.rmtree(project.cache)
    assert assert_noticed(project).counts == "done: 2 ran, 0 cached"


@pytest.mark.parametrize("lost", ["blobs", "store-1.sqlite"])
def test_half_a_cache_that_is_gone(project, lost):
    project.until_quick()
    path = project.cache / "v1" / lost
    path.rename(project.top / "lost")
    assert_noticed(project)


def test_a_cache_that_was_collected(project):
    project.until_quick()
    assert project.bldr("gc", "--max-size", "1").exit_code == 0
    assert assert_noticed(project).counts == "done: 2 ran, 0 cached"


@pytest.mark.parametrize("damage", ["torn", "one bit", "empty", "foreign words"])
def test_a_damaged_snapshot(project, damage):
    project.until_quick()
    (snapshot,) = project.snapshots()
    data = bytearray(snapshot.read_bytes())
    if damage == "one bit":
        data[len(data) // 2] ^= 1
    snapshot.write_bytes({"torn": data[: len(data) // 2], "empty": b"", "foreign words": b"x" * 500}.get(damage, data))
    assert_noticed(project)
    project.until_quick()


def test_every_beginning_of_a_snapshot_is_refused(project):
    from bldr.snapshot import files

    project.until_quick()
    (snapshot,) = project.snapshots()
    data = snapshot.read_bytes()
    assert files.read(str(snapshot), str(project.cache)) is not None
    for size in range(0, len(data), max(1, len(data) // 200)):
        snapshot.write_bytes(data[:size])
        assert files.read(str(snapshot), str(project.cache)) is None


def test_a_snapshot_of_another_day(project):
    from bldr.snapshot import files

    project.until_quick()
    (path,) = project.snapshots()
    snapshot = files.read(str(path), str(project.cache))
    for hours, believed in ((1, True), (25, False), (-1, False)):
        head = {**snapshot.head, "written_ns": time.time_ns() - hours * 3600 * 10**9}
        files.write(str(path), head, [bytes(part) for part in snapshot.parts])
        assert project.build().quick == believed, hours


@pytest.mark.parametrize("way", ["link", "writable by others", "open cache"])
def test_what_others_could_have_written_is_not_believed(project, way):
    from bldr.snapshot import files

    project.until_quick()
    (path,) = project.snapshots()
    if way == "link":
        path.rename(project.top / "moved")
        path.symlink_to(project.top / "moved")
    elif way == "writable by others":
        path.chmod(0o666)
    else:
        project.cache.chmod(0o755)
    assert files.read(str(path), str(project.cache)) is None


@pytest.mark.root
def test_what_others_own_is_not_believed(project):
    from bldr.snapshot import files

    project.until_quick()
    (path,) = project.snapshots()
    os.chown(path, 1234, 1234)
    assert files.read(str(path), str(project.cache)) is None
    os.chown(project.cache, 1234, 1234)
    assert files.read(str(path), str(project.cache)) is not None, "root uses somebody's cache"


# Others at work


def test_a_build_that_holds_the_workspace(project):
    project.until_quick()
    with open(project.root / "bldr-out/.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        argv, modules = project.argv("build", "//...")
        waiting = subprocess.Popen(argv, cwd=project.root, env=project.env(), stderr=subprocess.PIPE, text=True)
        assert waiting.stderr.readline() == "warning: another bldr is at work in this workspace: waiting for it\n"
        assert waiting.stderr.readline() == "hint: its process is the holder of bldr-out/.lock\n"
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert "done: 0 ran, 2 cached" in waiting.communicate(timeout=60)[1]
    assert waiting.returncode == 0
    assert "bldr.execute.building" not in modules.read_text().split(), "what the other has built is looked at first"


@pytest.fixture
def looker(project):
    """Somebody who looks whether all is as it was, and lets nobody build meanwhile."""
    project.until_quick()
    with open(project.root / "bldr-out/.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock


def test_who_only_looks_waits_for_nobody_who_does(project, looker):
    assert project.build().quick


def test_an_edit_waits_for_who_looks_and_then_looks_again(project, looker):
    project.write("src/a.txt", "edited\n")
    argv, modules = project.argv("build", "//...")
    waiting = subprocess.Popen(argv, cwd=project.root, env=project.env(), stderr=subprocess.PIPE, text=True)
    assert waiting.stderr.readline() == "warning: another bldr is at work in this workspace: waiting for it\n"
    project.write("src/b.txt", "edited meanwhile\n")
    fcntl.flock(looker, fcntl.LOCK_UN)
    assert "done: 2 ran, 0 cached" in waiting.communicate(timeout=60)[1]
    assert "bldr.session" not in modules.read_text().split()
    assert project.read("bldr-out/one.out") == "edited\nedited meanwhile\n"


def test_edits_at_once_do_not_keep_each_other_from_building(project):
    for turn in range(3):
        project.until_quick()
        project.write("src/a.txt", f"edit {turn}\n")
        running = [
            subprocess.Popen(
                project.argv("build", "-q", "//...")[0], cwd=project.root, env=project.env(), stderr=subprocess.PIPE
            )
            for _ in range(4)
        ]
        for process in running:
            assert process.communicate(timeout=60)[1] in (b"", _WAITED)
            assert process.returncode == 0
        assert project.read("bldr-out/one.out") == f"edit {turn}\nb\n"


_WAITED = (
    b"warning: another bldr is at work in this workspace: waiting for it\n"
    b"hint: its process is the holder of bldr-out/.lock\n"
)


def test_a_workspace_that_cannot_be_locked_is_left_to_the_whole_build(project, monkeypatch):
    project.until_quick()

    def flock(descriptor, operation):
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", flock)
    before = os.listdir("/proc/self/fd")
    assert check.hold_workspace(str(project.root), alone=True) is None
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_who_cannot_wait_hears_why_from_the_whole_build(project):
    project.until_quick()
    elsewhere = project.top / "elsewhere"
    (project.root / "bldr-out").rename(elsewhere)
    (project.root / "bldr-out").symlink_to(elsewhere)
    with open(elsewhere / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = project.build()
    assert built.exit_code == 2
    assert "is a link" in built.stderr


def test_who_waited_leaves_a_snapshot_all_the_same(project):
    """Of two builds at once, the second hears that it has to wait: no warning that others must get, too."""
    (project.root / "bldr-out").mkdir()
    with open(project.root / "bldr-out/.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        argv, _ = project.argv("build", "//...")
        waiting = subprocess.Popen(argv, cwd=project.root, env=project.env(), stderr=subprocess.PIPE, text=True)
        assert "waiting" in waiting.stderr.readline()
        project.settle()
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert "done: 2 ran" in waiting.communicate(timeout=60)[1]
    assert project.snapshots()


def test_two_at_once(project):
    project.until_quick()
    running = [
        subprocess.Popen(project.argv("build", "//...")[0], cwd=project.root, env=project.env(), stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    for process in running:
        assert b"done: 0 ran, 2 cached" in process.communicate(timeout=60)[1]
        assert process.returncode == 0


def test_killed_at_any_instant(project):
    """Whatever is left behind, the next build is right."""
    for number in range(12):
        project.write("two.txt", f"two {number}\n")
        argv, _ = project.argv("build", "//...")
        process = subprocess.Popen(argv, cwd=project.root, env=project.env(), stderr=subprocess.DEVNULL)
        time.sleep(0.05 * number)
        process.kill()
        process.wait()
        assert project.build().exit_code == 0
        assert project.read("bldr-out/two.out").startswith(f"two {number}\n")


def test_a_failed_build_leaves_no_snapshot(project):
    project.until_quick()
    project.write("Builderfile", project.read("Builderfile").replace("cat $SRCS one.out", "exit 3; cat"))
    for _ in range(2):
        project.settle()
        assert assert_noticed(project).exit_code == 1


def test_a_large_workspace_is_checked_by_two_processes(project):
    """Also where what differs is in the half of the second."""
    from bldr.snapshot import check

    tables = ['[workspace]\nname = "large"\n']
    for number in range(check.WORTH_A_PROCESS // 2 // 50):
        tables.append(f'[target.t{number}]\ntype = "command"\nsources = ["d{number}/*"]\noutputs = ["t{number}/"]\n'
                      f"command = 'mkdir $BLDR_ROOT/t{number}; cp $SRCS $BLDR_ROOT/t{number}'\n")  # fmt: skip
        for name in range(60):
            project.write(f"d{number}/f{name}", f"{number} {name}\n")
    project.write("Builderfile", "\n".join(tables))
    quick = project.until_quick()
    assert quick.counts == "done: 0 ran, 40 cached"
    for path in ("bldr-out/t0/f0", "bldr-out/t39/f59"):
        (project.root / path).write_text("x")
        assert_noticed(project)
        assert project.read(path) != "x"
        project.until_quick()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_nobody_reads_what_there_is_to_say(project, stream):
    """The exit code is that of a whole build, which has nothing to say on standard output either."""
    project.until_quick()
    argv = [sys.executable, "-m", "bldr", "build", "//..."]
    for switch in ({}, {"BLDR_SNAPSHOT": "off"}):
        with open("/dev/full", "w") as full:
            streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: full}
            ended = subprocess.run(argv, cwd=project.root, env=project.env(**switch), timeout=120, **streams)
        assert ended.returncode == 0, switch


def test_a_cache_in_the_workspace_is_no_part_of_it(project):
    """As CI systems want it that keep only what is below the checkout."""
    cache = project.root / "cache"
    assert project.build(BLDR_CACHE_DIR=str(cache)).counts == "done: 2 ran, 0 cached"
    assert (cache / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    project.until_quick(BLDR_CACHE_DIR=str(cache))
    found = project.bldr("query", "//...", BLDR_CACHE_DIR=str(cache)).stdout.split()
    assert found == ["//:check", "//:one", "//:two"]


@pytest.mark.parametrize("words", [("--test-env", "COLUMNS"), ("--test-env=COLUMNS",)])
def test_a_variable_of_the_shell_counts_where_a_word_names_it(words):
    """A test gets the caller's value then."""
    keys = {request_key(("test", *words, "//..."), "/", {"COLUMNS": value, "SHLVL": value}) for value in ("80", "81")}
    assert len(keys) == 2
    named_others = {
        request_key(("test", "--test-env", "A=COLUMNS1", "//..."), "/", {"COLUMNS": v}) for v in ("80", "81")
    }
    assert len(named_others) == 1
