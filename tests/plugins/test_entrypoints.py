"""Entry points are those that `importlib.metadata` finds, whatever lies on `sys.path`."""

import subprocess
import sys
from importlib import metadata

import pytest

from bldr.entrypoints import EntryPoint, entry_points


def by_the_library(group):
    found = []
    for point in metadata.entry_points(group=group):
        head = point.dist.metadata
        found.append(EntryPoint(point.name, point.value, head["Name"] or "", head["Version"] or ""))
    return sorted(found)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that makes a directory on `sys.path`, behind the others, with files in it."""
    made = []

    def install(files):
        directory = tmp_path / f"lib{len(made)}"
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        made.append(str(directory))
        monkeypatch.setattr(sys, "path", [*sys.path, str(directory)])
        return directory

    return install


def described(name, version, points, kind="dist-info/METADATA"):
    head = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: one\n   and\n   more: of it\n\nName: no\n"
    )
    stem, file = f"{name}-{version}.{kind}".rsplit("/", 1)
    return {f"{stem}/{file}": head, f"{stem}/entry_points.txt": points}


@pytest.mark.parametrize("group", ["bldr", "console_scripts", "pytest11", "no.such.group"])
def test_here(group):
    assert sorted(entry_points(group)) == by_the_library(group)


def test_bldr_is_among_them():
    assert {point.distribution for point in entry_points("bldr")} >= {"bldr"}


TEXT = """
[other]
a = other:a
[toys]
# b = no:b
  one=toys.one:Class.method
two = toys.two [extra, more]
three   =   toys.three : attribute
[toys.more]
c = no:c
[toys]
four = toys.four=x
"""


def test_what_is_written(installed):
    installed(described("Toy.Box", "1.0", TEXT))
    found = sorted(entry_points("toys"))
    assert found == by_the_library("toys")
    assert [(point.name, point.value, point.distribution, point.version) for point in found] == [
        ("four", "toys.four=x", "Toy.Box", "1.0"),
        ("one", "toys.one:Class.method", "Toy.Box", "1.0"),
        ("three", "toys.three : attribute", "Toy.Box", "1.0"),
        ("two", "toys.two [extra, more]", "Toy.Box", "1.0"),
    ]


@pytest.mark.parametrize(
    "files",
    [
        described("toy", "1", "[toys]\na = a\n", "egg-info/PKG-INFO"),
        described("toy", "1", "[toys]\na = a\n", "DIST-INFO/METADATA"),
        {"toy-1.egg-info": "Name: toy\n"},
        {"toy-1.dist-info/entry_points.txt": "[toys]\na = a\n"},
        {"toy-1.dist-info/METADATA": "Name: toy\nVersion: 1\n"},
        {"toy.dist-info/METADATA": "Name: toy\nVersion: 1\n", "toy.dist-info/entry_points.txt": "[toys]\na=b:c\n"},
        {**described("toy", "1", "[toys]\na = a\n"), **described("another_toy", "2", "[toys]\na = b\n")},
        {"toy.py": "", "toy.txt": "[toys]"},
    ],
)
def test_what_is_installed(installed, files):
    installed(files)
    assert [tuple(point)[:2] for point in sorted(entry_points("toys"))] == [
        tuple(point)[:2] for point in by_the_library("toys")
    ]


def test_of_one_name_the_first_counts(installed):
    installed(described("toy.box", "1", "[toys]\na = first\n"))
    installed(described("Toy_Box", "2", "[toys]\nb = second\n"))
    assert [point.value for point in entry_points("toys")] == ["first"]
    assert sorted(entry_points("toys")) == by_the_library("toys")


def test_directories_that_are_not_there(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, "/no/such/directory", ""])
    assert sorted(entry_points("bldr")) == by_the_library("bldr")


def test_what_is_no_text(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])
    assert sorted(entry_points("bldr")) == by_the_library("bldr")


def test_what_describes_its_distributions_in_another_way(monkeypatch):
    class Described(metadata.Distribution):
        def read_text(self, filename):
            texts = {"METADATA": "Name: made-up\nVersion: 3\n", "entry_points.txt": "[toys]\na = made:up\n"}
            return texts.get(filename)

        def locate_file(self, path):
            return path

    class Finder:
        @classmethod
        def find_spec(cls, *_):
            return None

        @classmethod
        def find_distributions(cls, _context=None):
            return [Described()]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert entry_points("toys") == [EntryPoint("a", "made:up", "made-up", "3")]


def test_loading():
    assert EntryPoint("a", "os.path").load().join("a", "b") == "a/b"
    assert EntryPoint("a", "os : path.join [more]").load()("a", "b") == "a/b"
    with pytest.raises(ImportError):
        EntryPoint("a", "no_such_module_at_all:x").load()
    with pytest.raises(AttributeError):
        EntryPoint("a", "os:no.such").load()


def test_little_is_imported_for_it():
    code = "import sys; import bldr.plugins; bldr.plugins.load_plugins(); print('importlib.metadata' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
