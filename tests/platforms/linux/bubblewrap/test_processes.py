"""The processes around the command: pid 1, the monitor, sessions, locks, and who dies with whom."""

import fcntl
import os
import signal
import time

import pytest


def wait_until(condition, patience_s=60):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def alive(word, *, also_the_program=False):
    """Process ids whose command line holds a word that only this test uses; not the stand-in's, which has it too."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if word.encode() in words and (also_the_program or not any(b"bwrap" in other for other in words)):
                found.append(int(name))
    return found


@pytest.fixture
def word(request):
    """A word that only this test's processes have."""
    return f"{os.getpid()}{abs(hash(request.node.name)) % 10**6}"


def test_pid_1_reaps_and_the_command_is_2(bwrap, host):
    script = "echo $$; (sleep 0.05 &) ; sleep 0.3; ps -e -o stat= | grep -c Z; true"
    assert bwrap.output(*host, "--unshare-pid", "--proc", "/proc", "--dev", "/dev", "sh", "-c", script).split() == [
        "2",
        "0",
    ]


def test_as_pid_1(bwrap, host):
    assert bwrap.output(*host, "--unshare-pid", "--as-pid-1", "sh", "-c", "echo $$") == "1"


def test_what_the_command_leaves_behind_outlives_it_in_pid_1(bwrap, host):
    """Output comes until the last process is gone, but the exit status is the command's."""
    ran = bwrap.shell("(sleep 0.3; echo later) & exit 7", *host, "--unshare-pid", "--dev", "/dev")
    assert (ran.returncode, ran.stdout) == (7, "later\n")


def test_argv0(bwrap, host):
    assert bwrap.output(*host, "--argv0", "other", "sh", "-c", "echo $0") == "other"
    assert bwrap.output(*host, "--argv0", "", "sh", "-c", "echo .$0.") == ".."


