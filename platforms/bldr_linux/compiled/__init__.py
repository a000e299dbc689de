"""The one program of the sandbox that is written in C: its source, how it is compiled, and where it is then.

It is compiled when bldr is installed (`hatch_build.py`), where there is a C compiler, and lies beside its source, so
that whoever can change it can change these modules, too. It is named after its source: one that was compiled from
another is not found. Imports nothing of bldr, because it also runs while there is none.
"""

import contextlib
import hashlib
import os

_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
_SOURCE = os.path.join(_DIRECTORY, "cradle.c")
_FLAGS = ("-Os", "-s", "-Wall", "-Wextra")
_COMPILERS = ("cc", "gcc", "clang")
_LIMIT_S = 120


def path() -> str:
    """Where the program for this machine is, or would be."""
    with open(_SOURCE, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:16]
    return os.path.join(_DIRECTORY, f"cradle-{os.uname().machine}-{digest}")


def open_program() -> int:
    """A descriptor of the program; -1 where there is none."""
    try:
        return os.open(path(), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def build() -> str:
    """Compile it where that was not done before: its path. Raises OSError or subprocess.SubprocessError."""
    import shutil
    import subprocess

    program = path()
    if os.path.exists(program):
        return program
    new = f"{program}.{os.getpid()}"
    compiler = os.environ.get("CC") or next((name for name in _COMPILERS if shutil.which(name)), "cc")
    try:
        # A static one is born faster; not every machine has the library for it.
        for linked in (("-static",), ()):
            command = [*compiler.split(), *_FLAGS, *linked, "-o", new, _SOURCE]
            done = subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=False)
            if done.returncode == 0:
                break
        done.check_returncode()
        os.chmod(new, 0o755)  # noqa: S103 - whoever may read the modules runs it, as an unprivileged user too
        _remove_older(program)
        os.rename(new, program)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
    return program


def _remove_older(program: str) -> None:
    """Remove what was compiled from other sources, but nothing that somebody else is about to finish."""
    for name in os.listdir(_DIRECTORY):
        other = os.path.join(_DIRECTORY, name)
        is_program = name.startswith(f"cradle-{os.uname().machine}-") and "." not in name
        if is_program and other != program:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(other)
