"""Runs in a sandbox: writes an archive whose bytes follow from the names, contents and modes of its files alone.

    write_archive.py ARCHIVE SPEC

`SPEC` is a JSON object: `format`, `entries` (pairs of a name in the archive and a path; a directory stands for all
below it), `modes` (pattern -> octal digits, the last that matches counts) and `mtime`. Entries are sorted by their
names, belong to user and group 0, and have one time. The standard library's zlib and xz compress: others may write
other bytes, and are another toolchain.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import json
import lzma
import os
import stat
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from typing import IO, Any

_LEVEL = 9
_PRESET = 6


def main(made: str, spec_path: str) -> int:
    with open(spec_path, encoding="utf-8") as file:
        spec = json.load(file)
    entries: dict[str, str] = {}
    for name, path in spec["entries"]:
        for inner, found in _files(name, path):
            if inner in entries:
                sys.stderr.write(f'"{entries[inner]}" and "{found}" would both be "{inner}"\n')
                return 1
            entries[inner] = found
    with open(made, "wb") as file:
        (_write_zip if spec["format"] == "zip" else _write_tar)(file, sorted(entries.items()), spec)
    return 0


def _files(name: str, path: str) -> Iterator[tuple[str, str]]:
    """Name and path of a file, or of all that is in a directory; links are entries of their own."""
    if os.path.islink(path) or not os.path.isdir(path):
        yield name, path
        return
    for entry in os.listdir(path):
        yield from _files(f"{name}/{entry}" if name else entry, f"{path}/{entry}")


def _mode(name: str, path: str, spec: dict[str, Any]) -> int:
    chosen = 0o755 if os.access(path, os.X_OK) else 0o644
    for pattern, digits in spec["modes"].items():
        if fnmatch.fnmatchcase(name, pattern):
            chosen = int(digits, 8)
    return chosen


def _write_tar(file: IO[bytes], entries: list[tuple[str, str]], spec: dict[str, Any]) -> None:
    if spec["format"] == "tar.gz":
        with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
            _add_all(packed, entries, spec)
    elif spec["format"] == "tar.xz":
        with lzma.LZMAFile(file, "wb", preset=_PRESET) as packed:
            _add_all(packed, entries, spec)
    else:
        _add_all(file, entries, spec)


def _add_all(packed: Any, entries: list[tuple[str, str]], spec: dict[str, Any]) -> None:
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in entries:
            entry = tarfile.TarInfo(name)
            entry.mtime = spec["mtime"]
            if os.path.islink(path):
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
                archive.addfile(entry)
                continue
            entry.mode, entry.size = _mode(name, path, spec), os.stat(path).st_size
            with open(path, "rb") as content:
                archive.addfile(entry, content)


def _write_zip(file: IO[bytes], entries: list[tuple[str, str]], spec: dict[str, Any]) -> None:
    when = time.gmtime(spec["mtime"])[:6]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, path in entries:
            entry = zipfile.ZipInfo(name, when)
            entry.create_system = 3  # Unix, wherever it is written
            entry.compress_type = zipfile.ZIP_DEFLATED
            if os.path.islink(path):
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(entry, os.readlink(path))
                continue
            entry.external_attr = (stat.S_IFREG | _mode(name, path, spec)) << 16
            entry.file_size = os.stat(path).st_size  # above 2 GiB it decides the form of the header
            with open(path, "rb") as content, archive.open(entry, "w") as into:
                while chunk := content.read(io.DEFAULT_BUFFER_SIZE * 16):
                    into.write(chunk)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
