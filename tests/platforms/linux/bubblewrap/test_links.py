"""Links planted in the way of every operation: none leads out of the new root, and those inside work."""

import hashlib
import os

import pytest


@pytest.fixture
def victim(tmp_path):
    """A host tree that nobody means to touch."""
    directory = tmp_path / "victim"
    (directory / "sub").mkdir(parents=True)
    (directory / "file").write_text("untouched\n")
    (directory / "sub" / "file").write_text("untouched\n")
    return directory


@pytest.fixture
def trap(tmp_path, victim):
    """A host tree, shown writable as the new root, whose links lead to the victim in every way there is."""
    directory = tmp_path / "trap"
    directory.mkdir()
    for name in ("usr", "lib", "lib64", "bin"):
        if os.path.islink(f"/{name}"):
            (directory / name).symlink_to(os.readlink(f"/{name}"))
        elif os.path.isdir(f"/{name}"):
            (directory / name).mkdir()
    for name, target in {
        "absolute": victim,
        "oldroot": f"/oldroot{victim}",
        "climb": f"../../../../../../../../..{victim}",
        "climb-oldroot": f"../oldroot{victim}",
        "climb-twice": f"../../oldroot{victim}",
        "magic-root": f"/proc/self/root{victim}",
        "magic-cwd": "/proc/self/cwd",
        "chain": "absolute",
        "to-file": victim / "file",
        "to-nothing": victim / "made",
    }.items():
        (directory / name).symlink_to(target)
    return directory


LINKS = [
    "absolute",
    "oldroot",
    "climb",
    "climb-oldroot",
    "climb-twice",
    "magic-root",
    "magic-cwd",
    "chain",
    "to-file",
    "to-nothing",
]
OPERATIONS = {
    "dir": ["--dir", "{}"],
    "perms-dir": ["--perms", "0777", "--dir", "{}"],
    "file": ["--file", "FD", "{}"],
    "bind-data": ["--bind-data", "FD", "{}"],
    "ro-bind-data": ["--ro-bind-data", "FD", "{}"],
    "bind": ["--bind", "/etc", "{}"],
    "ro-bind": ["--ro-bind", "/etc", "{}"],
    "dev-bind": ["--dev-bind", "/dev", "{}"],
    "bind-file": ["--bind", "/etc/passwd", "{}"],
    "tmpfs": ["--tmpfs", "{}"],
    "proc": ["--proc", "{}"],
    "dev": ["--dev", "{}"],
    "mqueue": ["--mqueue", "{}"],
    "symlink": ["--symlink", "planted", "{}"],
    "chmod": ["--chmod", "0777", "{}"],
    "remount-ro": ["--remount-ro", "{}"],
    "tmp-overlay": ["--overlay-src", "/etc", "--tmp-overlay", "{}"],
}


def fingerprint(directory):
    """Names, kinds, modes and content of a whole tree."""
    found = hashlib.sha256()
    for parent, names, files in os.walk(directory):
        for name in sorted([".", *names, *files]):
            path = os.path.join(parent, name)
            about = os.lstat(path)
            content = open(path, "rb").read() if os.path.isfile(path) else b""  # noqa: SIM115
            found.update(f"{path} {about.st_mode} {about.st_nlink} {about.st_uid}".encode() + content)
    return found.hexdigest()


