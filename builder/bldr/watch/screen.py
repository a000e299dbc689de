"""What `bldr watch` says between builds."""

import os
from collections.abc import Sequence
from typing import TextIO

from bldr.report.text import sanitize
from bldr.watch.builder import Message

SHOWN = 3
"""Changed files that are named."""

_CLEAR = "\033[H\033[2J\033[3J"


class Screen:
    """Owns the lines before and after each build. `clear` empties a terminal before each."""

    def __init__(self, out: TextIO, *, name: str, clear: bool = False, quiet: bool = False) -> None:
        self._out = out
        self._name = name
        self._clear = clear and out.isatty()
        self._quiet = quiet
        self._held = False

    def begin(self, changed: Sequence[str], *, lost: bool, quietly: bool) -> str:
        """Before a build: say why. Returns what was held back, because the build is likely to be nothing."""
        said = "" if self._quiet else _changed(changed, lost=lost)
        self._held = quietly or (bool(changed) and not lost and all(map(is_passing, changed)))
        if self._held:
            return said or " "
        self._write((_CLEAR if self._clear else "") + said)
        return ""

    def wait(self, report: Message) -> None:
        """After a build."""
        is_nothing = self._held and not report["exit_code"] and not report["ran"]
        if not is_nothing and not self._quiet:
            self._write(f"watching {self._name}; ^C ends\n")

    def crashed(self, ending: str) -> None:
        """After a build that did not come to its end."""
        self._write(
            f"error: the process that builds ended unexpectedly, {ending}\nhint: the next change starts it anew\n"
        )

    def gone(self, root: str) -> None:
        self._write(f"warning: {root} is gone\nhint: when it returns, it is built; ^C ends\n")

    def returned(self, root: str) -> None:
        self._write(f"{root} has returned\n")

    def warn(self, message: str, hint: str) -> None:
        self._write(f"warning: {message}\nhint: {hint}\n")

    def interrupted(self) -> None:
        self._write("interrupted\n")

    def _write(self, text: str) -> None:
        if not text:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:  # nobody looks any more: the build's own output will end it
            return


def is_passing(path: str) -> bool:
    """Whether a file is likely to be an editor's own: hidden, a backup, or vim's test whether it may write."""
    name = os.path.basename(path)
    return name.startswith((".", "#")) or name.endswith(("~", ".swp", ".swx", ".tmp")) or name == "4913"


def _changed(paths: Sequence[str], *, lost: bool) -> str:
    if lost or not paths:
        return "changed: perhaps everything\n" if lost and paths else ""
    telling = [path for path in paths if not is_passing(path)] or paths
    shown = ", ".join(sanitize(path).replace("\n", " ") for path in telling[:SHOWN])
    more = len(telling) - SHOWN
    return f"changed: {shown}{f' and {more} more' if more > 0 else ''}\n"
