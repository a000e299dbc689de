"""Null builds of workspaces with sources from outside: what of them is proven, and what makes a whole build."""

import hashlib
import io
import os
import tarfile

import pytest

PLUGIN = """
from bldr.api import Locked, hook

class Toy:
    name = "toy"
    file_names = ("toy.lock",)
    environment = ()
    version = 1
    beside = ("toy.more",)

    def read(self, lock):
        return tuple(
            Locked(name=line, urls=(f"file:{name}.tar",), digest="sha256:" + digest, path=name)
            for line in lock.text.splitlines() for name, digest in [line.split()]
        )

    def builderfile(self, packages, tree, lock):
        more = lock.beside.get("toy.more", "").strip()
        return {"target": {package.path: {
            "type": "command", "sources": [package.path + "/*.txt"], "outputs": [package.path + ".out"],
            "command": f"cat $SRCS > $OUT; echo {more} >> $OUT", "visibility": "public",
        } for package in packages}}

@hook
def bldr_locks():
    return [Toy]
"""
BUILDERFILE = """
[workspace]
name = "demo"

[external.toys]
lock = "toy.lock"

[target.whole]
type = "command"
sources = ["@toys//:a"]
outputs = ["whole.out"]
command = "cat $SRCS > $OUT"
"""


def packed(text):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        header = tarfile.TarInfo("one.txt")
        header.size = len(text)
        tar.addfile(header, io.BytesIO(text))
    return buffer.getvalue()


@pytest.fixture
def toys(project, tmp_path):
    info = tmp_path / "site/toys-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bldr]\ntoys = toy_locks\n")
    (info.parent / "toy_locks.py").write_text(PLUGIN)
    project.write("Builderfile", BUILDERFILE)
    put(project, "a", b"one\n")
    search = os.pathsep.join([str(info.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    project.variables = {"PYTHONPATH": search}
    return project


def put(project, name, text):
    content = packed(text)
    (project.root / f"{name}.tar").write_bytes(content)
    project.write("toy.lock", f"{name} {hashlib.sha256(content).hexdigest()}\n")


def test_a_null_build_and_all_that_ends_it(toys):
    toys.until_quick(**toys.variables)
    out = toys.root / "bldr-out/whole.out"
    assert out.read_text() == "one\n\n"

    put(toys, "a", b"two\n")  # a lock file that changed
    assert not toys.build(**toys.variables).quick
    assert out.read_text() == "two\n\n"
    toys.until_quick(**toys.variables)

    toys.write("toy.more", "more\n")  # a file beside it that was not there
    assert not toys.build(**toys.variables).quick
    assert out.read_text() == "two\nmore\n"
    toys.until_quick(**toys.variables)

    (text,) = [path for path in toys.cache.glob("v1/external/*/tree/one.txt") if path.read_text() == "two\n"]
    text.chmod(0o644)  # a tree in the cache that somebody wrote to
    text.write_text("evil\n")
    mended = toys.build(**toys.variables)
    assert not mended.quick
    assert "was damaged and is unpacked again" in mended.stderr
    assert out.read_text() == "two\nmore\n"
    toys.until_quick(**toys.variables)

    (text.parent / "two.txt").write_text("more than there should be\n")  # patterns would match it
    assert "was damaged" in toys.build(**toys.variables).stderr
    assert out.read_text() == "two\nmore\n"


def test_an_edit_is_a_whole_build(toys):
    """Sources of outside lie elsewhere: edits are built with the workspace at hand."""
    toys.write("Builderfile", BUILDERFILE.replace('"@toys//:a"]', '"@toys//:a", "own.txt"]'))
    toys.write("own.txt", "own\n")
    toys.until_quick(**toys.variables)
    toys.write("own.txt", "changed\n")
    edited = toys.build(**toys.variables)
    assert (edited.exit_code, edited.edited, edited.quick) == (0, False, False), edited
    assert (toys.root / "bldr-out/whole.out").read_text() == "one\n\nchanged\n"
