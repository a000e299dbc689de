"""Archives as a stream of members, strictly: what a lenient reader would skip, guess or repair is refused."""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, Literal, NamedTuple

from bldr.fetch.expand import MAGIC, Budget, Expanded
from bldr.fetch.names import HostileArchiveError, printable, shown
from bldr.fetch.source import Limits

_CHUNK_BYTES = 1 << 17
_BLOCK_BYTES = 512
_EXTENSION_BYTES = 16 << 10  # of one pax or GNU header: a path of 1,024 bytes and some attributes
_ZIP_DIRECTORY_BYTES = 64 << 20
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # LZMA could ask for any memory
_ZIP_UTF8 = 0x800
_ZIP_UNREADABLE = 0x1 | 0x20 | 0x40  # encrypted, patch data, strong encryption
_UNIX = 3

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,  # bz2 in a zip
    RecursionError,  # tarfile, for a chain of extended headers
    RuntimeError,  # zipfile, for what needs a password or a compression that it does not know
    ValueError,
    struct.error,
)


class Member(NamedTuple):
    """One member as the archive describes it; nothing of it has been checked but its kind.

    `target` is the target of a link, or the archive's name of the file that a hard link is another name of. `content`
    gives a file's bytes in pieces, until the next member is asked for.
    """

    name: str
    kind: Literal["file", "directory", "link", "hardlink"]
    size_bytes: int = 0
    executable: bool = False
    target: str = ""
    content: Iterable[bytes] = ()


def read_archive(file: BinaryIO, limits: Limits) -> Iterator[Member]:
    """The members of a tar (plain, gzip, bzip2, xz) or zip archive, told apart by content, in the archive's order.

    `file` must be seekable. Raises HostileArchiveError for anything that is not exactly one whole archive.
    """
    size_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(_BLOCK_BYTES)
    file.seek(0)
    budget = Budget(size_bytes, limits)
    if head.startswith((b"PK\x03\x04", _ZIP_END)):
        yield from _read_zip(file, size_bytes, budget, limits)
        return
    for magic, compression in MAGIC.items():
        if head.startswith(magic):
            expanded = io.BufferedReader(Expanded(file, compression, budget), _CHUNK_BYTES)
            yield from _read_tar(expanded)
            return
    if head[257:262] == b"ustar":
        yield from _read_tar(file)
        return
    raise HostileArchiveError("the file is not a tar (plain, gzip, bzip2, xz) or zip archive")


@contextmanager
def _refusing_damage() -> Iterator[None]:
    """Turns what the readers of the standard library raise for a damaged archive into a refusal."""
    try:
        yield
    except _DAMAGE as error:
        raise HostileArchiveError(f"the archive is damaged: {printable(str(error))}") from error


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    with _refusing_damage():
        while piece := content.read(_CHUNK_BYTES):
            yield piece


