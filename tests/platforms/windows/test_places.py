"""Sandbox paths in terms of a Windows host."""

import pytest

from bldr.api import TREE_ROOT, Input, Launch, Output, SandboxSpec, StagedTree, Temp
from bldr_windows.places import Command

SPEC = SandboxSpec(
    inputs=(Input("/tools", "C:\\store\\tools"), Input("/toolchain/cc/bin", "D:/zig"), Input("/C:/Windows")),
    outputs=(Output("/build/out"),),
    temps=(Temp("/tmp"),),
)


def command(*argv, env=(), cwd="/build"):
    launch = Launch(
        launch_id=1,
        spec=SandboxSpec(inputs=SPEC.inputs, temps=SPEC.temps, env=tuple(env)),
        argv=argv or ("x",),
        cwd=cwd,
        stdin=0,
        stdout=1,
        stderr=2,
        tree=StagedTree("/build", "C:\\s\\lower", "C:\\s\\upper", "C:\\s\\work"),
    )
    return Command(launch, {"/tmp": "C:\\s\\work\\tmp-1"})


def test_words_that_are_paths_of_the_sandbox_become_those_of_drives():
    got = command("/tools/a/b.exe", "/build/src/a.c", "/tmp/x", "/C:/Windows/System32", "/toolchain/cc/bin/zig.exe")
    assert got.argv == [
        "C:\\store\\tools\\a\\b.exe",
        "C:\\s\\upper\\src\\a.c",
        "C:\\s\\work\\tmp-1\\x",
        "C:\\Windows\\System32",
        "D:\\zig\\zig.exe",
    ]


@pytest.mark.parametrize("word", ["/c", "/OUT:a.exe", "/nologo", "src/a.c", "C:\\x", "a/build/b", "http://build/x"])
def test_other_words_stay_as_they_are(word):
    assert command("x", word).argv == ["x", word]


def test_the_root_of_the_tree_is_put_in_last():
    assert command("x", f"-I{TREE_ROOT}/inc").argv[1] == "-IC:\\s\\upper/inc"
    assert command(env=[("BLDR_ROOT", TREE_ROOT)]).env["BLDR_ROOT"] == "C:\\s\\upper"


def test_directories_of_the_command():
    assert command().cwd == "C:\\s\\upper"
    assert command(cwd="/build/sub").cwd == "C:\\s\\upper\\sub"
    assert command(cwd="C:\\elsewhere").cwd == "C:\\elsewhere"


@pytest.mark.parametrize(
    "value, expected",
    [
        ("/toolchain/cc/bin", "D:\\zig"),
        ("/toolchain/cc/bin:/tools/x", "D:\\zig;C:\\store\\tools\\x"),
        ("C:\\a;/tools", "C:\\a;C:\\store\\tools"),
        ("/C:/Windows", "C:\\Windows"),
        ("a b", "a b"),
        ("C.UTF-8", "C.UTF-8"),
        ("x:/tools", "x:/tools"),
        ("", ""),
    ],
)
def test_values_of_variables(value, expected):
    assert command(env=[("A", value)]).env["A"] == expected
