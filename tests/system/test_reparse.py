"""Which reparse points are links, by their tags."""

import stat
from types import SimpleNamespace

import pytest

from bldr.system.reparse import Listing, as_posix, is_link, posix_target

SYMLINK, JUNCTION, UNIX, CLOUD, DEDUPLICATED = 0xA000000C, 0xA0000003, 0xA000001D, 0x9000001A, 0x80000013


def status(mode, attributes=0, tag=0):
    """As os.stat_result of Windows."""

    class Status(tuple):
        st_mode, st_file_attributes, st_reparse_tag, st_atime_ns, st_mtime_ns = mode, attributes, tag, 5, 6

    return Status((mode, 1, 2, 1, 0, 0, 7, 0, 0, 0))


@pytest.mark.parametrize(
    ("tag", "mode", "expected"),
    [
        (JUNCTION, stat.S_IFDIR, True),
        (UNIX, stat.S_IFREG, True),
        (SYMLINK, stat.S_IFLNK, True),
        (CLOUD, stat.S_IFDIR, False),
        (DEDUPLICATED, stat.S_IFREG, False),
    ],
)
def test_what_stands_for_another_name_is_a_link(tag, mode, expected):
    assert is_link(status(mode, 0x400, tag)) is expected
    assert stat.S_ISLNK(as_posix(status(mode, 0x400, tag)).st_mode) is expected


def test_a_tag_says_nothing_of_what_is_no_reparse_point():
    assert not is_link(status(stat.S_IFDIR, 0x10, JUNCTION))


def test_the_time_of_change_is_the_one_that_is_given():
    seen = as_posix(status(stat.S_IFREG | 0o777), 10**18)
    assert (seen.st_ctime_ns, seen.st_mtime_ns, stat.S_IMODE(seen.st_mode), seen.st_size) == (10**18, 6, 0o666, 7)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("..\\deep\\file", "../deep/file"),
        ("C:\\Users", "/C:/Users"),
        ("C:file", "/C:file"),
        ("\\\\?\\C:\\Users", "//?/C:/Users"),
        ("\\Users", "/Users"),
    ],
)
def test_where_a_link_leads_is_said_with_slashes(target, expected):
    assert posix_target(target) == expected


def test_a_listing_tells_junctions_from_directories():
    def entry(name, tag):
        made = status(stat.S_IFDIR, 0x410 if tag else 0x10, tag)
        return SimpleNamespace(
            name=name, path=name, stat=lambda **_: made, is_dir=lambda **_: True, is_file=lambda **_: False
        )

    found = Listing(iter([entry("directory", 0), entry("junction", JUNCTION)]))
    seen = {item.name: (item.is_symlink(), item.is_dir(follow_symlinks=False), item.is_dir()) for item in found}
    assert seen == {"directory": (False, True, True), "junction": (True, False, True)}
