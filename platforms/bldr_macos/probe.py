"""Whether Seatbelt works here: tried, with profiles of the kind that actions get."""

import os
import socket
import subprocess
import tempfile
from typing import NamedTuple

from bldr_macos.host import Host
from bldr_macos.permission import place
from bldr_macos.profile import Permission, Place, ancestors, make_profile
from bldr_macos.sbpl import Param

_TIMEOUT_S = 30
_TRUE = "/usr/bin/true"
_CAT = "/bin/cat"
_TOUCH = "/usr/bin/touch"
_NC = "/usr/bin/nc"
_WORDS = "bldr reads this"
ALLOW_ALL = "(version 1) (allow default)"
_NESTED = "is bldr itself in a sandbox? Seatbelt cannot be used in one; start bldr outside of it"
_REPORT = "report it with the version of macOS (`sw_vers`) and what this prints"


class Refusal(NamedTuple):
    """Why it does not work, and what to do."""

    why: str
    remedy: str


def try_seatbelt(program: str, host: Host) -> Refusal | None:
    """None where profiles start programs and deny what they do not name."""
    if not os.access(program, os.X_OK):
        return Refusal(f"there is no {program}", "use macOS 11 or newer, which has it")
    answer = _run(program, ALLOW_ALL, _TRUE)
    if answer.returncode:
        return Refusal(f"{program} cannot start a sandbox: {_said(answer)}", _NESTED)
    with tempfile.TemporaryDirectory(prefix="bldr-probe-") as directory:
        path = os.path.join(directory, "words")
        with open(path, "w") as file:
            file.write(_WORDS)
        return _try_profiles(program, host, path)


def _try_profiles(program: str, host: Host, path: str) -> Refusal | None:
    """The same programs do what their profile names, and nothing that it does not."""
    programs = tuple(place(host, name) for name in (_TRUE, _CAT, _TOUCH, _NC))
    closed = make_profile(Permission(reads=programs))
    answer = _run(program, make_profile(Permission(reads=(*programs, place(host, path)))), _CAT, path)
    if answer.returncode or answer.stdout != _WORDS:
        command = f"{program} -p PROFILE {_CAT}"
        return Refusal(f"a program does not start under a profile that denies by default: {_said(answer)}",
                       f"{_REPORT}: `{command}`")  # fmt: skip
    answer = _run(program, closed, _CAT, path)
    if not answer.returncode or _WORDS in answer.stdout:
        return _unenforced(program, "a file that it does not name was read")
    if _run(program, closed, _TRUE).returncode:
        return Refusal("programs fail under a profile that denies by default", _REPORT)
    return _try_writing(program, host, os.path.dirname(path), programs) or _try_network(program, closed)


def _try_writing(program: str, host: Host, directory: str, programs: tuple[Place, ...]) -> Refusal | None:
    """In a directory that a parameter names, as an action's tree is, and not beside it."""
    own, beside = os.path.join(host.resolve(directory).path, "own"), os.path.join(directory, "beside")
    os.mkdir(own)
    profile = make_profile(Permission(reads=programs, own_writes=(Place((Param("OWN"),), tuple(ancestors(own))),)))
    inside = os.path.join(own, "inside")
    answer = _run(program, profile, _TOUCH, inside, parameters=(f"OWN={own}",))
    if answer.returncode or not os.path.exists(inside):
        return Refusal(f"a program cannot write where its profile lets it: {_said(answer)}", _REPORT)
    answer = _run(program, profile, _TOUCH, beside, parameters=(f"OWN={own}",))
    if not answer.returncode or os.path.exists(beside):
        return _unenforced(program, "a file was made where it lets nobody write")
    return None


def _try_network(program: str, closed: str) -> Refusal | None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        answer = _run(program, closed, _NC, "-z", "127.0.0.1", str(server.getsockname()[1]))
        try:
            server.accept()[0].close()
        except BlockingIOError:
            if answer.returncode:
                return None
    return _unenforced(program, "the loopback was reached")


def _unenforced(program: str, what: str) -> Refusal:
    return Refusal(f"{program} does not enforce its profile: {what}", _REPORT)


def _run(
    program: str, profile: str, *argv: str, parameters: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            [program, "-p", profile, *(word for found in parameters for word in ("-D", found)), "--", *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return subprocess.CompletedProcess([program], 1, "", str(error))


def _said(answer: "subprocess.CompletedProcess[str]") -> str:
    text = " ".join(answer.stderr.split())
    return text or f"exit code {answer.returncode}"
