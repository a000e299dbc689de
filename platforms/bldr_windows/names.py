"""Names that Windows does not take, takes for another one, or only takes when asked in the long form. Pure."""

import re
from collections.abc import Iterable

_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *(?:[.:].*)?", re.I | re.S)
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_MOST_UNITS = 255  # of UTF-16


def complaint(path: str) -> str:
    """Why a relative path with slashes cannot stand on a Windows disk under its own name; "" where it can."""
    for name in path.split("/"):
        why = _complaint(name)
        if why:
            return f'"{name}" {why}'
    return ""


def _complaint(name: str) -> str:
    if not name:
        return "is no name"
    if name in (".", ".."):
        return "names a directory by where it is"
    if _RESERVED.fullmatch(name):
        return "is the name of a device on Windows"
    found = _FORBIDDEN.search(name)
    if found:
        return f"holds {found[0]!r}, which no name on Windows has"
    if name[-1] in ". ":
        return "ends in a dot or a space, which Windows takes off"
    if len(name.encode("utf-16-le", "surrogatepass")) // 2 > _MOST_UNITS:
        return f"is longer than {_MOST_UNITS} characters"
    return ""


def clash(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two paths that are one on a Windows disk, which does not tell upper from lower case, or None."""
    seen: dict[str, str] = {}
    for path in paths:
        above = ""
        for name in path.split("/"):
            above = f"{above}/{name}" if above else name
            other = seen.setdefault(above.upper(), above)
            if other != above:
                return other, above
    return None


def long_path(path: str) -> str:
    r"""An absolute path in the form that may be longer than 260 characters and is taken as it is: `\\?\C:\...`.

    Slashes become backslashes, because in this form nobody else does that.
    """
    if not _DRIVE.match(path) and path[:2] not in ("\\\\", "//"):
        return path
    path = path.replace("/", "\\")
    if path.startswith(("\\\\?\\", "\\\\.\\")):
        return path
    return "\\\\?\\UNC" + path[1:] if path.startswith("\\\\") else "\\\\?\\" + path
