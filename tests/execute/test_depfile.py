"""Depfiles, as compilers write them."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.execute.depfile import parse_depfile, reads_of


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.o: a.c a.h\n", ["a.c", "a.h"]),
        ("a.o: a.c \\\n  a.h \\\n b.h\n", ["a.c", "a.h", "b.h"]),
        ("a.o:\n", []),
        ("", []),
        ("a.o: a\\ b.c c\\#d.h e$$f.h\n", ["a b.c", "c#d.h", "e$f.h"]),
        ("a.o: a.c\n\na.h:\n", ["a.c"]),
        ("a.o b.o: a.c\nc.o: a.c c.h\n", ["a.c", "c.h"]),
        ("a.o : a.c\r\n", ["a.c"]),
        ("C\\:\\dir: x\n", ["x"]),
    ],
)
def test_prerequisites(text, names):
    assert parse_depfile(text) == names


def test_paths_are_those_of_the_tree():
    text = "a.o: /build/pkg/a.c ./pkg/a.h pkg/../pkg/b.h /usr/include/stdio.h pkg/gone.h\n"
    assert reads_of(text, ("/build",), {"pkg/a.c", "pkg/a.h", "pkg/b.h", "pkg/c.h"}) == (
        "pkg/a.c",
        "pkg/a.h",
        "pkg/b.h",
    )


names = st.lists(
    st.text(st.sampled_from("abc.-_ #$"), min_size=1).filter(lambda name: name.strip() == name), min_size=1, unique=True
)


@given(names)
def test_what_a_make_rule_escapes_comes_back(files):
    escaped = " \\\n ".join(name.replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ") for name in files)
    assert parse_depfile(f"out: {escaped}\n") == files


def test_what_gcc_really_writes(tmp_path):
    for name in ("a b.h", "c#d.h", "e$f.h", "plain.h"):
        (tmp_path / name).write_text("")
    (tmp_path / "a.c").write_text('#include "a b.h"\n#include "c#d.h"\n#include "e$f.h"\n#include "plain.h"\n')
    subprocess.run(["gcc", "-c", "a.c", "-MD", "-MF", "a.d"], cwd=tmp_path, check=True)
    found = parse_depfile((tmp_path / "a.d").read_text())
    assert {"a.c", "a b.h", "c#d.h", "e$f.h", "plain.h"} <= set(found)