class _StrictHeader(tarfile.TarInfo):
    """A tar header; damage ends the reading, where tarfile would take it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_StrictHeader":
        header = super().frombuf(buf, encoding, errors)
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise HostileArchiveError(f"the archive holds the sparse file {shown(header.name)}")
        is_extension = header.type in (
            tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )  # fmt: skip
        if is_extension and header.size > _EXTENSION_BYTES:
            raise HostileArchiveError(f"the archive holds an extended header of {header.size} bytes")
        return header

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_StrictHeader":
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]
            raise HostileArchiveError(
                "the archive ends in the middle: the blocks that mark its end are missing"
            ) from error
        except (tarfile.HeaderError, ValueError, IndexError, KeyError) as error:
            raise HostileArchiveError(f"the archive holds a damaged header: {printable(str(error))}") from error


def _read_tar(stream: BinaryIO | io.BufferedReader) -> Iterator[Member]:
    with (
        _refusing_damage(),
        tarfile.open(
            fileobj=stream,
            mode="r|",
            bufsize=_CHUNK_BYTES,
            tarinfo=_StrictHeader,
            encoding="utf-8",
            errors="surrogateescape",
        ) as tar,
    ):
        while (header := tar.next()) is not None:
            yield _tar_member(tar, header)
            tar.members.clear()  # type: ignore[attr-defined]  # else memory grows with the number of members
        while rest := tar.fileobj.read(_CHUNK_BYTES):  # after the block that ends the archive
            if rest.strip(b"\0"):
                raise HostileArchiveError("something follows the end of the archive")


def _tar_member(tar: tarfile.TarFile, header: tarfile.TarInfo) -> Member:
    if header.size < 0:  # a pax header can say so
        raise HostileArchiveError(f"the archive holds {shown(header.name)} with a negative size")
    if header.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
        if header.issparse():
            raise HostileArchiveError(f"the archive holds the sparse file {shown(header.name)}")
        executable = bool(header.mode & 0o111)
        content = tar.extractfile(header)
        assert content is not None, "tarfile gives every regular file a content"
        return Member(header.name, "file", header.size, executable, content=_pieces(content))
    if header.type == tarfile.DIRTYPE:
        return Member(header.name, "directory")
    if header.type == tarfile.SYMTYPE:
        return Member(header.name, "link", target=header.linkname)
    if header.type == tarfile.LNKTYPE:
        return Member(header.name, "hardlink", target=header.linkname)
    what = {
        tarfile.CHRTYPE: "character device",
        tarfile.BLKTYPE: "block device",
        tarfile.FIFOTYPE: "fifo",
    }.get(header.type, f"member of the unknown type {header.type!r}")
    raise HostileArchiveError(f"the archive holds the {what} {shown(header.name)}")


def _read_zip(file: BinaryIO, size_bytes: int, budget: Budget, limits: Limits) -> Iterator[Member]:
    _check_zip_end(file, size_bytes)
    with _refusing_damage(), zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_zip_layout(members, archive.start_dir)
        for info in members:
            yield from _zip_member(archive, info, budget, limits)


def _check_zip_end(file: BinaryIO, size_bytes: int) -> None:
    """The end record must be the end of the file, and the directory small enough to be read into memory."""
    start = max(size_bytes - _ZIP_END_BYTES - 0xFFFF, 0)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_ZIP_END)  # as every reader looks for it: a comment that holds another is refused
    if at < 0 or at + _ZIP_END_BYTES + int.from_bytes(tail[at + 20 : at + 22], "little") != len(tail):
        raise HostileArchiveError("the archive's end record is missing, or something follows it")
    count = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory_bytes = int.from_bytes(tail[at + 12 : at + 16], "little")
    if count == 0xFFFF or directory_bytes > _ZIP_DIRECTORY_BYTES:
        raise HostileArchiveError("the zip archive holds more members than are accepted (65,534)")


def _check_zip_layout(members: list[zipfile.ZipInfo], directory_offset: int) -> None:
    """Members must start at the file's first byte and not overlap: overlapping ones are how a small bomb is built."""
    end = 0
    for info in sorted(members, key=lambda info: info.header_offset):
        if info.header_offset < end or (end == 0 and info.header_offset):
            raise HostileArchiveError(f"the member {shown(info.orig_filename)} is not where the one before it ends")
        end = info.header_offset + 30 + info.compress_size
    if end > directory_offset:
        raise HostileArchiveError("the archive's last member overlaps its directory")


def _zip_name(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    if not info.flag_bits & _ZIP_UTF8:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            raise HostileArchiveError(f"the name {shown(name)} is not UTF-8") from None
    if "\\" in name:
        raise HostileArchiveError(f"the name {shown(name)} holds a backslash, which some systems take for a slash")
    return name


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, limits: Limits) -> Iterator[Member]:
    name = _zip_name(info)
    if info.flag_bits & _ZIP_UNREADABLE:
        raise HostileArchiveError(f"the member {shown(name)} is encrypted")
    if info.compress_type not in _ZIP_METHODS:
        raise HostileArchiveError(f"the member {shown(name)} is compressed by the method {info.compress_type}")
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    kind = stat.S_IFMT(mode)
    budget.spend(info.file_size)
    if name.endswith("/"):
        if kind not in (0, stat.S_IFDIR) or info.file_size:
            raise HostileArchiveError(f"the member {shown(name)} is named as a directory and is none")
        yield Member(name, "directory")
    elif kind == stat.S_IFDIR:
        yield Member(name, "directory")
    elif kind == stat.S_IFLNK:
        if info.file_size > limits.name_bytes:
            raise HostileArchiveError(f"the link {shown(name)} has an overlong target")
        try:
            target = archive.read(info).decode()
        except UnicodeError:
            raise HostileArchiveError(f"the target of the link {shown(name)} is not UTF-8") from None
        yield Member(name, "link", target=target)
    elif kind in (0, stat.S_IFREG):
        with archive.open(info) as content:
            yield Member(name, "file", info.file_size, bool(mode & 0o111), content=_pieces(content))
    else:
        raise HostileArchiveError(f"the archive holds {shown(name)}, which is no file, directory or link")
