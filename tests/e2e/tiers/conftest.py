"""Containers without privileges, made by our own `bldr-bwrap`, for whole builds in them; and what they deny."""

import contextlib
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]

from bldr_linux import seccomp
from bldr_linux.bubblewrap import main

MACHINE = os.uname().machine
LANDLOCK = (444, 445, 446)
PIDFD_OPEN, CLOSE_RANGE = 434, 436
DOCKER_CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP",
    "SETUID", "SYS_CHROOT",
)  # fmt: skip
DOCKER_DENIES = (
    "add_key", "bpf", "clone3", "fsconfig", "fsmount", "fsopen", "io_uring_setup", "keyctl", "mount", "mount_setattr",
    "move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "request_key", "setns", "umount2",
    "userfaultfd",
)  # fmt: skip
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x50000
_FIRST_ARGUMENT = 16
_NEW_NAMESPACE = 0x7E020000


def _instruction(code, if_true, if_false, value):
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + value.to_bytes(4, "little")


def denying(numbers, error):
    """A filter that answers these calls with an error, as an array of `struct sock_filter`."""
    code = [_instruction(_LOAD, 0, 0, 0)]
    for number in numbers:
        code += [_instruction(_EQUAL, 0, 1, number), _instruction(_RETURN, 0, 0, _ERRNO | error)]
    return b"".join((*code, _instruction(_RETURN, 0, 0, _ALLOW)))


def denying_namespaces(error):
    """A filter of clone's flags, which Docker looks at too."""
    return b"".join(
        (
            _instruction(_LOAD, 0, 0, 0),
            _instruction(_EQUAL, 0, 3, seccomp.special(MACHINE)["clone"]),
            _instruction(_LOAD, 0, 0, _FIRST_ARGUMENT),
            _instruction(_ANY_BIT, 0, 1, _NEW_NAMESPACE),
            _instruction(_RETURN, 0, 0, _ERRNO | error),
            _instruction(_RETURN, 0, 0, _ALLOW),
        )
    )


def docker(error=errno.EPERM):
    """What Docker's default profile denies to a container that has not CAP_SYS_ADMIN."""
    numbers = seccomp.denied(MACHINE)
    calls = [number for name, number in numbers.items() if name in DOCKER_DENIES and name != "clone3"]
    calls.append(seccomp.special(MACHINE)["unshare"])
    return [denying(calls, error), denying_namespaces(error), denying([numbers["clone3"]], errno.ENOSYS)]


class Container:
    """A container that shows this machine's files. `who` is "root", with what Docker leaves to it, or "user", whose
    number no passwd file knows."""

    def __init__(self, who="user", *, error=errno.EPERM, denied=(), options=(), proc=True):
        """`denied`: more calls, as (number, error). `options` are of `bldr-bwrap`."""
        self._filters = [*docker(error), *(denying([number], answer) for number, answer in denied)]
        self._words = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"]
        self._words += ["--bind", "/", "/", "--dev", "/dev", "--ro-bind", "/sys", "/sys", "--as-pid-1"]
        self._words += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"] if proc else ["--tmpfs", "/proc"]
        if proc:
            self._words += ["--ro-bind", "/dev/null", "/proc/keys", "--ro-bind", "/dev/null", "/proc/timer_list"]
        if who == "user":
            self._words += ["--unshare-user", "--uid", "4711", "--gid", "4711", "--cap-drop", "ALL"]
        else:
            self._words += [] if os.geteuid() == 0 else ["--unshare-user", "--uid", "0", "--gid", "0"]
            self._words += ["--cap-drop", "ALL"]
            self._words += [word for name in DOCKER_CAPABILITIES for word in ("--cap-add", f"CAP_{name}")]
        self._words += options

    @contextlib.contextmanager
    def command(self, *argv):
        """The whole command line, and the descriptors that it needs."""
        with contextlib.ExitStack() as stack:
            fds = []
            for program in self._filters:
                file = stack.enter_context(open(os.memfd_create("filter"), "w+b"))
                file.write(program)
                file.flush()
                file.seek(0)
                fds.append(file.fileno())
            filters = [word for fd in fds for word in ("--add-seccomp-fd", str(fd))]
            bwrap = [sys.executable, "-I", "-S", os.path.dirname(main.__file__), "bwrap"]
            yield [*bwrap, *self._words, *filters, "--", *map(str, argv)], fds

    def run(self, *argv, cwd, env):
        """Run a command to its end."""
        with self.command(*argv) as (words, fds):
            return subprocess.run(
                words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=fds,
                timeout=120,
            )  # fmt: skip


class Inside:
    """The commands of one project in one container."""

    def __init__(self, project, container):
        self.project = project
        self.container = container

    def bldr(self, *args, events=None, **more):
        env = {"PYTHONDONTWRITEBYTECODE": "1", **self.project.env(**more)}
        env = {name: value for name, value in env.items() if value is not None}
        return self.container.run(*self.project.command(*args, events=events), cwd=self.project.root, env=env)

    def doctor(self):
        """The sandboxes that `bldr doctor` tells of, by name, in order."""
        ran = self.bldr("doctor", "--format", "json")
        assert ran.returncode == 5, ran
        return {sandbox["name"]: sandbox for sandbox in json.loads(ran.stdout)["sandboxes"]}


@pytest.fixture
def inside(project):
    """A function that puts a workspace of files into a container: the options are those of `Container`."""

    def make(files, who="user", **options):
        it = Inside(project(files), Container(who, **options))
        ran = it.container.run("/bin/true", cwd="/", env=it.project.env())
        if ran.returncode:
            pytest.skip(f"no container can be made here: {ran.stderr.strip()}")
        return it

    return make


def events_of(file: Path):
    """The events that a build wrote."""
    return [json.loads(line) for line in file.read_text().splitlines()]
