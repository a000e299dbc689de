"""Every operation on files: what it makes, with which mode, in which order."""

import os
import stat
from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path):
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "file").write_text("content\n")
    (directory / "below").mkdir()
    return directory


@pytest.fixture
def empty(host):
    """The host with an empty, writable /tmp."""
    return (*host, "--tmpfs", "/tmp")


def modes(bwrap, *words):
    """The modes of the paths after the options, which end with "--paths"."""
    split = words.index("--paths")
    paths = words[split + 1 :]
    return bwrap.output(*words[:split], "stat", "-c", "%a", *paths).split()


def test_bind_shows_the_host_and_writes_to_it(bwrap, empty, source):
    bwrap.output(*empty, "--bind", source, "/tmp/x", "sh", "-c", "cat /tmp/x/file; echo new > /tmp/x/made")
    assert (source / "made").read_text() == "new\n"


@pytest.mark.parametrize("option", ["--ro-bind", "--ro-bind-try"])
def test_ro_bind_cannot_be_written(bwrap, empty, source, option):
    ran = bwrap.shell("echo new > /tmp/x/made", *empty, option, source, "/tmp/x")
    assert "Read-only file system" in ran.stderr
    assert not (source / "made").exists()


def test_bind_of_a_file_makes_its_mount_point(bwrap, empty, source):
    assert bwrap.output(*empty, "--bind", source / "file", "/tmp/a/b/file", "cat", "/tmp/a/b/file") == "content"


def test_parents_of_a_mount_are_for_the_owner_alone(bwrap, empty, source):
    assert modes(bwrap, *empty, "--bind", source, "/tmp/a/b/c", "--paths", "/tmp/a", "/tmp/a/b") == ["700", "700"]


@pytest.mark.parametrize("option", ["--bind-try", "--ro-bind-try", "--dev-bind-try"])
def test_try_passes_by_what_is_missing(bwrap, empty, option):
    assert bwrap.output(*empty, option, "/no/such/source", "/tmp/x", "ls", "/tmp") == ""


def test_try_does_not_forgive_other_failures(bwrap, empty, source):
    ran = bwrap.run(*empty, "--bind-try", source / "file" / "x", "/tmp/x", "true")
    assert (ran.returncode, ran.stderr) == (
        1,
        f"bwrap: Can't find source path {source}/file/x: Not a directory\n",
    )


def test_only_dev_bind_allows_devices(bwrap, empty):
    assert bwrap.shell("echo x > /tmp/null", *empty, "--dev-bind", "/dev/null", "/tmp/null").returncode == 0
    refused = bwrap.shell("echo x > /tmp/null", *empty, "--bind", "/dev/null", "/tmp/null")
    assert "Permission denied" in refused.stderr


def test_sources_may_be_relative_and_links(bwrap, empty, source):
    (source.parent / "link").symlink_to("source/below/../file")
    assert bwrap.output(*empty, "--ro-bind", "link", "/tmp/x", "cat", "/tmp/x") == "content"


def test_sources_are_looked_up_before_anything_is_made(bwrap, empty, source):
    ran = bwrap.run(
        *empty, "--bind", source, "/tmp/x", "--dir", "/tmp/x/later", "--bind", source / "later", "/tmp/y", "true"
    )
    assert "Can't find source path" in ran.stderr
    assert not (source / "later").exists()


def test_bind_fd(bwrap, empty, source):
    fd = os.open(source, os.O_PATH)
    try:
        words = [*empty, "--ro-bind-fd", str(fd), "/tmp/r", "cat", "/tmp/r/file"]
        assert bwrap.output(*words, fds=(fd,)) == "content"
        bwrap.output(*empty, "--bind-fd", str(fd), "/tmp/w", "touch", "/tmp/w/made", fds=(fd,))
        refused = bwrap.run(*empty, "--ro-bind-fd", str(fd), "/tmp/r", "touch", "/tmp/r/other", fds=(fd,))
    finally:
        os.close(fd)
    assert (source / "made").exists()
    assert "Read-only" in refused.stderr


