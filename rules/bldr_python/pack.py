"""Runs in a sandbox: packs a program into one file that every Python runs, the same bytes for the same inputs.

    pack.py PROGRAM SPEC START

`SPEC` is a JSON object: `main` and `call` (see start.py), `roots` (import roots of the tree), `sites` (import roots
that hold distributions, innermost first), `files` and `bytecode` (paths of the tree; a directory stands for all below
it). What is below a site goes to the archive's top, as an installer would put it; all else keeps its path, below
`.tree`. Nothing is compressed and no time is kept: how well a library packs must not show.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

TREE = ".tree"
_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NATIVE = re.compile(r"\.(so(\.[0-9]+)*|dylib|pyd|dll)$")


def main(program: str, spec_path: str, start_path: str) -> int:
    with open(spec_path, encoding="utf-8") as file:
        spec = json.load(file)
    entries = _entries(spec)
    digest = hashlib.sha256()
    native = False
    with open(program, "wb") as made:
        made.write(_SHEBANG)
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted({*entries, *_directories(entries)}):
                if name.endswith("/"):
                    _add(archive, name, b"", 0o40755)
                    continue
                with open(entries[name], "rb") as source:
                    content = source.read()
                digest.update(b"%s\0%d\0%s" % (name.encode(), len(content), content))
                native = native or _NATIVE.search(name) is not None
                _add(archive, name, content, 0o100755 if os.access(entries[name], os.X_OK) else 0o100644)
            told = {
                "main": spec["main"],
                "call": spec["call"],
                "roots": [f"{TREE}/{root}" if root != "." else TREE for root in spec["roots"]],
                "unpack": digest.hexdigest() if native else "",
            }
            with open(start_path, encoding="utf-8") as file:
                start = file.read()
            _add(archive, "__main__.py", f"{start}\n\nstart({told!r})\n".encode(), 0o100644)
    os.chmod(program, 0o755)  # noqa: S103  # a program for everybody
    return 0


def _entries(spec: dict[str, Any]) -> dict[str, str]:
    """Name in the archive -> path in the tree. What two distributions both hold is taken from the first."""
    entries: dict[str, str] = {}
    for path in spec["files"]:
        for file in _files(path):
            entries.setdefault(_place(file, spec["sites"]), file)
    for directory in spec["bytecode"]:
        for file in _files(directory):
            source = os.path.relpath(file, directory)
            entries.setdefault(_place(source, spec["sites"]), file)
    entries.pop("__main__.py", None)
    return entries


def _place(path: str, sites: list[str]) -> str:
    for site in sites:
        if path.startswith(f"{site}/"):
            return path[len(site) + 1 :]
    return f"{TREE}/{path}"


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for directory, directories, names in os.walk(path):
        directories.sort()
        for name in sorted(names):
            yield os.path.join(directory, name)


def _directories(names: Iterable[str]) -> set[str]:
    """All directories, which Python looks for where a package has no `__init__.py`."""
    found: set[str] = set()
    for name in names:
        while "/" in name:
            name = name.rpartition("/")[0]
            found.add(f"{name}/")
    return found


def _add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # Unix, wherever it is packed
    entry.external_attr = mode << 16
    archive.writestr(entry, content)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
