"""Pinned outside sources: the tables `[external.NAME]` of the workspace's Builderfile."""

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bldr.api.labels import parse_label
from bldr.load.glob import is_normal_path
from bldr.load.syntax import Place, Source
from bldr.load.validate import Mistake, find_mistakes

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_PYPI = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_URL = re.compile(r"https://[^/\s?#]+/\S*|file:\S+")


class ExternalTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `external.NAME`: an archive by its SHA-256, or the packages of a lock file.

    An archive is fetched from a `url`, or by its name and version on `pypi`; `strip_prefix` is the directory of it that
    becomes the root of the tree ("*": the only one at its top). `lock` is a lock file of this workspace, of the kind
    that its name or `format` tells; `options` are for the plugin that reads it. `builderfile` is the Builderfile for
    the tree, a path in this workspace.
    """

    sha256: Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-fA-F]{64}$"})] | None = None
    url: Annotated[str, Meta(extra_json_schema={"pattern": "^(https://|file:)"})] | None = None
    pypi: Annotated[str, Meta(extra_json_schema={"pattern": "^[^=]+==[^=]+$"})] | None = None
    strip_prefix: str = ""
    builderfile: str = ""
    lock: str | None = None
    format: str = ""
    options: dict[str, str] = {}


class ExternalSource(msgspec.Struct, frozen=True, kw_only=True):
    """An outside source as it is asked for; exactly one of `url`, `pypi` and `lock` is set.

    `builderfile` is the path of the overlay below the workspace's root, "" where the tree brings its own Builderfiles
    or a plugin writes one. `lock` is the path of a lock file, "" where `sha256` pins one archive.
    """

    name: str
    sha256: str
    url: str | None
    pypi: str | None
    strip_prefix: str
    builderfile: str
    position: Place
    lock: str = ""
    format: str = ""
    options: dict[str, str] = {}


def read_external(name: str, table: Any, source: Source) -> tuple[ExternalSource | None, list[Mistake]]:
    """One table of `external`, or all that is wrong with it."""
    mistakes = find_mistakes(table, ExternalTable)
    if isinstance(table, dict):
        bad = {mistake.path[0] for mistake in mistakes if mistake.path}
        mistakes += _check({key: value for key, value in table.items() if key not in bad}, bad)
    if not _is_repository(name):
        mistakes.append(Mistake((), "the name of an external source is made of letters, digits and _ . -", at_key=True))
    if mistakes:
        return None, mistakes
    read = msgspec.convert(table, ExternalTable)
    external = ExternalSource(
        name=name,
        sha256=(read.sha256 or "").lower(),
        url=read.url,
        pypi=read.pypi,
        strip_prefix=read.strip_prefix.rstrip("/"),
        builderfile=read.builderfile,
        position=source.place(("external", name)),
        lock=read.lock or "",
        format=read.format,
        options=read.options,
    )
    return external, []


def _check(table: dict[str, Any], bad: set[str | int]) -> list[Mistake]:
    """What is wrong with values that have the right types."""
    mistakes = _check_lock(table) if "lock" in table else _check_archive(table, bad)
    for key in ("strip_prefix", "builderfile", "lock"):
        path = table.get(key)
        if path and not is_normal_path(path.rstrip("/") if key == "strip_prefix" else path):
            mistakes.append(
                Mistake((key,), f'"{path}" is not a normal relative path', 'write it without "..", "." or "//"')
            )
    return mistakes


def _check_archive(table: dict[str, Any], bad: set[str | int]) -> list[Mistake]:
    mistakes = []
    sha256, url, pypi = table.get("sha256"), table.get("url"), table.get("pypi")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        mistakes.append(Mistake(("sha256",), '"sha256" must be 64 hexadecimal digits', "sha256sum prints them"))
    if url is not None and not _URL.fullmatch(url):
        hint = f'write "https{url[4:]}"' if url.startswith("http://") else "write https://host/path or file:path"
        mistakes.append(Mistake(("url",), f'"{url}" is no address that bldr fetches from', hint))
    if pypi is not None and not _PYPI.fullmatch(pypi):
        mistakes.append(Mistake(("pypi",), f'"{pypi}" is no pinned package', 'write pypi = "name==version"'))
    if url is not None and pypi is not None:
        mistakes.append(Mistake(("pypi",), '"url" and "pypi" are both given', "keep one of the two", at_key=True))
    if url is None and pypi is None and not bad & {"url", "pypi", "lock"}:
        hint = 'write url = "https://...", pypi = "name==version" or lock = "Cargo.lock"'
        mistakes.append(Mistake((), 'none of "url", "pypi" and "lock" is given', hint, at_key=True))
    elif sha256 is None and not bad & {"sha256", "lock"}:
        mistakes.append(Mistake((), '"sha256" is missing', "it is a string", at_key=True))
    for key in ("format", "options"):
        if table.get(key):
            mistakes.append(Mistake((key,), f'"{key}" is for lock files', 'give "lock", or remove it', at_key=True))
    return mistakes


def _check_lock(table: dict[str, Any]) -> list[Mistake]:
    mistakes = []
    if not table["lock"]:
        mistakes.append(Mistake(("lock",), '"lock" is empty', 'write lock = "Cargo.lock"'))
    for key in ("sha256", "url", "pypi", "strip_prefix"):
        if key in table:
            hint = "the lock file has the hashes" if key == "sha256" else "keep one of the two"
            mistakes.append(Mistake((key,), f'"{key}" and "lock" are both given', hint, at_key=True))
    return mistakes


def _is_repository(name: str) -> bool:
    try:
        return parse_label(f"@{name}//:_").repository == name and name not in (".", "..")
    except ValueError:
        return False
