"""A `sandbox-exec` for tests on Linux: it takes the command line of the real one, evaluates the profile with the
evaluator of the tests, and has bubblewrap's stand-in enforce what came out.

What it cannot enforce it says nothing about: Mach services, sysctls and the like do not exist here; execution is not
told apart from reading. What would need a guess is an error.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn

import enforcement
from seatbelt import Mac, Profile, ProfileError, Target

USAGE, BAD_DATA, SYSTEM_ERROR = 64, 65, 71  # of sysexits.h, as the real one answers
_FIRST_SIGNAL = 256
_PASSED = tuple(getattr(signal, f"SIG{name}") for name in ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "XCPU"))


class Failure(Exception):  # noqa: N818  # what the program says, and its exit code
    """The command is not run."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Call(NamedTuple):
    """A command line, understood."""

    profile: bytes
    parameters: dict[str, str]
    argv: list[str]


def parse(words: list[str]) -> Call:
    """As getopt(3) on a Mac does: options end with the first word that is none. Raises Failure."""
    profiles: list[bytes] = []
    parameters: dict[str, str] = {}
    left = list(words)
    while left and left[0].startswith("-") and left[0] != "-":
        word = left.pop(0)
        if word == "--":
            break
        option, value = word[1], word[2:]
        if option not in "fpD" or not (value or left):
            raise Failure(USAGE, f"-{option}: only -f, -p and -D with their values are known here")
        value = value or left.pop(0)
        if option == "D":
            name, equals, value = value.partition("=")
            if not equals or name in parameters:
                raise Failure(USAGE, f"-D {name}: give each parameter once, as name=value")
            parameters[name] = value
        else:
            profiles.append(_content(value) if option == "f" else os.fsencode(value))
    if len(profiles) != 1 or not left:
        raise Failure(USAGE, "usage: sandbox-exec (-f profile-file | -p profile-string) [-D key=value ...] command ...")
    return Call(profiles[0], parameters, left)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Failure(BAD_DATA, f"{path}: {error.strerror}") from None


def command(profile: Profile, call: Call, env: dict[bytes, bytes]) -> list[str]:
    """The command line of bubblewrap. Raises Failure where the kernel would not execute the command."""
    program = _found(call.argv[0], os.fsdecode(env.get(b"PATH", b"/usr/bin:/bin")))
    for operation, path in _executions(program):
        if not any(enforcement.allows(profile, operation, name) for name in _names(path)):
            raise Failure(SYSTEM_ERROR, f"execvp() of '{call.argv[0]}' failed: Operation not permitted")
    words = ["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"]
    if not _may_leave(profile):
        words.append("--unshare-net")
    return [
        *words,
        *enforcement.operations(profile, os.getcwd()),
        "--chdir",
        os.getcwd(),
        "--",
        program,
        *call.argv[1:],
    ]


def _found(name: str, search: str) -> str:
    places = [name] if "/" in name else [f"{directory}/{name}" for directory in search.split(":")]
    for place in places:
        if os.path.isfile(place):
            return place
    raise Failure(SYSTEM_ERROR, f"execvp() of '{name}' failed: No such file or directory")


def _executions(program: str) -> list[tuple[str, str]]:
    """What the kernel asks for: the program, and an interpreter that its first line names."""
    path = os.path.realpath(program)
    with open(path, "rb") as file:
        first = file.read(256).partition(b"\n")[0]
    found = [("process-exec", path)]
    if first.startswith(b"#!") and (interpreter := first[2:].split()[:1]):
        found += [("process-exec-interpreter", os.path.realpath(os.fsdecode(interpreter[0])))]
    return found


def _names(path: str) -> list[str]:
    """Of a program: its own, and those under which a Mac has it (`/bin/sh` is a link to something else here)."""
    return [path, *(name for name in enforcement.LINKS_OF_DISTRIBUTIONS if os.path.realpath(name) == path)]


def _may_leave(profile: Profile) -> bool:
    there = Target(protocol="tcp", remote=("192.0.2.1", 443), local=("0.0.0.0", 0))
    return profile.decide("network-outbound", there).action == "allow"


def run(words: list[str], env: dict[bytes, bytes], *, loopback: bool) -> NoReturn:
    """Be bubblewrap's stand-in from here on, and end as the command does: with its exit code, or by its signal."""
    from bldr_linux.bubblewrap import environment, main, waiting

    def exit_code_of(wait_status: int) -> int:
        code = os.waitstatus_to_exitcode(wait_status)
        return code if code >= 0 else _FIRST_SIGNAL - code

    def patient(original: Callable[..., int]) -> Callable[..., int]:
        def wait(monitor: waiting.Monitor) -> int:
            for number in _PASSED:  # the real one becomes the command, which has got them too
                signal.signal(number, signal.SIG_IGN)
            code = original(monitor)
            if code > _FIRST_SIGNAL:
                _die_by(code - _FIRST_SIGNAL)
            return code

        return wait

    waiting.exit_code_of = exit_code_of
    waiting.Monitor.wait = patient(waiting.Monitor.wait)  # type: ignore[method-assign]
    environment.enter_directory = lambda chdir, _: os.chdir(chdir)  # the original also sets PWD
    if not loopback:
        main._bring_loopback_up = lambda: None
    os.environb.clear()
    os.environb.update(env)
    sys.argv = ["sandbox-exec", *words]
    main.run_process("sandbox-exec")


def _die_by(number: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def handed_over() -> dict[bytes, bytes]:
    """As it was handed over: the interpreter adds to its own."""
    with open("/proc/self/environ", "rb") as file:
        entries = file.read().split(b"\0")
    return dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)


def main() -> NoReturn:
    """The program."""
    try:
        call = parse(sys.argv[1:])
        try:
            profile = Profile(call.profile, call.parameters)
        except ProfileError as error:
            raise Failure(BAD_DATA, str(error)) from None
        env = handed_over()
        words = command(profile, call, env)
    except Failure as failure:
        os.write(2, os.fsencode(f"sandbox-exec: {failure}\n"))
        os._exit(failure.code)
    to_itself = [profile.answer(f"{what} tcp 127.0.0.1:1", Mac()) for what in ("network-outbound", "network-inbound")]
    run(words, env, loopback=all(found.action == "allow" for found in to_itself))
