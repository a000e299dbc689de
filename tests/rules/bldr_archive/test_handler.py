"""What becomes of archives: names in them, and what is refused."""

import json

import pytest

from bldr.api import Executable, Files, TargetError
from bldr.testing import FakeContext, FakeDep, analyze, fake_toolchain
from bldr_archive.handler import ArchiveHandler


def archive_of(files=(), deps=(), label="//pkg:a", **table):
    context = FakeContext(
        label, files={"sources": files}, deps={"deps": deps}, toolchains=[fake_toolchain("python", "python3")]
    )
    made = analyze(ArchiveHandler(), {"type": "archive", **table}, context)
    (action,) = made.actions
    return action, json.loads(action.files[1][1])


def made(path, label="//other:x"):
    return FakeContext(label).declare_file(path)


def test_what_files_are_called():
    action, spec = archive_of(["pkg/b/c.txt", "other/d.txt", "pkg/a.txt"])
    assert [artifact.path for artifact in action.outputs] == ["pkg/a.tar.gz"]
    assert spec["entries"] == [["a.txt", "pkg/a.txt"], ["b/c.txt", "pkg/b/c.txt"], ["other/d.txt", "other/d.txt"]]
    _, spec = archive_of(["pkg/sub/tool"])  # also where a package is below this one
    assert spec["entries"] == [["sub/tool", "pkg/sub/tool"]]
    _, spec = archive_of(["pkg/b/c.txt"], strip_prefix="b/", prefix="x/y/", format="zip", out="z.zip")
    assert spec["entries"] == [["x/y/c.txt", "pkg/b/c.txt"]]


def test_deps_bring_programs_with_what_stands_beside_them():
    program, library, text = made("app"), made("libx.so"), made("text")
    deps = [
        FakeDep("//other:app", Files((program,)), Executable(program, (library,))),
        FakeDep("//other:t", Files((text,))),
    ]
    action, _ = archive_of(deps=deps)
    assert [artifact.path for artifact in action.inputs] == ["other/app", "other/libx.so", "other/text"]


@pytest.mark.parametrize(
    ("files", "table", "message", "attribute"),
    [
        ([], {}, "there is nothing to put into the archive", "sources"),
        (["pkg/a"], {"prefix": "/x"}, '"/x" is no path below the archive', "prefix"),
        (["pkg/a"], {"strip_prefix": "../x"}, '"../x" is no path below the archive', "strip_prefix"),
        (["pkg/a"], {"strip_prefix": "x"}, '"pkg/a" is not below "pkg/x"', "strip_prefix"),
        (["pkg/x"], {"strip_prefix": "x"}, 'it takes the whole name of "pkg/x" away', "strip_prefix"),
        (["pkg/a", "a"], {}, '"pkg/a" and "a" would both be "a"', "sources"),
        (["pkg/a"], {"modes": {"*": "rwx"}}, 'the mode of "*" is "rwx"', "modes"),
        (["pkg/a"], {"mtime": 1, "format": "zip"}, "mtime is 1", "mtime"),
    ],
)
def test_what_is_refused(files, table, message, attribute):
    context = FakeContext("//pkg:a", files={"sources": files})
    with pytest.raises(TargetError) as refused:
        analyze(ArchiveHandler(), {"type": "archive", **table}, context)
    assert (refused.value.message, context.failed_attribute) == (message, attribute)


def test_a_dep_that_makes_nothing_is_refused():
    with pytest.raises(TargetError, match="//other:x provides no files"):
        archive_of(deps=[FakeDep("//other:x")])
