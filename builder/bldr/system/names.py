"""Paths as the file systems of Windows take them: which name something else there, and which are one. Pure."""

import re

_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *(?:[.:].*)?", re.I | re.S)
_ELSEWHERE = re.compile(r'[<>:"|?*\\\x00-\x1f]')


def path_complaint(path: str) -> str:
    """Why a path with slashes is not that of a file of this name below the tree's root; "" where it is."""
    for name in path.split("/"):
        found = _ELSEWHERE.search(name)
        if found:
            return f"holds {found[0]!r}, which no name on Windows has"
        if _RESERVED.fullmatch(name):
            return f'holds "{name}", the name of a device on Windows'
        if name.endswith((".", " ")):
            return f'holds "{name}", and Windows takes dots and spaces off the end of a name'
    return ""


def path_identity(path: str) -> str:
    """What is the same for all paths of one file: Windows does not tell upper from lower case."""
    return path.upper()