def test_bind_fd_of_what_was_replaced_is_refused(bwrap, empty, source):
    fd = os.open(source, os.O_PATH)
    try:
        source.rename(source.parent / "moved")
        assert bwrap.output(*empty, "--ro-bind-fd", str(fd), "/tmp/r", "ls", "/tmp/r", fds=(fd,)).split() == [
            "below",
            "file",
        ]
        (source.parent / "moved" / "file").unlink()
        (source.parent / "moved" / "below").rmdir()
        (source.parent / "moved").rmdir()
        gone = bwrap.run(*empty, "--ro-bind-fd", str(fd), "/tmp/r", "true", fds=(fd,))
    finally:
        os.close(fd)
    assert gone.returncode == 1
    assert "(deleted)" in gone.stderr or "Can't find source path" in gone.stderr


def test_remount_ro_takes_one_mount_and_none_below(bwrap, empty):
    words = [*empty, "--tmpfs", "/tmp/in", "--remount-ro", "/tmp"]
    ran = bwrap.shell("touch /tmp/in/yes; touch /tmp/no; ls /tmp /tmp/in", *words)
    assert "touch: cannot touch '/tmp/no': Read-only file system" in ran.stderr
    assert ran.stdout.split() == ["/tmp:", "in", "/tmp/in:", "yes"]


def test_remount_ro_of_the_root(bwrap, source):
    words = [
        "--tmpfs",
        "/",
        "--ro-bind",
        "/usr",
        "/usr",
        "--symlink",
        "usr/bin",
        "/bin",
        "--symlink",
        "usr/lib",
        "/lib",
    ]
    words += ["--symlink", "usr/lib64", "/lib64", "--remount-ro", "/"]
    assert "Read-only file system" in bwrap.shell("mkdir /x", *words).stderr


def test_dir_and_its_parents(bwrap, empty):
    words = ["--dir", "/tmp/a/b", "--perms", "1750", "--dir", "/tmp/c/d", "--perms", "0705", "--dir", "/tmp/e/f"]
    paths = ["/tmp/a", "/tmp/a/b", "/tmp/c", "/tmp/c/d", "/tmp/e", "/tmp/e/f"]
    assert modes(bwrap, *empty, *words, "--paths", *paths) == ["755", "755", "750", "1750", "705", "705"]


def test_dir_leaves_what_exists(bwrap, empty):
    words = ["--perms", "0700", "--dir", "/tmp/a", "--perms", "0755", "--dir", "/tmp/a"]
    assert modes(bwrap, *empty, *words, "--paths", "/tmp/a") == ["700"]


def test_umask_does_not_count(bwrap, empty):
    before = os.umask(0o077)
    try:
        assert modes(bwrap, *empty, "--dir", "/tmp/a", "--paths", "/tmp/a") == ["755"]
        assert bwrap.output(*empty, "sh", "-c", "umask") == "0077"
    finally:
        os.umask(before)


@pytest.mark.parametrize(("option", "default"), [("--file", "666"), ("--bind-data", "600"), ("--ro-bind-data", "600")])
def test_content_from_a_descriptor(bwrap, empty, pipe, option, default):
    content = "x" * 60_000
    fd = pipe(content)
    words = [*empty, option, str(fd), "/tmp/a/file", "sh", "-c", "cat /tmp/a/file; stat -c .%a /tmp/a/file"]
    assert bwrap.output(*words, fds=(fd,)) == f"{content}.{default}"


@pytest.mark.parametrize("option", ["--file", "--bind-data", "--ro-bind-data"])
def test_content_with_a_mode(bwrap, empty, pipe, option):
    fd = pipe("x")
    assert (
        bwrap.output(*empty, "--perms", "0640", option, str(fd), "/tmp/f", "stat", "-c", "%a", "/tmp/f", fds=(fd,))
        == "640"
    )


def test_only_ro_bind_data_is_read_only(bwrap, empty, pipe, is_root):
    first, second = pipe("x"), pipe("x")
    words = [*empty, "--bind-data", str(first), "/tmp/w", "--ro-bind-data", str(second), "/tmp/r"]
    ran = bwrap.shell("echo y > /tmp/w; echo y > /tmp/r; cat /tmp/w", *words, fds=(first, second))
    assert ran.stdout == "y\n"
    assert "/tmp/r: Read-only file system" in ran.stderr


