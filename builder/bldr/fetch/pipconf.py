"""Where pip would look for packages: its configuration files and variables, read as it reads them, without pip.

Source: https://pip.pypa.io/en/stable/topics/configuration/
"""

import configparser
import os
import sys
from collections.abc import Mapping

import msgspec

from bldr.api import FetchError

_DEFAULT_INDEX = "https://pypi.org/simple"
_SECTIONS = ("global", "download")  # what `pip download` reads, the weaker first
_TRUE = frozenset({"y", "yes", "t", "true", "on", "1"})
_FALSE = frozenset({"n", "no", "f", "false", "off", "0"})


class PipSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that say where packages come from. `index_urls` are in the order in which they are asked."""

    index_urls: tuple[str, ...] = (_DEFAULT_INDEX,)
    find_links: tuple[str, ...] = ()
    trusted_hosts: frozenset[str] = frozenset()
    certificate: str = ""
    proxy: str = ""


def read_pip_settings(environ: Mapping[str, str], *, platform: str = sys.platform, root: str = "") -> PipSettings:
    """What pip is configured to; a variable `PIP_...` is stronger than any file.

    `root` is put before the system-wide places. Raises FetchError for a file or a value that pip would refuse as well.
    """
    values: dict[str, str] = {}
    for section_values in _file_values(environ, platform, root):
        values.update(section_values)
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            values[_normal(name.removeprefix("PIP_"))] = value
    indexes = [values.get("index-url") or values.get("pypi-url") or _DEFAULT_INDEX]
    indexes += values.get("extra-index-url", "").split()
    if _is_true("no-index", values.get("no-index", "no")):
        indexes = []
    return PipSettings(
        index_urls=tuple(dict.fromkeys(url.strip() for url in indexes)),
        find_links=tuple(dict.fromkeys(values.get("find-links", "").split())),
        trusted_hosts=frozenset(values.get("trusted-host", "").split()),
        certificate=values.get("cert", ""),
        proxy=values.get("proxy", ""),
    )


def configuration_files(environ: Mapping[str, str], platform: str, root: str = "") -> list[str]:
    """Every place of a configuration file, the weakest first; most do not exist."""
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    home = environ.get("HOME") or os.path.expanduser("~")
    name = "pip.ini" if platform == "win32" else "pip.conf"
    prefix = environ.get("VIRTUAL_ENV") or sys.prefix
    if platform == "win32":
        system = [f"{environ.get('PROGRAMDATA', 'C:/ProgramData')}/pip"]
        user = [f"{home}/pip", f"{environ.get('APPDATA', home)}/pip"]
    elif platform == "darwin":
        system = [f"{root}/Library/Application Support/pip"]
        library = f"{home}/Library/Application Support/pip"
        user = [f"{home}/.pip", library if os.path.isdir(library) else f"{home}/.config/pip"]
    else:
        directories = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        system = [f"{root}{directory}/pip" for directory in directories.split(os.pathsep) if directory]
        system.append(f"{root}/etc")
        user = [f"{home}/.pip", f"{environ.get('XDG_CONFIG_HOME') or home + '/.config'}/pip"]
    if chosen and os.path.exists(chosen):
        user = []  # pip does not read a user's own files then
    return [f"{place}/{name}" for place in [*system, *user, prefix]] + ([chosen] if chosen else [])


def _file_values(environ: Mapping[str, str], platform: str, root: str) -> list[dict[str, str]]:
    """The values of each section that counts; all files' weaker section comes before any file's stronger one."""
    merged: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for path in configuration_files(environ, platform, root):
        parser = configparser.RawConfigParser()
        try:
            with open(path, encoding="utf-8") as file:
                parser.read_file(file)
        except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError):
            continue  # pip passes over a file that it cannot open
        except (configparser.Error, UnicodeError, OSError) as error:
            message = " ".join(str(error).split())
            raise FetchError(f"pip's configuration cannot be read: {message}", f"correct {path}") from error
        for section in _SECTIONS:
            if parser.has_section(section):
                items = parser.items(section)
                merged[section].update({_normal(key): value for key, value in items if value})
    return list(merged.values())


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _is_true(name: str, value: str) -> bool:
    lower = value.strip().lower()
    if lower not in _TRUE | _FALSE:
        raise FetchError(f'pip\'s setting {name} is "{value}", which is neither true nor false', "write true or false")
    return lower in _TRUE
