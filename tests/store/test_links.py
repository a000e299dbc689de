"""Links made many at a time: what Python answers, and that C answers the same."""

import hashlib
import os
import re
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bldr.store import links

pytestmark = pytest.mark.posix("links by descriptors of directories")

MODIFIED_NS = 315532800 * 10**9 + 1


def in_c():
    """What was compiled; where nothing was, the test is skipped."""
    compiled = links.compiled()
    if compiled is None:
        pytest.skip("the compiled loop is not there: install bldr where there are a C compiler and Python's headers")
    return compiled


@pytest.fixture(params=("python", "c"))
def make(request):
    return links.make_links if request.param == "python" else in_c()


class Place:
    """Files `from/0`, `from/1`, ..., each as long as its number, and an empty directory `to`."""

    def __init__(self, top, count=5):
        self.top = top
        self.files = [top / "from" / str(number) for number in range(count)]
        for directory in ("from", "to"):
            (top / directory).mkdir()
        for number, file in enumerate(self.files):
            file.write_bytes(b"x" * number)
            file.chmod(0o444)
            os.utime(file, ns=(MODIFIED_NS, MODIFIED_NS))
        self.inodes = [file.stat().st_ino for file in self.files]
        self.wanted = [
            (file.name, stat.S_IFREG | 0o444, number, f"link {number}") for number, file in enumerate(self.files)
        ]

    def linked(self, make, modified_ns=MODIFIED_NS):
        """What was answered; `to` holds that, and nothing else."""
        descriptors = [os.open(self.top / directory, os.O_RDONLY) for directory in ("from", "to")]
        try:
            inodes = make(tuple(self.wanted), *descriptors, modified_ns)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return inodes


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_links_are_the_files_themselves(make, place):
    assert place.linked(make) == place.inodes
    names = sorted(os.listdir(place.top / "to"))
    assert [os.stat(place.top / "to" / name).st_ino for name in names] == place.inodes
    place.wanted = []
    assert place.linked(make) == []


def _replace(path, put):
    path.unlink()
    put(path)


def _is_fresh(path):
    path.write_bytes(b"xx")
    path.chmod(0o444)


ODD = {
    "gone": lambda place: place.files[2].unlink(),
    "modified": lambda place: os.utime(place.files[2], ns=(MODIFIED_NS, MODIFIED_NS + 1)),
    "modified a second before": lambda place: os.utime(place.files[2], ns=(0, MODIFIED_NS - 10**9)),
    "of another mode": lambda place: place.files[2].chmod(0o445),
    "another file": lambda place: _replace(place.files[2], _is_fresh),
    "a directory": lambda place: _replace(place.files[2], Path.mkdir),
    "a link to such a file": lambda place: (
        place.files[2].rename(place.top / "from" / "sound"),
        place.files[2].symlink_to("sound"),
    ),
    "longer than it may be": lambda place: place.wanted.__setitem__(2, (*place.wanted[2][:2], 1, "x")),
    "of no size that there is": lambda place: place.wanted.__setitem__(2, (*place.wanted[2][:2], 2 + (1 << 64), "x")),
    "no name": lambda place: place.wanted.__setitem__(2, ("2\0", *place.wanted[2][1:])),
    "the name of none": lambda place: place.wanted.__setitem__(2, ("\udcff", *place.wanted[2][1:])),
    "to have no name": lambda place: place.wanted.__setitem__(2, (*place.wanted[2][:3], "x\0")),
    "to have half a character": lambda place: place.wanted.__setitem__(2, (*place.wanted[2][:3], "\ud800")),
    "to stand in no directory": lambda place: place.wanted.__setitem__(2, (*place.wanted[2][:3], "x/y")),
    "to stand where something does": lambda place: (place.top / "to" / "link 2").symlink_to("nowhere"),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_ends_it(make, place, odd):
    ODD[odd](place)
    assert place.linked(make) == place.inodes[:2]
    assert not (place.top / "to" / "link 3").exists()


def test_nothing_is_linked_after_another_time(make, place):
    assert place.linked(make, MODIFIED_NS + 1) == []
    assert os.listdir(place.top / "to") == []


def test_only_python_knows_names_that_are_not_utf_8(place):
    name = os.fsdecode(b"\xff")
    place.wanted[2] = (*place.wanted[2][:3], name)
    assert place.linked(in_c()) == place.inodes[:2]
    del place.wanted[:2]
    assert place.linked(links.make_links) == place.inodes[2:]
    assert (place.top / "to" / name).stat().st_ino == place.inodes[2]


def test_a_file_has_as_many_links_as_it_may_have(make, place):
    most = os.pathconf(place.top, "PC_LINK_MAX")
    if not 100 < most < 70_000:
        pytest.skip("files of this file system may have more links than can be made here")
    (place.top / "many").mkdir()
    for number in range(most - 1):
        os.link(place.files[2], place.top / "many" / str(number))
    try:
        assert place.linked(make) == place.inodes[:2]
    finally:
        for number in range(most - 1):
            os.unlink(place.top / "many" / str(number))


def test_what_is_no_list_of_links_is_refused():
    compiled = in_c()
    for wanted in (["a"], (("a", 0, 0),), (("a", 0, 0, 1),), ((b"a", 0, 0, "a"),), (("a", "0", 0, "a"),)):
        with pytest.raises(TypeError):
            compiled(wanted, -1, -1, 0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_both_answer_the_same(tmp_path_factory, data):
    compiled = in_c()
    odd = data.draw(st.lists(st.sampled_from(sorted(ODD)), max_size=1))
    order = data.draw(st.lists(st.integers(0, 4), max_size=8))
    answers = []
    for make in (compiled, links.make_links):
        place = Place(tmp_path_factory.mktemp("place"))
        for one in odd:
            ODD[one](place)
        place.wanted = [place.wanted[number] for number in order]
        answers.append((list(map(place.inodes.index, place.linked(make))), sorted(os.listdir(place.top / "to"))))
    assert answers[0] == answers[1]


def test_the_source_and_the_module_have_one_version():
    source = (Path(links.__file__).parent / "links.c").read_text()
    assert re.search(r"^#define VERSION (\d+)", source, re.MULTILINE)[1] == str(links._COMPILED_VERSION)


def test_it_was_compiled_from_the_source_beside_it():
    in_c()
    from bldr.store import _links

    source = (Path(links.__file__).parent / "links.c").read_bytes()
    assert hashlib.sha256(source).hexdigest() == _links.SOURCE, "install again: `make test` does it"


def test_no_format_takes_a_length():
    """Compiled with the headers of 3.13, one that does ends in a SystemError under 3.11 and 3.12."""
    source = (Path(links.__file__).parent / "links.c").read_text()
    formats = re.findall(r'PyArg_ParseTuple\(\w+, "([^"]*)"', source)
    assert len(formats) == 2
    assert not any("#" in one for one in formats)


@pytest.fixture
def chosen():
    """What the process chooses, asked anew."""
    links.fastest.cache_clear()
    yield links.fastest
    links.fastest.cache_clear()


def test_the_compiled_one_is_chosen(chosen):
    assert chosen() is in_c()


def test_names_in_another_encoding_are_left_to_python(monkeypatch, chosen):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    assert chosen() is links.make_links


def test_another_version_is_not_believed(monkeypatch, chosen):
    monkeypatch.setattr(links, "_COMPILED_VERSION", 0)
    assert chosen() is links.make_links


def test_where_nothing_was_compiled_python_does_it(monkeypatch, chosen):
    monkeypatch.setitem(sys.modules, "bldr.store._links", None)
    assert chosen() is links.make_links