def test_a_script_without_interpreter_line_runs_in_the_shell(bwrap, host, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo ran $1\n")
    script.chmod(0o755)
    assert bwrap.output(*host, script, "this") == "ran this"


def test_the_command_is_looked_up_in_the_new_path(bwrap, host, tmp_path):
    script = tmp_path / "unheard-of"
    script.write_text("#!/bin/sh\necho found\n")
    script.chmod(0o755)
    assert bwrap.output(*host, "--setenv", "PATH", f"/nowhere:{tmp_path}", "unheard-of") == "found"


def test_new_session(bwrap, host):
    assert bwrap.output(*host, "--new-session", "sh", "-c", "test $(ps -o sid= -p $$) = $$ && echo leader") == "leader"


def test_working_directory(bwrap, host, tmp_path):
    assert bwrap.output(*host, "sh", "-c", "echo $PWD; pwd -P") == f"{tmp_path}\n{tmp_path}"
    assert bwrap.output(*host, "--chdir", "/usr/bin", "sh", "-c", "echo $PWD; pwd -P").startswith("/usr/bin\n")
    elsewhere = (*host, "--tmpfs", "/tmp")
    if str(tmp_path).startswith("/tmp/"):
        assert bwrap.output(*elsewhere, "--setenv", "HOME", "/usr", "sh", "-c", "echo $PWD") == "/usr"
        assert bwrap.output(*elsewhere, "--setenv", "HOME", "/nowhere", "sh", "-c", "echo $PWD") == "/"


def test_the_logical_name_of_the_working_directory_is_kept(bwrap, host, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    environment = bwrap.environment() | {"PWD": f"{tmp_path}/link"}
    assert bwrap.output(*host, "sh", "-c", "echo $PWD", cwd=tmp_path / "link", env=environment) == f"{tmp_path}/link"
    lie = bwrap.environment() | {"PWD": "/usr"}
    assert bwrap.output(*host, "sh", "-c", "echo $PWD", cwd=tmp_path / "link", env=lie) == f"{tmp_path}/real"


@pytest.mark.parametrize("words", [[], ["--unshare-pid"]])
def test_die_with_parent(bwrap, host, words, word):
    script = f"{bwrap.path} {' '.join(host)} {' '.join(words)} --die-with-parent sleep {word} & wait"
    shell = bwrap.__class__("/bin/sh", bwrap.directory).start("-c", script)
    try:
        wait_until(lambda: alive(word))
    finally:
        shell.kill()
        shell.wait()
    wait_until(lambda: not alive(word))


@pytest.mark.parametrize(
    "words",
    [
        ["--die-with-parent"],
        ["--die-with-parent", "--unshare-pid"],
        ["--die-with-parent", "--lock-file", "/etc/passwd"],
    ],
)
def test_killing_the_monitor_ends_everything(bwrap, host, words, word):
    monitor = bwrap.start(*host, *words, "sleep", word)
    try:
        wait_until(lambda: alive(word))
    finally:
        monitor.kill()
        monitor.wait()
    wait_until(lambda: not alive(word))


@pytest.mark.full
@pytest.mark.parametrize("words", [[], ["--unshare-all"], ["--lock-file", "/etc/passwd"]])
def test_killing_the_monitor_at_any_moment_ends_everything(bwrap, host, words, word):
    """Also in between: before the process inside exists, while it builds, just before the command starts."""
    for instant in range(60):
        monitor = bwrap.start(*host, "--dev", "/dev", "--die-with-parent", *words, "sleep", word)
        time.sleep(instant / 600)
        monitor.kill()
        monitor.wait()
    wait_until(lambda: not alive(word, also_the_program=True))


def test_killing_pid_1_ends_everything(bwrap, host, word):
    reader, writer = os.pipe()
    monitor = bwrap.start(*host, "--unshare-pid", "--json-status-fd", writer, "sleep", word, pass_fds=(writer,))
    os.close(writer)
    try:
        wait_until(lambda: alive(word))
        inside = int(os.read(reader, 4096).decode().split('"child-pid": ')[1].split(",")[0])
        os.kill(inside, signal.SIGKILL)
        assert monitor.wait(60) == 137
    finally:
        monitor.kill()
        monitor.wait()
        os.close(reader)
    wait_until(lambda: not alive(word))


def test_a_monitor_killed_while_it_waits_for_users_leaves_nobody(bwrap, host, word):
    """The process inside waits to be told to go on, and must notice that nobody will."""
    block, release = os.pipe()
    info, info_out = os.pipe()
    words = ["--unshare-user", "--userns-block-fd", block, "--info-fd", info_out]
    monitor = bwrap.start(*host, *words, "sleep", word, pass_fds=(block, info_out))
    os.close(info_out)
    try:
        text = b""
        while b"}" not in text:
            text += os.read(info, 4096)
        inside = int(text.split(b'"child-pid": ')[1].split(b",")[0])
    finally:
        monitor.kill()
        monitor.wait()
    wait_until(lambda: not os.path.exists(f"/proc/{inside}") or b"Z" in stat_of(inside))
    assert not alive(word)
    for fd in (block, release, info):
        os.close(fd)


def stat_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0]
    except OSError:
        return b"Z"


def locked(path):
    with open(path, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def test_lock_files_are_locked_while_anything_runs(bwrap, host, tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    for path in (first, second):
        path.write_bytes(b"")
    child = bwrap.start(*host, "--lock-file", first, "--lock-file", second, "cat", stdin=-1)
    try:
        wait_until(lambda: locked(first) and locked(second))
        other = bwrap.run(*host, "--lock-file", first, "true")
        assert other.returncode == 0  # shared
    finally:
        child.stdin.close()
        child.wait(60)
    wait_until(lambda: not locked(first) and not locked(second))


def test_a_lock_that_another_holds(bwrap, host, tmp_path):
    path = tmp_path / "lock"
    with open(path, "wb") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        ran = bwrap.run(*host, "--lock-file", path, "sleep", "0")
    assert f"bwrap: Unable to lock file {path}: " in ran.stderr


def test_sync_fd_is_open_while_anything_runs_but_not_in_the_command(bwrap, host):
    reader, writer = os.pipe()
    child = bwrap.start(
        *host,
        "--unshare-pid",
        "--proc",
        "/proc",
        "--sync-fd",
        writer,
        "sh",
        "-c",
        f"test -e /proc/self/fd/{writer}; echo $?; sleep 0.2",
        pass_fds=(writer,),
        stdout=-1,
    )
    os.close(writer)
    assert child.stdout.read() == b"1\n"
    assert os.read(reader, 1) == b""
    os.close(reader)
    child.stdout.close()
    assert child.wait(60) == 0


def test_block_fd_holds_the_command_back(bwrap, host, tmp_path):
    reader, writer = os.pipe()
    child = bwrap.start(
        *host, "--bind", tmp_path, tmp_path, "--block-fd", reader, "touch", tmp_path / "ran", pass_fds=(reader,)
    )
    time.sleep(0.3)
    assert not (tmp_path / "ran").exists()
    os.write(writer, b"x")
    assert child.wait(60) == 0
    assert (tmp_path / "ran").exists()
    os.close(reader)
    os.close(writer)


def test_signals_have_their_defaults_in_the_command(bwrap, host):
    _, blocked, _, ignored = bwrap.output(*host, "grep", "-E", "SigIgn|SigBlk", "/proc/self/status").split()
    # Two signals above these are glibc's own, and stay as whoever started us had them.
    assert [int(mask, 16) & 0x7FFFFFFF for mask in (blocked, ignored)] == [0, 0]


def test_an_ignored_sigchld_does_not_lose_the_exit_status(bwrap, host):
    words = ["--ro-bind", "/", "/", "--unshare-pid", "sh", "-c", "exit 3"]
    script = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        f"os.execv({bwrap.path!r}, [{bwrap.path!r}, *sys.argv[1:]])"
    )
    python = bwrap.__class__("/usr/bin/env", bwrap.directory)
    assert python.run("python3", "-c", script, *words).returncode == 3


def test_a_storm_of_orphans(bwrap, host):
    script = "i=0; while [ $i -lt 300 ]; do (true &) ; i=$((i+1)); done; sleep 0.2; ps -e | grep -c defunct"
    words = [*host, "--unshare-pid", "--proc", "/proc", "--dev", "/dev"]
    assert bwrap.shell(script, *words).stdout.strip() == "0"


def test_terminating_the_monitor_is_its_end(bwrap, host, word):
    """As with bubblewrap, a signal is not handed on; the caller that wants that says --die-with-parent."""
    monitor = bwrap.start(*host, "--die-with-parent", "--unshare-pid", "sleep", word)
    wait_until(lambda: alive(word))
    monitor.terminate()
    assert monitor.wait(60) == -signal.SIGTERM
    wait_until(lambda: not alive(word))


def test_proc_self_exe_is_the_stand_in(bwrap):
    outer = ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL", "--bind", "/", "/"]
    ran = bwrap.run(*outer, "--", "/proc/self/exe", "--unshare-all", "--bind", "/", "/", "echo", "hello")
    assert (ran.stdout, ran.stderr) == ("hello\n", "")
    refused = bwrap.run(*outer, "--", "/proc/self/exe", "--nonsense")
    assert refused.stderr == "bwrap: Unknown option --nonsense\n"
