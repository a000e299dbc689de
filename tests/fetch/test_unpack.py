"""Archives become trees, or are refused whole; hostile ones are made byte by byte."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bldr.api import FetchError
from bldr.fetch.names import HostileArchiveError
from bldr.fetch.source import Limits
from bldr.fetch.tree import MTIME_NS, remove_tree
from bldr.fetch.unpack import unpack

Tar = Callable[..., bytes]
Contents = Callable[[Path], dict[str, str]]


@pytest.fixture
def unpacked(tmp_path: Path, contents: Contents) -> Callable[..., dict[str, str]]:
    """Unpacks bytes below tmp_path/out/tree; whatever happens, nothing may appear beside it."""

    def call(data: bytes, strip_prefix: str = "", **limits: Any) -> dict[str, str]:
        out = tmp_path / "out"
        remove_tree(str(out))
        out.mkdir()
        before = sorted(os.listdir(tmp_path))
        try:
            unpack(io.BytesIO(data), str(out / "tree"), strip_prefix, Limits(**limits))
        finally:
            assert sorted(os.listdir(tmp_path)) == before
            assert os.listdir(out) in ([], ["tree"])
        return contents(out / "tree")

    return call


Unpacked = Callable[..., dict[str, str]]

TREE = [("top/", None), ("top/a", b"A"), ("top/d/b", b"B")]
WANTED = {"top": "/", "top/a": "A", "top/d": "/", "top/d/b": "B"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_tar(tar: Tar, unpacked: Unpacked, mode: str, format: int) -> None:
    long = "top/" + "n" * 180 + "/" + "m" * 180 if format != tarfile.USTAR_FORMAT else "top/n"
    assert unpacked(tar([*TREE, (long, b"L")], mode=mode, format=format))[long] == "L"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_every_kind_of_zip(unpacked: Unpacked, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = b"a comment"
        archive.writestr("top/", b"")
        archive.writestr("top/a", b"A")
        archive.writestr("top/d/b", b"B")
        archive.writestr("top/\u00e9", b"E")
    assert unpacked(buffer.getvalue()) == {**WANTED, "top/\u00e9": "E"}


def test_zip_links_and_modes(tmp_path: Path, unpacked: Unpacked) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, mode, content in [("run", 0o104755, b"x"), ("plain", 0o100644, b"y"), ("l", 0o120777, b"run")]:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = mode << 16
            archive.writestr(info, content)
    assert unpacked(buffer.getvalue()) == {"run": "x", "plain": "y", "l": "-> run"}
    assert stat.S_IMODE((tmp_path / "out/tree/run").stat().st_mode) == 0o555
    assert stat.S_IMODE((tmp_path / "out/tree/plain").stat().st_mode) == 0o444


def test_modes_owners_and_times_are_the_same_whatever_the_archive_says(
    tar: Tar, unpacked: Unpacked, tmp_path: Path
) -> None:
    unpacked(
        tar(
            [
                ("d/", {"type": tarfile.DIRTYPE, "mode": 0o7000}),
                ("d/suid", {"mode": 0o6777, "content": b"1", "uid": 4321, "mtime": 7}),
                ("d/none", {"mode": 0, "content": b"2"}),
                ("l", {"type": tarfile.SYMTYPE, "linkname": "d/suid"}),
            ]
        )
    )
    tree = tmp_path / "out/tree"
    modes = {name: stat.S_IMODE(os.lstat(tree / name).st_mode) for name in (".", "d", "d/suid", "d/none")}
    assert modes == {".": 0o755, "d": 0o755, "d/suid": 0o555, "d/none": 0o444}
    for name in (".", "d", "d/suid", "l"):
        assert os.lstat(tree / name).st_mtime_ns == MTIME_NS
        assert os.lstat(tree / name).st_uid == os.geteuid()


def test_links_of_both_kinds(tar: Tar, unpacked: Unpacked, tmp_path: Path) -> None:
    found = unpacked(
        tar(
            [
                ("p/a", b"A"),
                ("p/hard", {"type": tarfile.LNKTYPE, "linkname": "p/a"}),
                ("p/harder", {"type": tarfile.LNKTYPE, "linkname": "./p/hard"}),
                ("p/d/soft", {"type": tarfile.SYMTYPE, "linkname": "../a"}),
            ]
        ),
        "p",
    )
    assert found == {"a": "A", "hard": "A", "harder": "A", "d": "/", "d/soft": "-> ../a"}
    assert (tmp_path / "out/tree/a").stat().st_nlink == 3


def _special(kind: bytes) -> dict[str, Any]:
    return {"type": kind, "linkname": "/etc/passwd", "devmajor": 1, "devminor": 3}


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("/abs", b"x")], "absolute"),
        ([("a/../../up", b"x")], "climbs"),
        ([("../up", None)], "climbs"),
        ([("c\x1b[31m", b"x")], "control character"),
        ([("a", b"1"), ("a", b"2")], "twice"),
        ([("a", b"1"), ("./a", b"2")], "twice"),
        ([("a", b"1"), ("A", b"2")], "where case is ignored"),
        ([("a", b"1"), ("a/b", b"2")], "both as"),
        ([("a/b", b"1"), ("a", b"2")], "both as"),
        ([("l", {"type": tarfile.SYMTYPE, "linkname": "/etc"})], "absolute"),
        ([("l", {"type": tarfile.SYMTYPE, "linkname": "../.."})], "leaves"),
        ([("l", {"type": tarfile.SYMTYPE, "linkname": "."}), ("l/x", b"2")], "both as"),
        ([("d/x", b"1"), ("l", {"type": tarfile.SYMTYPE, "linkname": "d"}), ("l/x", b"2")], "both as"),
        ([("l/x", b"2"), ("l", {"type": tarfile.SYMTYPE, "linkname": "/tmp"})], "both as"),
        ([("h", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})], "absolute"),
        ([("h", {"type": tarfile.LNKTYPE, "linkname": "../x"})], "climbs"),
        ([("h", {"type": tarfile.LNKTYPE, "linkname": "h"})], "no file before it"),
        ([("h", {"type": tarfile.LNKTYPE, "linkname": "later"}), ("later", b"x")], "no file before it"),
        (
            [("l", {"type": tarfile.SYMTYPE, "linkname": "x"}), ("h", {"type": tarfile.LNKTYPE, "linkname": "l"})],
            "no file",
        ),
        ([("dev", _special(tarfile.CHRTYPE))], "character device"),
        ([("dev", _special(tarfile.BLKTYPE))], "block device"),
        ([("pipe", _special(tarfile.FIFOTYPE))], "fifo"),
        ([("odd", _special(b"Z"))], "unknown type"),
        ([("cont", _special(tarfile.CONTTYPE))], "unknown type"),
        ([("sparse", _special(tarfile.GNUTYPE_SPARSE))], "sparse"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_hostile_tars(tar: Tar, unpacked: Unpacked, members: list[tuple[str, Any]], why: str) -> None:
    with pytest.raises(HostileArchiveError, match=why) as caught:
        unpacked(tar([("first", b"1"), *members]))
    assert caught.value.message.isprintable()


def test_a_name_that_is_not_utf8(tar: Tar, unpacked: Unpacked) -> None:
    with pytest.raises(HostileArchiveError, match="not UTF-8"):
        unpacked(tar([("caf\xe9", b"x")], format=tarfile.GNU_FORMAT, encoding="latin-1"))


def test_a_pax_header_cannot_smuggle_a_name_a_size_or_a_sparse_map(tar: Tar, unpacked: Unpacked) -> None:
    for headers, why in [
        ({"path": "../up"}, "climbs"),
        ({"path": "a\0b"}, "control character|damaged"),
        ({"size": "-512"}, "negative|damaged"),
        ({"GNU.sparse.map": "0,1", "GNU.sparse.size": "99999999999"}, "sparse"),
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}, "sparse|damaged"),
    ]:
        with pytest.raises(HostileArchiveError, match=why):
            unpacked(tar([("a", {"content": b"0" * 600, "pax_headers": headers})], format=tarfile.PAX_FORMAT))


def test_a_huge_extended_header_is_refused_before_it_is_read(tar: Tar, unpacked: Unpacked) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        header = tarfile.TarInfo("x")
        header.type, header.size = kind, 8 << 30
        data = tar([("a", b"1")], mode="w")[:1024] + header.tobuf(tarfile.GNU_FORMAT)
        with pytest.raises(HostileArchiveError, match="extended header"):
            unpacked(data)


def test_a_chain_of_long_names_is_refused(unpacked: Unpacked) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2
    with pytest.raises(HostileArchiveError, match="damaged"):
        unpacked(gzip.compress((header.tobuf(tarfile.GNU_FORMAT) + b"n\0".ljust(512, b"\0")) * 5000))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_anything_behind_the_end_is_refused(tar: Tar, unpacked: Unpacked, mode: str) -> None:
    data = tar(TREE, mode=mode)
    with pytest.raises(HostileArchiveError, match="follows the end"):
        unpacked(data + b"x")
    with pytest.raises(HostileArchiveError, match="follows the end"):
        unpacked(data + b"\0" * 300_000 + b"x" * 600)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_zero_bytes_are_padding_and_streams_may_follow_each_other(tar: Tar, unpacked: Unpacked, mode: str) -> None:
    plain = tar(TREE, mode="w")
    compress = {"w:gz": gzip.compress, "w:bz2": bz2.compress, "w:xz": lzma.compress}[mode]
    parts = [compress(plain[at : at + 97]) for at in range(0, len(plain), 97)]
    assert unpacked(b"".join(parts) + b"\0" * 200_000) == WANTED


def test_a_second_archive_behind_the_first_is_refused(tar: Tar, unpacked: Unpacked) -> None:
    plain = tar(TREE, mode="w")
    with pytest.raises(HostileArchiveError, match="follows the end"):
        unpacked(gzip.compress(plain + plain))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_no_prefix_of_an_archive_is_taken_for_it(tar: Tar, unpacked: Unpacked, mode: str) -> None:
    data = tar([("a", bytes(range(256)) * 8), ("b", b"end")], mode=mode)
    whole = len(data) if mode != "w" else 512 + 2048 + 512 + 512  # what follows is the end mark
    for size in {*range(0, whole, 61), *range(0, whole + 1, 512)} - {len(data)}:
        with pytest.raises(HostileArchiveError):
            unpacked(data[:size])


def test_a_damaged_header_in_the_middle_is_no_end(tar: Tar, unpacked: Unpacked) -> None:
    data = bytearray(tar([("a", b""), ("b", b""), ("c", b"")], mode="w"))
    data[512 + 20] ^= 1
    with pytest.raises(HostileArchiveError, match="damaged header"):
        unpacked(bytes(data))


def test_bombs(tar: Tar, unpacked: Unpacked) -> None:
    zeros = bytes(3 << 20)
    with pytest.raises(HostileArchiveError, match="more than 1048576 bytes"):
        unpacked(tar([("a", zeros)]), unpacked_bytes=1 << 20)
    with pytest.raises(HostileArchiveError, match="times its size"):
        unpacked(tar([("a", zeros)]), expansion=10, expansion_free_bytes=1 << 20)
    with pytest.raises(HostileArchiveError, match="more than 3 members"):
        unpacked(tar([(f"f{number}", b"") for number in range(4)]), entries=3)
    with pytest.raises(HostileArchiveError, match="more than 4 directories"):
        unpacked(tar([("a/b/c/d/e", b"")]), depth=4)


def test_zip_bombs(zipped: Tar, unpacked: Unpacked) -> None:
    data = zipped([("a", bytes(3 << 20))])
    with pytest.raises(HostileArchiveError, match="times its size"):
        unpacked(data, expansion=10, expansion_free_bytes=1 << 20)
    lying = data.replace(struct.pack("<I", 3 << 20), struct.pack("<I", 5))
    with pytest.raises(HostileArchiveError):
        unpacked(lying)


def test_a_zip_of_overlapping_members_is_refused(zipped: Tar, unpacked: Unpacked) -> None:
    data = zipped([("a", b"x" * 100), ("b", b"x" * 100)])
    central = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", central + 4)
    both_first = data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :]
    with pytest.raises(HostileArchiveError, match=r"not where the one before it ends|damaged"):
        unpacked(both_first)


@pytest.mark.parametrize(
    ("name", "attributes", "why"),
    [
        ("/abs", {}, "absolute"),
        ("a/../../b", {}, "climbs"),
        ("a\\..\\b", {}, "backslash"),
        ("l", {"create_system": 3, "external_attr": 0o120777 << 16}, "leaves"),
        ("p", {"create_system": 3, "external_attr": 0o010644 << 16}, "no file, directory or link"),
        ("d/", {"create_system": 3, "external_attr": 0o100644 << 16}, "named as a directory"),
    ],
)
def test_hostile_zips(zipped: Tar, unpacked: Unpacked, name: str, attributes: dict[str, Any], why: str) -> None:
    with pytest.raises(HostileArchiveError, match=why):
        unpacked(zipped([(name, b"../../x")], **attributes))


def test_a_zip_with_a_name_behind_a_zero_byte_an_encrypted_member_or_a_foreign_method(
    zipped: Tar, unpacked: Unpacked
) -> None:
    data = zipped([("a_b", b"x")])
    with pytest.raises(HostileArchiveError, match="control character"):
        unpacked(data.replace(b"a_b", b"a\0b"))
    central = data.index(b"PK\1\2")
    encrypted = data[: central + 8] + b"\1" + data[central + 9 :]
    with pytest.raises(HostileArchiveError, match="encrypted"):
        unpacked(encrypted)
    foreign = data[: central + 10] + struct.pack("<H", zipfile.ZIP_LZMA) + data[central + 12 :]
    with pytest.raises(HostileArchiveError, match="method 14"):
        unpacked(foreign)


def test_a_zip_name_that_is_neither_ascii_nor_utf8(zipped: Tar, unpacked: Unpacked) -> None:
    data = zipped([("caf_", b"x")])
    assert unpacked(data.replace(b"caf_", b"ca\xc3\xa9")) == {"ca\xe9": "x"}
    with pytest.raises(HostileArchiveError, match="not UTF-8"):
        unpacked(data.replace(b"caf_", b"caf\xe9"))


def test_a_zip_with_something_before_or_behind_it(zipped: Tar, unpacked: Unpacked) -> None:
    data = zipped([("a", b"x")])
    assert unpacked(data) == {"a": "x"}
    with pytest.raises(HostileArchiveError, match="end record"):
        unpacked(data + b"x")
    with pytest.raises(HostileArchiveError, match="not where the one before"):
        unpacked(b"PK\3\4" + data)


def test_a_zip_with_two_end_records_is_refused(zipped: Tar, unpacked: Unpacked) -> None:
    data, other = zipped([("a", b"x")]), zipped([("b", b"y")])
    with_comment = data[:-2] + struct.pack("<H", len(other)) + other
    with pytest.raises(HostileArchiveError, match=r"end record|not where the one before|damaged"):
        unpacked(with_comment)
    with pytest.raises(HostileArchiveError, match="end record"):
        unpacked(data[:-2] + struct.pack("<H", 9) + b"PK\5\6 odd.")


def test_a_zip_whose_checksum_is_wrong(unpacked: Unpacked) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"right")
    with pytest.raises(HostileArchiveError, match="damaged"):
        unpacked(buffer.getvalue().replace(b"right", b"wrong"))


@pytest.mark.parametrize(
    "data", [b"", b"x", b"#!/bin/sh\n" * 200, zlib.compress(b"x" * 1000), b"\x1f\x8b", b"PK\3\4" * 9]
)
def test_what_is_no_archive(unpacked: Unpacked, data: bytes) -> None:
    with pytest.raises(HostileArchiveError):
        unpacked(data)


def test_xz_that_asks_for_too_much_memory(tar: Tar, unpacked: Unpacked) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    # A real compressor would need gigabytes for such a dictionary, so its size byte (37) is patched into a header.
    data = bytearray(lzma.compress(tar(TREE, mode="w"), filters=[{**filters[0], "dict_size": 1 << 20}]))
    at = data.index(b"\x21\x01") + 2
    data[at] = 37
    size = (data[12] + 1) * 4
    data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(bytes(data[12 : 12 + size - 4])))
    with pytest.raises(HostileArchiveError, match=r"[Mm]emory"):
        unpacked(bytes(data))


def test_strip_prefix(tar: Tar, unpacked: Unpacked) -> None:
    data = tar([*TREE, ("other", b"O")])
    assert unpacked(data, "top") == {"a": "A", "d": "/", "d/b": "B"}
    assert unpacked(data, "top/d/") == {"b": "B"}


@pytest.mark.parametrize(
    ("prefix", "message", "hint"),
    [
        ("topp", 'strip_prefix "topp" is not a directory of the archive, which holds "top/" at its top level', '"top"'),
        ("top/e/f", '"top/e/f" is not a directory of the archive, which holds "a", "d/" in "top"', ""),
        ("top/a", 'which holds "a", "d/" in "top"', ""),
    ],
)
def test_a_missing_prefix_says_what_is_there(
    tar: Tar, unpacked: Unpacked, prefix: str, message: str, hint: str
) -> None:
    with pytest.raises(FetchError) as caught:
        unpacked(tar(TREE), prefix)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_links_are_judged_by_the_tree_that_is_kept(tar: Tar, unpacked: Unpacked) -> None:
    link = {"type": tarfile.SYMTYPE, "linkname": "../a"}
    assert unpacked(tar([("a", b""), ("p/l", link)])) == {"a": "", "p": "/", "p/l": "-> ../a"}
    with pytest.raises(HostileArchiveError, match="leaves"):
        unpacked(tar([("a", b""), ("p/l", link)]), "p")
    with pytest.raises(FetchError, match="leaves what strip_prefix keeps"):
        unpacked(tar([("a", b""), ("p/l", {"type": tarfile.LNKTYPE, "linkname": "a"})]), "p")


def test_hostile_members_outside_of_the_prefix_count(tar: Tar, unpacked: Unpacked) -> None:
    for name in ("../up", "other/\x07"):
        with pytest.raises(HostileArchiveError):
            unpacked(tar([("p/a", b""), (name, b"")]), "p")


_KIND = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
_PATH = st.lists(st.sampled_from(["a", "b", "A", ".", "..", ""]), min_size=1, max_size=4).map("/".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_PATH, _KIND, _PATH), max_size=6))
def test_no_archive_writes_beside_its_tree(
    tar: Tar, unpacked: Unpacked, tmp_path: Path, members: list[tuple[str, bytes, str]]
) -> None:
    victim = tmp_path / "b"
    victim.write_text("untouched")
    try:
        unpacked(tar([(name, {"type": kind, "linkname": target}) for name, kind, target in members], mode="w"))
    except HostileArchiveError:
        pass
    finally:
        assert victim.read_text() == "untouched"
        assert victim.stat().st_nlink == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2400), st.binary(min_size=1, max_size=40), st.booleans())
def test_no_damage_makes_anything_but_a_refusal(
    tar: Tar, zipped: Tar, unpacked: Unpacked, at: int, patch: bytes, as_zip: bool
) -> None:
    data = zipped([("a/b", b"1"), ("c", b"2" * 300)]) if as_zip else tar([("a/b", b"1"), ("c", b"2" * 300)], mode="w")
    at %= len(data)
    try:
        unpacked(data[:at] + patch + data[at + len(patch) :])
    except HostileArchiveError as error:
        assert error.message.isprintable()


@pytest.mark.root
def test_device_nodes_are_refused_for_root_too(tar: Tar, unpacked: Unpacked) -> None:
    assert os.geteuid() == 0, "this test needs to run as root"
    with pytest.raises(HostileArchiveError, match="character device"):
        unpacked(tar([("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})]))
