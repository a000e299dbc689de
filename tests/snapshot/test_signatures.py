"""Proofs by stat: what Python answers, and that C answers the same."""

import _thread
import hashlib
import os
import re
import sys
from array import array
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bldr.snapshot import proofs
from bldr.snapshot.proofs import FREE, UNFOLLOWED, differing, differing_by_two, differing_here, numbers


def of(directory, names, *, follow=True):
    """The packed signatures of files in a directory."""
    look = os.stat if follow else os.lstat
    return array("q", [number for name in names for number in numbers(look(directory / name))]).tobytes()


def in_c():
    """What was compiled; where nothing was, the test is skipped."""
    compiled = proofs.compiled()
    if compiled is None:
        pytest.skip("the compiled loop is not there: install bldr where there are a C compiler and Python's headers")
    return compiled


@pytest.fixture(params=("python", "c"))
def here(request):
    return differing_here if request.param == "python" else in_c()


@pytest.fixture
def files(tmp_path):
    names = ("a", "b b", "ü", os.fsdecode(b"\xff\xfe"), "line\nfeed")
    for name in names:
        (tmp_path / name).write_text(name.encode("utf-8", "surrogateescape").hex())
    return tmp_path, names


def test_nothing_differs(here, files):
    directory, names = files
    assert here(str(directory), names, of(directory, names), True) == []
    assert here(str(directory), (), b"", True) == []


@pytest.mark.parametrize("number", range(5))
def test_every_number_of_a_signature_counts(here, files, number):
    directory, names = files
    packed = array("q", of(directory, names))
    packed[5 * 2 + number] ^= 1
    assert here(str(directory), names, packed.tobytes(), True) == [2]


def test_all_that_differ_are_named_in_order(here, files):
    directory, names = files
    packed = of(directory, names)
    for name in (names[3], names[0]):
        (directory / name).write_text("longer than before, whatever it was before")
    assert here(str(directory), names, packed, True) == [0, 3]


def test_what_cannot_be_looked_at_is_no_proof(here, files):
    directory, names = files
    packed = of(directory, names)
    (directory / "a").unlink()
    assert here(str(directory), names, packed, True) is None
    assert here(str(directory / "ü"), names, packed, True) is None
    assert here(str(directory / "nowhere"), names, packed, True) is None


def test_links_are_followed_or_not(here, tmp_path):
    (tmp_path / "file").write_text("1")
    (tmp_path / "link").symlink_to("file")
    followed, itself = of(tmp_path, ["link"]), of(tmp_path, ["link"], follow=False)
    assert here(str(tmp_path), ("link",), followed, True) == []
    assert here(str(tmp_path), ("link",), itself, False) == []
    assert here(str(tmp_path), ("link",), followed, False) == [0]
    (tmp_path / "file").write_text("22")
    assert here(str(tmp_path), ("link",), followed, True) == [0]
    assert here(str(tmp_path), ("link",), itself, False) == []


def test_no_descriptor_is_left_open(here, files):
    directory, names = files
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        here(str(directory), names, of(directory, names), True)
        here(str(directory), ("none",), bytes(40), True)
    assert os.listdir("/proc/self/fd") == before


def test_the_compiled_one_refuses_what_it_cannot_read():
    compiled = in_c()
    for names, packed in ((("a",), bytes(39)), (("a", "b"), bytes(40)), (("a\0b",), bytes(40))):
        with pytest.raises(ValueError, match=r"five numbers|null character"):
            compiled("/", names, packed, True)
    with pytest.raises(TypeError):
        compiled("/", ["a"], bytes(40), True)
    with pytest.raises(TypeError):
        compiled("/", (1,), bytes(40), True)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_both_answer_the_same(tmp_path, data):
    compiled = in_c()
    present = ["a", "b", "c"]
    for name in present:
        (tmp_path / name).touch()
    names = tuple(data.draw(st.lists(st.sampled_from([*present, "gone"]), max_size=6, unique=True)))
    packed = array(
        "q", [n for name in names for n in (numbers(os.stat(tmp_path / name)) if name != "gone" else (0,) * 5)]
    )
    for at in data.draw(st.lists(st.integers(0, max(0, len(packed) - 1)), max_size=3)):
        if packed:
            packed[at] += data.draw(st.sampled_from([-1, 1, 1 << 40]))
    arguments = str(tmp_path), names, packed.tobytes(), data.draw(st.booleans())
    assert compiled(*arguments) == differing_here(*arguments)


def test_the_source_and_the_module_have_one_version():
    source = (Path(proofs.__file__).parent / "signatures.c").read_text()
    assert re.search(r"^#define VERSION (\d+)", source, re.MULTILINE)[1] == str(proofs._COMPILED_VERSION)


def test_it_was_compiled_from_the_source_beside_it():
    in_c()
    from bldr.snapshot import _signatures

    source = (Path(proofs.__file__).parent / "signatures.c").read_bytes()
    assert hashlib.sha256(source).hexdigest() == _signatures.SOURCE, "install again: `make test` does it"


def test_no_format_takes_a_length():
    """Compiled with the headers of 3.13, one that does ends in a SystemError under 3.11 and 3.12."""
    source = (Path(proofs.__file__).parent / "signatures.c").read_text()
    formats = re.findall(r'PyArg_ParseTuple\(\w+, "([^"]*)"', source)
    assert formats and not any("#" in one for one in formats)


def test_names_in_another_encoding_are_left_to_python(monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    assert proofs.compiled() is None


def test_another_version_is_not_believed(monkeypatch):
    monkeypatch.setattr(proofs, "_COMPILED_VERSION", 0)
    assert proofs.compiled() is None


@pytest.mark.parametrize("is_compiled", (True, False))
def test_two_halves_are_one_answer(tmp_path, monkeypatch, is_compiled):
    if not is_compiled:
        monkeypatch.setattr(proofs, "compiled", lambda: None)
    else:
        in_c()
    from bldr.snapshot.files import encoded

    groups = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        groups.append((FREE, str(tmp_path / name), ("file",), of(tmp_path / name, ["file"])))
    halves, firsts = [memoryview(encoded([group])) for group in groups], [0, 1]
    assert differing_by_two(halves, firsts, ()) == []
    (tmp_path / "two" / "file").write_text("changed")
    assert differing_by_two(halves, firsts, ()) == [(1, 0)]
    (tmp_path / "one" / "file").write_text("changed")
    assert differing_by_two(halves, firsts, ()) == [(0, 0), (1, 0)]
    if is_compiled:  # where no thread can be had, one does both

        def refuse(*_):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(_thread, "start_new_thread", refuse)
            assert differing_by_two(halves, firsts, ()) == [(0, 0), (1, 0)]
    (tmp_path / "two" / "file").unlink()
    assert differing_by_two(halves, firsts, ()) is None


def test_only_sources_may_differ(tmp_path):
    (tmp_path / "file").write_text("1")
    packed = of(tmp_path, ["file"])
    (tmp_path / "file").write_text("22")
    assert differing([(FREE, str(tmp_path), ("file",), packed)], 7, ()) == [(7, 0)]
    assert differing([(UNFOLLOWED, str(tmp_path), ("file",), packed)], 7, ()) is None
    assert differing([(UNFOLLOWED, str(tmp_path), ("file",), packed)], 7, {(7, 0)}) == [(7, 0)]
