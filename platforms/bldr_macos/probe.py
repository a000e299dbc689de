"""Whether Seatbelt works here: tried, with profiles of the kind that actions get."""

import os
import subprocess
import tempfile
from typing import NamedTuple

from bldr_macos.host import Host
from bldr_macos.permission import place
from bldr_macos.profile import Permission, make_profile

_TIMEOUT_S = 30
_TRUE = "/usr/bin/true"
_CAT = "/bin/cat"
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
    """The same program reads a file that its profile names, and not one that it does not."""
    programs = tuple(place(host, name) for name in (_TRUE, _CAT))
    closed = Permission(reads=programs)
    answer = _run(program, make_profile(Permission(reads=(*programs, place(host, path)))), _CAT, path)
    if answer.returncode or answer.stdout != _WORDS:
        command = f"{program} -p PROFILE {_CAT}"
        return Refusal(f"a program does not start under a profile that denies by default: {_said(answer)}",
                       f"{_REPORT}: `{command}`")  # fmt: skip
    answer = _run(program, make_profile(closed), _CAT, path)
    if not answer.returncode or _WORDS in answer.stdout:
        return Refusal(f"{program} does not enforce its profile: a file that it does not name was read", _REPORT)
    if _run(program, make_profile(closed), _TRUE).returncode:
        return Refusal("programs fail under a profile that denies by default", _REPORT)
    return None


def _run(program: str, profile: str, *argv: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            [program, "-p", profile, "--", *argv],
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
