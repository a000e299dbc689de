"""The environment of a command: the spec's, and the handful of variables that Windows programs cannot do without."""

import ntpath
import sys
from collections.abc import Mapping

_SUFFIXES = ".COM;.EXE;.BAT;.CMD"


def architecture(version: str) -> str:
    """The processor's, of which `sys.version` has a word on Windows; 32 bits are not served."""
    return "ARM64" if "(arm64)" in version.lower() else "AMD64"


def needed(windows: str, processors: int, scratch: str) -> dict[str, str]:
    """What Windows programs expect; `windows` is where Windows is, `scratch` a directory for what is temporary."""
    variables = {
        "COMSPEC": ntpath.join(windows, "System32", "cmd.exe"),
        "NUMBER_OF_PROCESSORS": str(processors),
        "OS": "Windows_NT",
        "PATHEXT": _SUFFIXES,
        "PROCESSOR_ARCHITECTURE": architecture(sys.version),
        "SYSTEMDRIVE": ntpath.splitdrive(windows)[0],
        "SYSTEMROOT": windows,
        "WINDIR": windows,
    }
    if scratch:
        # Not the user's own: what programs look for there is no input of the action.
        variables |= dict.fromkeys(("APPDATA", "LOCALAPPDATA", "TEMP", "TMP", "USERPROFILE"), scratch)
    return variables


def merged(spec: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The spec's variables and, of those that it does not have, the rest: names are one whatever their case.

    Raises ValueError where two of the spec's are one on Windows.
    """
    found: dict[str, str] = {}
    for name in spec:
        other = found.setdefault(name.upper(), name)
        if other != name:
            raise ValueError(f"the variables {other} and {name} are one on Windows")
    return dict(spec) | {name: value for name, value in more.items() if name.upper() not in found}


def block(variables: Mapping[str, str]) -> str:
    """What CreateProcess takes: `name=value`, each with a zero, in the order of the names, and one more zero."""
    entries = sorted(variables.items(), key=lambda entry: entry[0].upper())
    for name, value in entries:
        if not name or "\0" in name + value or "=" in name[1:]:
            raise ValueError(f"no environment on Windows can hold the variable {name!r}")
    return "".join(f"{name}={value}\0" for name, value in entries) + "\0"
