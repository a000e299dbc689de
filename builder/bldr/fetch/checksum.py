"""Which digest an open file has."""

import hashlib
from io import BufferedRandom, BufferedReader

from bldr.fetch.archive import read_archive
from bldr.fetch.names import HostileArchiveError
from bldr.fetch.pins import GO
from bldr.fetch.source import Limits


def digest_of(file: BufferedReader | BufferedRandom, algorithm: str, limits: Limits) -> str:
    """The digest of an open file, in hexadecimal digits. Raises HostileArchiveError for an archive that is none."""
    file.seek(0)
    return _h1_of(file, limits) if algorithm == GO else hashlib.file_digest(file, algorithm).hexdigest()


def _h1_of(file: BufferedReader | BufferedRandom, limits: Limits) -> str:
    """Go's digest of the files in a zip archive; what is none stands for a single file named go.mod.

    Source: https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash
    """
    head = file.read(2)
    file.seek(0)
    if head != b"PK":
        return hashlib.sha256(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  go.mod\n".encode()).hexdigest()
    lines: list[tuple[bytes, str]] = []
    for member in read_archive(file, limits):
        checksum = hashlib.sha256()
        for piece in member.content:
            checksum.update(piece)
        name = member.name + "/" if member.kind == "directory" and not member.name.endswith("/") else member.name
        if member.kind not in ("file", "directory") or "\n" in name:
            raise HostileArchiveError("the archive holds what no module of Go may: links, or names of several lines")
        lines.append((name.encode("utf-8", "surrogateescape"), checksum.hexdigest()))
    whole = hashlib.sha256()
    for name_bytes, digest in sorted(lines):
        whole.update(digest.encode() + b"  " + name_bytes + b"\n")
    return whole.hexdigest()