def test_file_replaces_what_is_there(bwrap, empty, pipe):
    first, second = pipe("first"), pipe("2")
    words = [*empty, "--file", str(first), "/tmp/f", "--file", str(second), "/tmp/f", "cat", "/tmp/f"]
    assert bwrap.output(*words, fds=(first, second)) == "2"


def test_symlink(bwrap, empty):
    words = [*empty, "--symlink", "../no where", "/tmp/a/link", "--symlink", "../no where", "/tmp/a/link"]
    assert bwrap.output(*words, "readlink", "/tmp/a/link") == "../no where"


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (["--symlink", "other", "/tmp/l"], "existing destination is other"),
        (["--dir", "/tmp/l"], "destination exists and is not a symlink"),
    ],
)
def test_symlink_over_something_else(bwrap, empty, before, reason):
    ran = bwrap.run(*empty, *before, "--symlink", "mine", "/tmp/l", "true")
    assert (ran.returncode, ran.stderr) == (1, f"bwrap: Can't make symlink at /tmp/l: {reason}\n")


def test_chmod(bwrap, empty):
    assert modes(bwrap, *empty, "--dir", "/tmp/a", "--chmod", "1751", "/tmp/a", "--paths", "/tmp/a") == ["1751"]
    missing = bwrap.run(*empty, "--chmod", "0700", "/tmp/none", "true")
    assert missing.stderr == "bwrap: Can't chmod 0700 /tmp/none: No such file or directory\n"


def test_tmpfs_has_mode_and_size(bwrap, empty):
    assert modes(
        bwrap, *empty, "--perms", "1777", "--tmpfs", "/tmp/a", "--tmpfs", "/tmp/b", "--paths", "/tmp/a", "/tmp/b"
    ) == ["1777", "755"]
    full = bwrap.shell(
        "head -c 9000 /dev/zero > /tmp/a/x", *empty, "--dev-bind", "/dev", "/dev", "--size", "8192", "--tmpfs", "/tmp/a"
    )
    assert "No space left on device" in full.stderr


def test_mqueue(bwrap, empty):
    assert bwrap.output(*empty, "--unshare-ipc", "--mqueue", "/tmp/q", "stat", "-f", "-c", "%T", "/tmp/q") in (
        "mqueue",
        "UNKNOWN (0x19800202)",
    )


def test_proc_of_the_new_namespace(bwrap, host):
    assert bwrap.output(*host, "--unshare-pid", "--as-pid-1", "--proc", "/proc", "readlink", "/proc/self") == "1"


def test_proc_of_the_host(bwrap, host):
    assert (
        bwrap.output(*host, "--proc", "/proc", "cat", f"/proc/{os.getpid()}/comm")
        == Path("/proc/self/comm").read_text().strip()
    )


def test_the_dangerous_places_in_proc_are_covered(bwrap, host):
    script = "for name in sys sysrq-trigger irq bus; do test -w /proc/$name && echo $name; done; true"
    for words in ((), ("--unshare-pid",), ("--unshare-pid", "--unshare-user")):
        assert bwrap.output(*host, *words, "--proc", "/proc", "sh", "-c", script) == ""


def test_dev_has_exactly_this(bwrap, host):
    listing = "for f in /dev/*; do echo $(stat -c '%n %F %t:%T' $f) $(readlink $f); done"
    found = bwrap.shell(listing, *host, "--dev", "/dev").stdout.splitlines()
    nodes = {"full": "1:7", "null": "1:3", "random": "1:8", "tty": "5:0", "urandom": "1:9", "zero": "1:5"}
    links = {"core": "/proc/kcore", "fd": "/proc/self/fd", "ptmx": "pts/ptmx"}
    links |= {name: f"/proc/self/fd/{number}" for number, name in enumerate(("stdin", "stdout", "stderr"))}
    expected = [f"/dev/{name} character special file {number}" for name, number in nodes.items()]
    expected += [f"/dev/{name} symbolic link 0:0 {target}" for name, target in links.items()]
    expected += ["/dev/pts directory 0:0", "/dev/shm directory 0:0"]
    assert sorted(found) == sorted(expected)


