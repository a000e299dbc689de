"""A launch in terms of a Windows host: sandbox paths (`/build/a`) become paths of drives (`C:\\...\\a`). Pure."""

import re
from collections.abc import Mapping

from bldr.api import TREE_ROOT, Launch
from bldr_unmounted.places import Places, places

_DRIVE = re.compile(r"/?([A-Za-z]):/")
_COLON = re.compile(r"(?<!\A/[A-Za-z])(?<!:/[A-Za-z]):")
"""Between paths, and not behind the letter of a drive as specs spell it (`/C:/Windows`)."""


class Command:
    """What is started: argv, the directory and the environment, with the host's paths."""

    __slots__ = ("argv", "cwd", "env")

    def __init__(self, launch: Launch, scratch: Mapping[str, str]) -> None:
        at = places(launch, scratch)
        root = launch.tree.upper if launch.tree else TREE_ROOT
        self.argv = [_word(word, at).replace(TREE_ROOT, root) for word in launch.argv]
        self.cwd = host(launch.cwd.replace(TREE_ROOT, root), at)
        self.env = {name: value(text, at).replace(TREE_ROOT, root) for name, text in launch.spec.env}
        if launch.tree:
            self.env["BLDR_ROOT"] = root


def host(path: str, at: Places) -> str:
    """Where on the host a path of the sandbox is: with a drive and backslashes, unless nothing shows it."""
    found = at.host(path)
    drive = _DRIVE.match(found)
    if drive:  # a host's path as specs spell it, which begins with a slash there
        return f"{drive[1]}:\\" + found[drive.end() :].replace("/", "\\")
    return found.replace("/", "\\") if found[1:3] == ":\\" or found.startswith("\\\\") else found


def value(text: str, at: Places) -> str:
    """A variable's value. In a list of absolute paths each is taken for itself; Windows wants semicolons for colons."""
    parts = [part for piece in text.split(";") for part in _paths(piece)]
    return ";".join(host(part, at) if part.startswith("/") else part for part in parts)


def _paths(text: str) -> list[str]:
    parts = _COLON.split(text)
    return parts if all(part.startswith("/") for part in parts) else [text]


def _word(word: str, at: Places) -> str:
    """A word of argv; a switch as `/c` is no path unless somebody declared one of that name."""
    return host(word, at) if word.startswith("/") else word
