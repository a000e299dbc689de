"""The head of a Go file: for which platforms it is, and what it imports."""

import pytest

from bldr.api import Platform
from bldr_go.source_files import Head, head_of, is_for, tags_of

LINUX = tags_of(Platform("linux", "x86_64"), ("fast",))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.go", "package a", True),
        ("a_linux.go", "", True),
        ("a_windows.go", "", False),
        ("a_linux_arm64.go", "", False),
        ("a_amd64.s", "", True),
        ("linux.go", "", True),
        ("windows.go", "", True),
        ("a_unix.go", "", True),
        ("a.go", "//go:build windows\n\npackage a", False),
        ("a.go", "// text\n\n//go:build (linux && !cgo) || darwin\npackage a", True),
        ("a.go", "//go:build !fast || ignore\npackage a", False),
        ("a.go", "//go:build go1.18 && unix\npackage a", True),
        ("a.go", "// +build linux,arm64 darwin\n\npackage a", False),
        ("a.go", "// +build linux\n// +build !windows,amd64\n\npackage a", True),
        ("a.go", "package a\n//go:build windows", True),
        ("a_windows.go", "//go:build linux\npackage a", False),
    ],
)
def test_constraints(name, text, expected):
    assert is_for(name, text, LINUX) is expected


def test_a_head():
    text = """
        // Package a: import "no"
        /* import "neither" */ package a

        import "fmt"; import (
            _ "embed" // why
            other "example.org/b"
            . "example.org/c"
        )
        import d `example.org/d`

        //go:embed x.txt "y z.txt"
        //go:embed all:dir
        var text = `
        import "not"
        `
        """
    assert head_of(text) == Head("a", ("fmt", "embed", "example.org/b", "example.org/c", "example.org/d"), ())
    lines = "\n".join(line.strip() for line in text.splitlines())
    assert head_of(lines).embedded == ("x.txt", "y z.txt", "all:dir")