def test_a_terminal_becomes_the_console(bwrap, host):
    controller, terminal = os.openpty()
    try:
        child = bwrap.start(
            *host,
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "sh",
            "-c",
            "stat -c %t:%T /dev/console; tty <&1",
            stdout=terminal,
        )
        assert child.wait(60) == 0
        shown = os.read(controller, 4096).decode().split()
        number = os.stat(os.ttyname(terminal)).st_rdev
    finally:
        os.close(controller)
        os.close(terminal)
    assert shown == [f"{os.major(number):x}:{os.minor(number):x}", "/dev/console"]


def overlay(tmp_path):
    for name in ("low", "high", "upper", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "low" / "both").write_text("low")
    (tmp_path / "low" / "one").write_text("one")
    (tmp_path / "high" / "both").write_text("high")
    return ["--overlay-src", tmp_path / "low", "--overlay-src", tmp_path / "high"]


def test_overlay_writes_to_its_directory(bwrap, empty, tmp_path):
    words = [*empty, *overlay(tmp_path), "--overlay", tmp_path / "upper", tmp_path / "work", "/tmp/o"]
    assert bwrap.output(*words, "sh", "-c", "cat /tmp/o/both /tmp/o/one; echo new > /tmp/o/new") == "highone"
    assert (tmp_path / "upper" / "new").read_text() == "new\n"


def test_tmp_overlay_writes_nowhere(bwrap, empty, tmp_path):
    words = overlay(tmp_path)
    twice = [*empty, *words, "--tmp-overlay", "/tmp/o", *words, "--tmp-overlay", "/tmp/p"]
    script = "echo new > /tmp/o/both; cat /tmp/o/both /tmp/p/both"
    assert bwrap.output(*twice, "sh", "-c", script) == "new\nhigh"
    assert (tmp_path / "high" / "both").read_text() == "high"


def test_ro_overlay_is_read_only(bwrap, empty, tmp_path):
    words = [*empty, *overlay(tmp_path), "--ro-overlay", "/tmp/o"]
    assert bwrap.output(*words, "cat", "/tmp/o/both") == "high"
    assert "Read-only file system" in bwrap.shell("echo new > /tmp/o/new", *words).stderr


def test_overlay_of_awkward_names(bwrap, empty, tmp_path):
    awkward = tmp_path / "a:b,c\\d"
    awkward.mkdir()
    (awkward / "file").write_text("found")
    words = [*empty, "--overlay-src", awkward, "--tmp-overlay", "/tmp/o"]
    assert bwrap.output(*words, "cat", "/tmp/o/file") == "found"


def test_the_new_root_is_a_tree_of_its_own(bwrap):
    words = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"]
    words += ["--symlink", "usr/lib64", "/lib64", "--dir", "/a/b"]
    assert bwrap.output(*words, "ls", "/").split() == ["a", "bin", "lib", "lib64", "usr"]


def test_nothing_of_the_host_is_left_behind(bwrap, host, tmp_path):
    before = Path("/proc/self/mountinfo").read_text()
    bwrap.output("--bind", "/", "/", "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc", "true")
    assert Path("/proc/self/mountinfo").read_text() == before


def test_many_operations_need_few_descriptors(bwrap, empty, source):
    words = [word for number in range(600) for word in ("--ro-bind", source / "file", f"/tmp/f{number}")]
    script = 'ulimit -n 64; exec "$@"'
    ran = bwrap.__class__("/bin/sh", bwrap.directory).run(
        "-c", script, "sh", bwrap.path, *empty, *words, "sh", "-c", "ls /tmp | wc -l"
    )
    assert ran.stdout.strip() == "600", ran.stderr


def test_a_mount_point_keeps_its_kind(bwrap, empty, source):
    over_file = bwrap.run(*empty, "--bind", source / "file", "/tmp/f", "--bind", source, "/tmp/f", "true")
    assert over_file.stderr == "bwrap: Can't mkdir /tmp/f: Not a directory\n"
    over_directory = bwrap.run(*empty, "--dir", "/tmp/d", "--bind", source / "file", "/tmp/d", "true")
    assert over_directory.stderr == "bwrap: Can't create file at /tmp/d: Is a directory\n"
    assert stat.S_ISREG((source / "file").stat().st_mode)
