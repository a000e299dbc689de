"""The command's environment variables and working directory."""

from __future__ import annotations

import os

from bldr_linux.bubblewrap.failure import FatalError


def change(changes: tuple[tuple[str, ...], ...]) -> None:
    """Make this process's environment the command's; the C library's copy, too, which the command inherits."""
    forget_coercion()
    for kind, *words in changes:
        if kind == "clear":
            os.environb.clear()
        elif kind == "set":
            try:
                os.environb[os.fsencode(words[0])] = os.fsencode(words[1])
            except (OSError, ValueError) as error:
                raise FatalError("setenv failed") from error
        else:
            _unset(os.fsencode(words[0]))


def _unset(name: bytes) -> None:
    if not name or b"=" in name:
        raise FatalError("unsetenv failed")
    os.environb.pop(name, None)


def forget_coercion() -> None:
    """Take back the LC_CTYPE that the interpreter sets at its start where the caller has no locale."""
    if not os.environb.get(b"LC_CTYPE", b"").upper().endswith((b"UTF-8", b"UTF8")):
        return
    try:
        fd = os.open("/proc/self/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        content = b""
        while part := os.read(fd, 1 << 20):
            content += part
    finally:
        os.close(fd)
    if not any(entry.startswith(b"LC_CTYPE=") for entry in content.split(b"\0")):
        del os.environb[b"LC_CTYPE"]


def current_directory() -> str | None:
    """The directory that the caller stands in, by the caller's own name for it where that is true."""
    named = os.environ.get("PWD", "")
    if named.startswith("/"):
        try:
            if os.path.samestat(os.stat(named), os.stat(".")):
                return named
        except OSError:
            pass  # as good as none
    try:
        return os.getcwd()
    except OSError:
        return None


def enter_directory(wanted: str | None, before: str | None) -> None:
    """Stand where the options say, else where the caller stood, else at home, else at the root; and say so in PWD."""
    if wanted is not None:
        try:
            os.chdir(wanted)
        except OSError as error:
            raise FatalError.of(f"Can't chdir to {wanted}", error) from error
        os.environ["PWD"] = wanted
        return
    os.environ["PWD"] = "/"  # noqa: S105 - not that kind
    for path in (before, os.environ.get("HOME")):
        if path is not None:
            try:
                os.chdir(path)
            except OSError:
                continue  # not in the sandbox
            os.environ["PWD"] = path
            return
