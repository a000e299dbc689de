"""The rules that follow from a spec."""

import pytest

from bldr.api import Input, Launch, Output, SandboxSpec, StagedTree, Temp
from bldr_linux.confined.layout import rules


def launch(tree=None, **spec):
    return Launch(launch_id=1, spec=SandboxSpec(**spec), argv=("x",), cwd="/", stdin=0, stdout=1, stderr=2, tree=tree)


def test_what_may_be_read_and_written(tmp_path):
    for name in ("input", "output", "upper", "temp", "sysroot/bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("input")
    (tmp_path / "sysroot/bin/sh").write_text("a copy")
    (tmp_path / "sysroot/bin/none").write_text("only here")
    tree = StagedTree(path="/build", lower=".", upper=str(tmp_path / "upper"), work=".")
    spec = {
        "inputs": (Input(str(tmp_path / "link")), Input("/", str(tmp_path / "sysroot"))),
        "outputs": (Output("/o", str(tmp_path / "output")), Output("/build/x", "/nowhere")),
        "temps": (Temp("/tmp"),),
    }
    found = rules(launch(tree, **spec), {"/tmp": str(tmp_path / "temp")})
    read = {path for path, kind in found if kind == "read"}
    write = {path for path, kind in found if kind == "write"}
    import os

    assert read == {"/proc", str(tmp_path / "input"), str(tmp_path / "sysroot"), os.path.realpath("/bin/sh")}
    devices = {f"/dev/{name}" for name in ("full", "null", "random", "urandom", "zero")}
    assert write == devices | {str(tmp_path / name) for name in ("output", "upper", "temp")}


def test_what_is_missing_is_an_error():
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        rules(launch(inputs=(Input("/nowhere/at/all"),)), {})
