"""User namespaces, joined namespaces and capabilities."""

import json
import os
import subprocess

import pytest


def capabilities(text):
    return {line.split(":")[0]: int(line.split()[1], 16) for line in text.splitlines() if line.startswith("Cap")}


def of_command(bwrap, *words):
    return capabilities(bwrap.output(*words, "cat", "/proc/self/status"))


def test_the_caller_is_the_same_inside(bwrap, host):
    assert bwrap.output(*host, "sh", "-c", "id -u; id -g").split() == [str(os.getuid()), str(os.getgid())]


@pytest.mark.parametrize("more", [[], ["--dev", "/dev"], ["--disable-userns"], ["--unshare-pid"]])
def test_another_user(bwrap, host, more):
    words = [*host, "--unshare-user", "--uid", "123", "--gid", "456", *more]
    assert bwrap.output(*words, "sh", "-c", "id -u; id -g").split() == ["123", "456"]


def test_nothing_can_be_gained(bwrap, host):
    assert bwrap.output(*host, "grep", "NoNewPrivs", "/proc/self/status").split() == ["NoNewPrivs:", "1"]


def test_an_ordinary_user_has_no_capabilities(bwrap, host, is_root):
    if is_root:
        pytest.skip("root keeps its own, which test_root_keeps_its_capabilities shows")
    for words in ((), ("--unshare-pid",), ("--unshare-user", "--uid", "0")):
        assert set(of_command(bwrap, *host, *words).values()) == {0}


def test_root_keeps_its_capabilities(bwrap, host, is_root):
    if not is_root:
        pytest.skip("needs root")
    with open("/proc/self/status") as file:
        assert of_command(bwrap, *host) == capabilities(file.read())
    assert of_command(bwrap, *host, "--cap-drop", "ALL")["CapEff"] == 0


@pytest.mark.parametrize("order", [["--cap-drop", "ALL", "--cap-add", "CAP_NET_RAW", "--cap-add", "cap_chown"]])
def test_capabilities_in_a_user_namespace(bwrap, host, order):
    found = of_command(bwrap, *host, "--unshare-user", *order)
    wanted = 1 << 13 | 1 << 0
    assert found == {"CapInh": wanted, "CapPrm": wanted, "CapEff": wanted, "CapBnd": wanted, "CapAmb": wanted}


def test_disable_userns(bwrap, host):
    assert bwrap.run(*host, "--unshare-user", "unshare", "--user", "true").returncode == 0
    for more in ([], ["--dev", "/dev"], ["--assert-userns-disabled"]):
        ran = bwrap.run(*host, "--unshare-user", "--disable-userns", *more, "unshare", "--user", "true")
        assert "No space left on device" in ran.stderr


def test_assert_userns_disabled(bwrap, host):
    ran = bwrap.run(*host, "--unshare-user", "--assert-userns-disabled", "true")
    assert (ran.returncode, ran.stderr) == (1, "bwrap: creation of new user namespaces was not disabled as requested\n")


class Inside:
    """A running sandbox, whose namespaces others join."""

    def __init__(self, bwrap, *words):
        reader, writer = os.pipe()
        self.child = bwrap.start(
            "--info-fd", writer, *words, "sh", "-c", "echo up; cat", stdin=-1, stdout=-1, pass_fds=(writer,)
        )
        os.close(writer)
        with os.fdopen(reader) as file:
            self.info = json.load(file)
        assert self.child.stdout.readline() == b"up\n"

    def namespace(self, kind):
        return os.open(f"/proc/{self.info['child-pid']}/ns/{kind}", os.O_RDONLY)

    def identity(self, kind):
        return os.readlink(f"/proc/{self.info['child-pid']}/ns/{kind}")

    def end(self):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait(60)


@pytest.fixture
def inside(bwrap, host):
    running = []

    def start(*words):
        running.append(Inside(bwrap, *host, *words))
        return running[-1]

    yield start
    for one in running:
        one.end()