@pytest.mark.parametrize(
    "below",
    ["/x", *(pytest.param(path, marks=pytest.mark.full) for path in ("", "/sub", "/sub/x", "/sub/file", "/../x"))],
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_link_leads_out(bwrap, trap, victim, operation, below):
    """Each of ten links; the operation may fail or be done inside the new root, but the host must be as it was."""
    before = fingerprint(victim)
    mounts = open("/proc/self/mountinfo").read()  # noqa: SIM115
    words = ["--bind", trap, "/", "--ro-bind", "/usr", "/usr", "--unshare-ipc", "--unshare-pid"]
    outcomes = []
    for link in LINKS:
        content = os.memfd_create("content")
        os.write(content, b"planted")
        os.lseek(content, 0, os.SEEK_SET)
        mine = [word.format(f"/{link}{below}").replace("FD", str(content)) for word in OPERATIONS[operation]]
        outcomes.append(bwrap.run(*words, *mine, "true", fds=(content,), cwd=victim).returncode)
        os.close(content)
    assert set(outcomes) <= {0, 1}
    assert fingerprint(victim) == before
    assert open("/proc/self/mountinfo").read() == mounts  # noqa: SIM115


def test_parents_are_not_made_outside(bwrap, trap, victim):
    before = fingerprint(victim)
    for link in LINKS:
        bwrap.run("--bind", trap, "/", "--ro-bind", "/usr", "/usr", "--dir", f"/{link}/a/b/c", "true", cwd=victim)
    assert fingerprint(victim) == before


@pytest.mark.full
def test_links_that_are_swapped_while_set_up_runs(bwrap, trap, victim, tmp_path):
    """Somebody flips a directory and a link to the victim as fast as possible."""
    import threading

    before = fingerprint(victim)
    (trap / "real").mkdir()
    done = threading.Event()

    def swap():
        spare = trap / "spare"
        while not done.is_set():
            spare.symlink_to(victim)
            os.rename(trap / "real", trap / "aside")
            os.rename(spare, trap / "real")
            os.rename(trap / "real", spare)
            os.rename(trap / "aside", trap / "real")
            spare.unlink()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(25):
            words = [
                word for number in range(40) for word in ("--dir", f"/real/a{number}", "--tmpfs", f"/real/t{number}")
            ]
            bwrap.run("--bind", trap, "/", "--ro-bind", "/usr", "/usr", *words, "true")
    finally:
        done.set()
        swapper.join()
    assert fingerprint(victim) == before


@pytest.mark.parametrize("target", ["dir", "/tmp/dir", "../tmp/dir", "../../../../tmp/dir", "other"])
def test_links_inside_the_new_root_work(bwrap, host, pipe, target):
    fd = pipe("content")
    words = [*host, "--tmpfs", "/tmp", "--dir", "/tmp/dir", "--symlink", "dir", "/tmp/other"]
    words += ["--symlink", target, "/tmp/link", "--ro-bind", "/usr", "/tmp/link/usr", "--dir", "/tmp/link/a/b"]
    words += ["--file", str(fd), "/tmp/link/file", "--symlink", "x", "/tmp/link/l", "--tmpfs", "/tmp/link/t"]
    words += ["--chmod", "0700", "/tmp/link/a"]
    script = "cat /tmp/dir/file; test -d /tmp/dir/usr/bin -a -d /tmp/dir/a/b -a -L /tmp/dir/l -a -L /tmp/link"
    assert bwrap.output(*words, "sh", "-c", f"{script} && stat -c .%a /tmp/dir/a", fds=(fd,)) == "content.700"


def test_a_destination_may_be_a_link(bwrap, host, pipe):
    fd = pipe("new")
    words = [
        *host,
        "--tmpfs",
        "/tmp",
        "--dir",
        "/tmp/dir",
        "--symlink",
        "dir",
        "/tmp/link",
        "--bind",
        "/usr",
        "/tmp/link",
    ]
    words += ["--symlink", "made", "/tmp/pointer", "--file", str(fd), "/tmp/pointer"]
    script = "test -d /tmp/dir/bin && test -L /tmp/link && cat /tmp/made"
    assert bwrap.output(*words, "sh", "-c", script, fds=(fd,)) == "new"


def test_dots_in_destinations(bwrap, host):
    words = [*host, "--tmpfs", "/tmp", "--dir", "/tmp/a/../b/./c//", "--dir", "/../../tmp/d"]
    assert bwrap.output(*words, "sh", "-c", "cd /tmp; find . -type d | sort").split() == [
        ".",
        "./a",
        "./b",
        "./b/c",
        "./d",
    ]
