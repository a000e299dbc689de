"""What programs say about files that are not there."""

import pytest

from bldr.graph.missing import wanted_files


@pytest.mark.parametrize(
    ("log", "names"),
    [
        ('a.c:1:10: fatal error: lib/x.h: No such file or directory\n    1 | #include "lib/x.h"\n', ["lib/x.h"]),
        ("cat: in.txt: No such file or directory\n", ["in.txt"]),
        ("cat: /build/pkg/in.txt: No such file or directory\n", ["pkg/in.txt"]),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/x.json'\n", ["data/x.json"]),
        ("ls: cannot access 'a/b': No such file or directory\n", ["a/b"]),
        ("sh: 1: cannot open in.txt: No such file\n", ["in.txt"]),
        ("a.c:1:10: fatal error: 'x.h' file not found\n", ["x.h"]),
        ("everything is fine\n", []),
    ],
)
def test_names_in_logs(log, names):
    assert wanted_files(log)[: len(names)] == names
    if not names:
        assert not wanted_files(log)