def test_userns(bwrap, host, inside):
    other = inside("--unshare-user")
    fd = other.namespace("user")
    words = [*host, "--userns", fd, "readlink", "/proc/self/ns/user"]
    assert bwrap.output(*words, fds=(fd,)) == other.identity("user")
    os.close(fd)


@pytest.mark.parametrize("deeper", [False, True])
def test_pidns(bwrap, host, inside, deeper):
    other = inside("--unshare-user", "--unshare-pid")
    users, processes = other.namespace("user"), other.namespace("pid")
    words = [*host, "--userns", users, "--pidns", processes, *(["--unshare-pid"] if deeper else []), "--proc", "/proc"]
    script = "readlink /proc/self/ns/pid; exit 5"
    ran = bwrap.shell(script, *words, fds=(users, processes))
    assert ran.returncode == 5, ran.stderr
    assert (ran.stdout.strip() == other.identity("pid")) is not deeper
    os.close(users)
    os.close(processes)


def test_the_process_id_told_is_true_behind_pidns(bwrap, host, inside):
    other = inside("--unshare-user", "--unshare-pid")
    fds = other.namespace("user"), other.namespace("pid")
    reader, writer = os.pipe()
    words = [*host, "--userns", fds[0], "--pidns", fds[1], "--unshare-pid", "--info-fd", writer, "cat"]
    child = bwrap.start(*words, stdin=-1, pass_fds=(*fds, writer))
    os.close(writer)
    with os.fdopen(reader) as file:
        info = json.load(file)
    assert os.stat(f"/proc/{info['child-pid']}/ns/pid").st_ino == info["pid-namespace"]
    child.stdin.close()
    assert child.wait(60) == 0
    for fd in fds:
        os.close(fd)


def test_userns2(bwrap, host, inside):
    """The namespace of the command is a child of the one that set-up was done in."""
    outer = inside("--unshare-user", "--cap-add", "ALL")
    users = outer.namespace("user")
    deeper = bwrap.start(
        *host,
        "--userns",
        users,
        "--cap-add",
        "ALL",
        "unshare",
        "--user",
        "sh",
        "-c",
        "echo $$; readlink /proc/self/ns/user; cat",
        stdin=-1,
        stdout=-1,
        pass_fds=(users,),
    )
    pid, second = deeper.stdout.readline().strip(), deeper.stdout.readline().strip().decode()
    users2 = os.open(b"/proc/%s/ns/user" % pid, os.O_RDONLY)
    words = [*host, "--userns", users, "--userns2", users2, "readlink", "/proc/self/ns/user"]
    try:
        assert bwrap.output(*words, fds=(users, users2)) == second
    finally:
        deeper.stdin.close()
        deeper.stdout.close()
        deeper.wait(60)
        os.close(users)
        os.close(users2)


def test_a_namespace_that_is_none(bwrap, host, pipe):
    fd = pipe("")
    ran = bwrap.run(*host, "--userns", fd, "true", fds=(fd,))
    assert (ran.returncode, ran.stderr.startswith("bwrap: Joining ")) == (1, True)


def test_userns_block_fd_lets_others_map_the_users(bwrap, host, is_root):
    if not is_root:
        pytest.skip("needs root: only root maps users of others")
    block, release = os.pipe()
    info, told = os.pipe()
    words = [*host, "--unshare-user", "--userns-block-fd", block, "--info-fd", told, "cat", "/proc/self/uid_map"]
    child = bwrap.start(*words, stdout=subprocess.PIPE, pass_fds=(block, told))
    os.close(told)
    with os.fdopen(info) as file:
        pid = json.load(file)["child-pid"]
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{name}", "w") as file:
            file.write("0 0 100000")
    os.write(release, b"x")
    out, _ = child.communicate(timeout=60)
    assert (child.returncode, out.split()) == (0, [b"0", b"0", b"100000"])
    os.close(block)
    os.close(release)
