"""Values that have the right type and may still be wrong: sizes, durations, hosts, devices, names of variables."""

import math
import posixpath
import re
from collections.abc import Callable
from typing import Any

import msgspec

from bldr.api.attributes import HermeticSettings
from bldr.load.positions import Path
from bldr.load.units import parse_duration, parse_size
from bldr.load.validate import Mistake

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([1-9]\d{0,4})")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_UNITS: dict[str, Callable[[str | int], float]] = {
    "memory": parse_size,
    "file_size": parse_size,
    "output": parse_size,
    "disk": parse_size,
    "log": parse_size,
    "temp": parse_size,
    "cpu_time": parse_duration,
    "timeout": parse_duration,
    "grace": parse_duration,
}

_COUNTS = {"processes": "processes", "open_files": "open files"}


def check_hermetic(table: dict[str, Any], path: Path) -> list[Mistake]:
    """What is wrong with a table `hermetic` whose values have the right types."""
    mistakes = []
    for key, value in table.items():
        place = (*path, key)
        if key in _UNITS:
            mistakes += check_unit(value, _UNITS[key], place)
        elif key in _COUNTS and value < 1:
            mistakes.append(Mistake(place, f"the number of {_COUNTS[key]} must be at least 1, not {value}"))
        elif key == "cpus" and not 0 < value < math.inf:
            hint = "write how many processors may be busy at a time, such as 1.5"
            mistakes.append(Mistake(place, f"the number of processors must be above zero, not {value:g}", hint))
        elif key == "devices":
            mistakes += _check_devices(value, place)
        elif key == "network" and isinstance(value, list):
            for index, host in enumerate(value):
                match = _HOST.fullmatch(host)
                if match is None or int(match[1]) > 65535:
                    hint = 'write "host:port", such as "example.org:443"'
                    mistakes.append(Mistake((*place, index), f'"{host}" names no host and port', hint))
    return mistakes


def _check_devices(devices: list[str], place: Path) -> list[Mistake]:
    hint = 'write a path such as "/dev/dri/renderD128"'
    return [
        Mistake((*place, index), f'"{device}" is not a normal path below /dev', hint)
        for index, device in enumerate(devices)
        if not device.startswith("/dev/") or posixpath.normpath(device) != device
    ]


def check_unit(value: Any, parse: Callable[[str | int], float], path: Path) -> list[Mistake]:
    try:
        parse(value)
    except ValueError as error:
        message, _, hint = str(error).partition(": ")
        return [Mistake(path, message, hint)]
    return []


def check_variables(env: dict[str, str], env_inherit: list[str]) -> list[Mistake]:
    """What is wrong with the names of environment variables."""
    named: list[tuple[Path, str]] = [(("env", name), name) for name in env]
    named += [(("env_inherit", index), name) for index, name in enumerate(env_inherit)]
    return [
        Mistake(path, f'"{name}" is no name of an environment variable', at_key=True)
        for path, name in named
        if not _VARIABLE.fullmatch(name)
    ]


def merge_settings(inner: HermeticSettings, outer: HermeticSettings) -> HermeticSettings:
    """What holds for something whose own settings are `inner`, inside something with `outer`."""
    said = {name: value for name in inner.__struct_fields__ if (value := getattr(inner, name)) is not None}
    if not said:
        return outer
    return msgspec.structs.replace(outer, **said)
