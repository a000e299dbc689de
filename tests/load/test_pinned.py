"""Pinned toolchains: their tables, and every mistake in them."""

import pytest

ZIG = f'[external.zig]\nsha256 = "{"0" * 64}"\nurl = "file:zig.tar"\n'


def test_a_toolchain_as_the_graph_gets_it(load):
    text = f"""{ZIG}
[toolchain.cc]
external = "zig"
commands = {{ zig = "bin/zig", "c++" = ["bin/zig", "c++"] }}
env = {{ A = "b" }}
attributes = {{ compiler = "clang" }}
"""
    (cc,) = load({"Builderfile": text}).toolchains.values()
    assert (cc.name, cc.external, cc.env, cc.attributes) == ("cc", "zig", {"A": "b"}, {"compiler": "clang"})
    assert cc.commands == {"zig": ("bin/zig",), "c++": ("bin/zig", "c++")}
    assert cc.position == ("Builderfile", 5, 1)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", '1:1: toolchain "cc": "external" is missing\nhint: it is a string'),
        ('external = "zag"', '2:12: toolchain "cc": no external source "zag"\nhint: did you mean "zig"?'),
        ('external = "crates"', '2:12: toolchain "cc": "crates" holds the packages of a lock file\n'
                                "hint: a toolchain comes out of one archive"),
        ('external = "zig"\ncommands = { cc = "../zig" }',
         '3:19: toolchain "cc": the command "cc" names no program of the tree\n'
         'hint: write it relative to the tree of "zig"'),
        ('external = "zig"\ncommands = { cc = [] }',
         '3:19: toolchain "cc": the command "cc" names no program of the tree\n'
         'hint: write it relative to the tree of "zig"'),
        ('external = "zig"\ncommands = { "a/b" = "zig" }',
         '3:14: toolchain "cc": "a/b" cannot be the name of a command\n'
         "hint: names are made of letters, digits and _ . + -"),
        ('external = "zig"\nenv = { "A=" = "b" }', '3:9: toolchain "cc": "A=" cannot be a variable'),
        ('external = "zig"\nenv = { A = 1 }', '3:13: toolchain "cc": "env.A" must be a string, not an integer'),
        ('external = "zig"\ncommand = {}',
         '3:1: toolchain "cc": unknown key "command"\nhint: did you mean "commands"?'),
    ],
)  # fmt: skip
def test_words(mistakes, registry, table, expected):
    from types import SimpleNamespace

    registry.locks["toy"] = SimpleNamespace(format=SimpleNamespace(file_names=("toy.lock",)))
    text = f'[toolchain.cc]\n{table}\n{ZIG}[external.crates]\nlock = "toy.lock"\n'
    assert mistakes({"Builderfile": text, "toy.lock": ""}) == f"Builderfile:{expected}"


def test_only_at_the_root_and_only_tables(mistakes):
    assert mistakes({"Builderfile": "toolchain = 1\n"}) == (
        'Builderfile:1:1: "toolchain" must be a table of toolchains, not an integer\n'
        "hint: write a table for each toolchain: [toolchain.NAME]"
    )
    assert mistakes({"sub/Builderfile": '[toolchain.cc]\nexternal = "zig"\n'}) == (
        "sub/Builderfile:1:1: [toolchain] belongs into the Builderfile at the root of the workspace\n"
        "hint: move it there"
    )
