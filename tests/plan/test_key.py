"""Keys: what counts changes them, what is cosmetic does not, and no two walks run together."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.api import Artifact, Label, NetworkPolicy, ResourceLimits, Toolchain
from bldr.graph.actions import Permissions
from bldr.plan.entries import Entry
from bldr.plan.key import action_key, key_of, paths_key, reads_key, record

A = Entry("pkg/a.c", "11" * 32, 10)
H = Entry("pkg/a.h", "22" * 32, 20)
OUT = Label("", "pkg", "app")


def test_golden_key(node, linux):
    """Changes only together with `SCHEMA`: caches that are shared hold results under these keys."""
    assert action_key(node(), linux, [A, H], []) == "572f1b6107cbb057080af22a54d3b36889ee16d9052126ac8efc99c1be8de337"


@pytest.mark.parametrize(
    "change",
    [
        {"argv": ("gcc", "-O2", "-c", "pkg/a.c", "-o", "pkg/a.o")},
        {"argv": ("gcc", "-c", "pkg/a.c-o", "pkg/a.o")},
        {"env": (("LANG", "C"), ("PATH", "/toolchain/cc/bin"))},
        {"handler": "bldr:cc:2"},
        {"toolchains": (Toolchain(name="cc", executables={}, identity="abd"),)},
        {"outputs": (Artifact("pkg/b.o", OUT),)},
        {"outputs": (Artifact("pkg/a.o", OUT, is_directory=True),)},
        {"files": (("pkg/flags", "-O2"),)},
        {"depfile": "pkg/a.d"},
        {"permissions": Permissions(network=NetworkPolicy(host=True))},
        {"permissions": Permissions(network=NetworkPolicy(("example.org:443",)))},
        {"permissions": Permissions(root=True)},
        {"permissions": Permissions(devices=("/dev/kvm",))},
    ],
)
def test_what_counts_changes_the_key(node, linux, change):
    assert action_key(node(**change), linux, [A, H], []) != action_key(node(), linux, [A, H], [])


@pytest.mark.parametrize(
    "change",
    [
        {"mnemonic": "CppCompile"},
        {"message": "compiling a.c"},
        {"index": 7},
        {"label": Label("", "pkg", "other")},
        {"permissions": Permissions(resources=ResourceLimits(memory_bytes=1, wall_time_s=1.0))},
        {"permissions": Permissions(resources=ResourceLimits(cpus=1.5, file_bytes=1, log_bytes=1, temp_bytes=1))},
        {"permissions": Permissions(on_violation="kill")},
    ],
)
def test_what_is_cosmetic_does_not(node, linux, change):
    assert action_key(node(**change), linux, [A, H], []) == action_key(node(), linux, [A, H], [])


@pytest.mark.parametrize(
    "inputs",
    [
        [A],
        [A, Entry("pkg/a.h", "23" * 32, 20)],
        [A, Entry("pkg/b.h", "22" * 32, 20)],
        [A, Entry("pkg/a.h", "22" * 32, 20, executable=True)],
        [A, Entry("pkg/a.h", link="22" * 32)],
        [A, Entry("pkg/a.h")],
    ],
)
def test_inputs_count_by_path_content_kind_and_mode(node, linux, inputs):
    assert action_key(node(), linux, inputs, []) != action_key(node(), linux, [A, H], [])


def test_tools_are_not_inputs(node, linux):
    assert action_key(node(), linux, [A], [H]) != action_key(node(), linux, [A, H], [])


def test_first_level_holds_paths_only(node, linux):
    depfile = node(depfile="pkg/a.d")
    other = Entry("pkg/a.h", "33" * 32, 30)
    assert paths_key(depfile, linux, [A, H], []) == paths_key(depfile, linux, [A, other], [])
    assert paths_key(depfile, linux, [A, H], []) != paths_key(depfile, linux, [A, H, Entry("pkg/b.h")], [])


def test_second_level_holds_what_was_read():
    other = Entry("pkg/a.h", "33" * 32, 30)
    assert reads_key("k", [A, H], ["pkg/a.c"]) == reads_key("k", [A, other], ["pkg/a.c"])
    assert reads_key("k", [A, H], ["pkg/a.c", "pkg/a.h"]) != reads_key("k", [A, other], ["pkg/a.c", "pkg/a.h"])
    assert reads_key("k", [A], ["pkg/a.h"]) is None


fields = st.lists(st.tuples(st.text(), st.text()))


@given(fields, fields)
def test_two_walks_have_one_key_only_if_they_are_the_same(one, other):
    assert (key_of(one) == key_of(other)) == (one == other)


def test_bytes_that_are_no_text_count_as_they_are():
    assert key_of([("argument 1", "a\udcff")]) == hashlib.sha256(b"10:argument 1=2:a\xff;").hexdigest()
    assert key_of([("argument 1", "\u00e4")]) == hashlib.sha256(b"10:argument 1=2:\xc3\xa4;").hexdigest()


def test_the_record_names_everything_that_counts(node, linux):
    seen = record(node(files=(("pkg/flags", "-O2"),)), linux, [A], [H])
    assert seen["argument 0"] == "gcc"
    assert seen["variable LANG"] == "C.UTF-8"
    assert seen["toolchain cc"] == "abc"
    assert seen["input pkg/a.c"] == A.hash
    assert seen["tool pkg/a.h"] == H.hash
    assert seen["parameter file pkg/flags"] == "-O2"
