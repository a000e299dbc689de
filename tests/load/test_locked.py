"""The tree that packages of a lock file make together: what loading and a plugin see of it, and where it lies."""

import os
from pathlib import Path

import pytest

from bldr.load.directories import Directory, Kind, walk
from bldr.load.glob import match_pattern
from bldr.load.locked import LockedPackages, Tree


@pytest.fixture
def packages(tmp_path):
    """Function: path in the tree -> the files of a package there, or the text of one file."""

    def make(contents):
        mounts = {}
        for number, (path, content) in enumerate(contents.items()):
            host = tmp_path / f"entry{number}"
            if isinstance(content, str):
                host.write_text(content)
            else:
                host.mkdir()
                for name, text in content.items():
                    (host / name).parent.mkdir(parents=True, exist_ok=True)
                    (host / name).write_text(text)
            mounts[path] = str(host)
        return LockedPackages("dep", mounts, None, "dep.lock", "a plugin")

    return make


NODE = {
    "node_modules/a": {"package.json": "a", "node_modules/b/old": "bundled", "lib/x.js": "x"},
    "node_modules/a/node_modules/b": {"package.json": "b in a"},
    "node_modules/@scope/b": {"package.json": "b"},
    "jars/one.jar": "a jar",
}


def test_packages_inside_packages(packages):
    made = packages(NODE)
    top = made.directory()
    files = {
        f"{directory.path}/{name}": directory
        for directory in walk(top, ())
        for name, kind in directory.entries.items()
        if kind is Kind.FILE
    }
    assert sorted(files) == [
        "external/dep/jars/one.jar",
        "external/dep/node_modules/@scope/b/package.json",
        "external/dep/node_modules/a/lib/x.js",
        "external/dep/node_modules/a/node_modules/b/package.json",
        "external/dep/node_modules/a/package.json",
    ]
    for path in files:
        assert Path(made.host_path(path.removeprefix("external/dep/"))).is_file()
    assert Path(made.host_path("node_modules/a/node_modules/b/package.json")).read_text() == "b in a"
    assert match_pattern(top, "node_modules/a/**/*.js") == ["node_modules/a/lib/x.js"]


def test_what_lies_nowhere(packages):
    made = packages(NODE)
    for path in ("node_modules", "node_modules/c", "jars/two.jar", "", "node_modules/a/node_modules/b/old"):
        assert not os.path.lexists(made.host_path(path)), path


def test_what_a_plugin_may_read(packages):
    tree = Tree(packages(NODE))
    assert tree.names() == ("jars/", "node_modules/")
    assert tree.names("node_modules") == ("@scope/", "a/")
    assert tree.names("node_modules/a") == ("lib/", "node_modules/", "package.json")
    assert tree.read("jars/one.jar") == b"a jar"
    assert tree.read("node_modules/a/lib/x.js") == b"x"
    for path in ("../entry0/package.json", "node_modules/a/../a/package.json", "/etc/passwd", "", "jars/none.jar"):
        with pytest.raises(FileNotFoundError):
            tree.read(path)
    for path in ("none", "jars/one.jar", "node_modules/a/.."):
        with pytest.raises(FileNotFoundError):
            tree.names(path)


def test_a_package_where_another_has_a_file(packages):
    made = packages({"a": {"node_modules": "a file"}, "a/node_modules/b": {"x": ""}})
    with pytest.raises(ValueError, match=r'"a/node_modules/b" cannot stand below "a/node_modules", which is no'):
        made.directory()


def test_a_directory_that_is_nowhere_has_no_listing_to_read():
    assert Directory.of({"a": Kind.FILE}, "x").entries == {"a": Kind.FILE}
