"""Paths of the sandbox in terms of the host."""

import subprocess
import sys

import pytest

from bldr.api import Input, Launch, Output, SandboxSpec, StagedTree
from bldr_unmounted.places import Command, Places, places

AT = Places({"/toolchain": "/cache/tc", "/toolchain/own": "/toolchain/own", "/tmp": "/root/tmp-1", "/build": "/up per"})


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/toolchain", "/cache/tc"),
        ("/toolchain/cc/bin/gcc", "/cache/tc/cc/bin/gcc"),
        ("/toolchain/own/x", "/toolchain/own/x"),
        ("/toolchains/x", "/toolchains/x"),
        ("/tmp/x", "/root/tmp-1/x"),
        ("/usr/bin", "/usr/bin"),
        ("/", "/"),
        ("relative", "relative"),
    ],
)
def test_the_longest_declared_path_counts(path, host):
    assert AT.host(path) == host


def test_the_root_may_be_declared():
    assert Places({"/": "/image"}).host("/usr/bin") == "/image/usr/bin"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("/toolchain/a/bin:/usr/bin", "/cache/tc/a/bin:/usr/bin"),
        ("/build/a /build/b", "/up per/a /up per/b"),
        ("-I/toolchain/a", "-I/toolchain/a"),
        ("/tmp", "/root/tmp-1"),
        (":/tmp:", ":/root/tmp-1:"),
        ("", ""),
    ],
)
def test_whole_words_are_replaced(text, result):
    assert AT.words(text) == result


def test_a_launch_is_put_in_terms_of_the_host():
    tree = StagedTree("/build", "/s/lower", "/s/upper", "/s/work")
    env = (("A", "/toolchain/a:/usr/bin a/toolchain /tmp"), ("B", "${BLDR_ROOT}/x"))
    spec = SandboxSpec(
        inputs=(Input("/usr"), Input("/toolchain", "/store/t")), outputs=(Output("/out", "/o"),), env=env
    )
    argv = ("/toolchain/x", "-I/toolchain/x", "-I${BLDR_ROOT}/x", "/out/x", "/build/a", "/elsewhere/x")
    launch = Launch(launch_id=1, spec=spec, argv=argv, cwd="/build", stdin=0, stdout=1, stderr=2, tree=tree)
    command = Command(launch, places(launch, {"/tmp": "/s/scratch/tmp-0"}))
    assert command.argv == ["/store/t/x", "-I/toolchain/x", "-I/s/upper/x", "/o/x", "/s/upper/a", "/elsewhere/x"]
    assert command.cwd == "/s/upper"
    assert command.env == {
        "A": "/store/t/a:/usr/bin a/toolchain /s/scratch/tmp-0", "B": "/s/upper/x", "BLDR_ROOT": "/s/upper",
    }  # fmt: skip


WITHOUT_POSIX = """
import sys
for name in ("resource", "fcntl", "pwd", "grp", "termios", "posix", "psutil"):
    sys.modules[name] = None
from bldr_unmounted.places import Command, Places
print(Places({"/build": "C:\\\\up"}).host("/build/a"))
"""


def test_places_are_known_where_there_is_no_posix():
    ran = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("C:\\up/a\n", "")
