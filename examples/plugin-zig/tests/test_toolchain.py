"""The compiler is found where pip put it, and known by its content."""

import os

import pytest
from bldr.api import ToolchainError

from bldr_zig import toolchain
from bldr_zig.toolchain import ZigDetector


def test_the_compiler_is_the_one_beside_the_plugin():
    found = ZigDetector().detect({})
    assert found.attributes == {"version": "0.13.0"}
    assert found.identity == ZigDetector().detect({"PATH": "/nowhere"}).identity
    assert all(os.path.exists(path) for path in found.sentinels)


def test_its_identity_is_its_content_and_not_its_place(tmp_path):
    for place in ("one", "other"):
        (tmp_path / place / "lib").mkdir(parents=True)
        (tmp_path / place / "lib/std.zig").write_text("same\n")
        (tmp_path / place / "zig").write_text("program\n")

    def identity(place):
        directory = str(tmp_path / place)
        return toolchain._identity(directory, f"{directory}/zig", f"{directory}/lib")

    assert identity("one") == identity("other")
    (tmp_path / "other/lib/std.zig").write_text("else\n")
    assert identity("one") != identity("other")


def test_a_missing_compiler_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match="the compiler of Zig is not installed") as raised:
        ZigDetector().detect({})
    assert raised.value.hint == "install it into the environment of bldr: pip install ziglang==0.13.0"
