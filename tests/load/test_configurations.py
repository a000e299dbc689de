"""Configurations: what tables come to, and every mistake in them at its place."""

import pytest

from bldr.api import BldrError, Configuration
from bldr.load.configurations import choose

TABLES = """
[config.debug]
env = { WHO = "debug" }

[config.asan]
extends = "debug"
flags = { c = ["-fsanitize=address"], "c++" = ["-fsanitize=address"] }
env = { ASAN_OPTIONS = "detect_leaks=0" }

[config.deep]
extends = "asan"
mode = "release"
flags.c = ["-O1"]
env.WHO = "deep"

[config.plain]
flags.c = ["-Wall"]
"""


def test_tables_add_to_what_they_extend(load):
    found = load({"Builderfile": TABLES}).configurations
    asan = {"c": ("-fsanitize=address",), "c++": ("-fsanitize=address",)}
    assert found == {
        "debug": Configuration(name="debug", mode="debug", env={"WHO": "debug"}),
        "release": Configuration(name="release", mode="release"),
        "asan": Configuration(
            name="asan", mode="debug", flags=asan, env={"WHO": "debug", "ASAN_OPTIONS": "detect_leaks=0"}
        ),
        "deep": Configuration(
            name="deep",
            mode="release",
            flags={**asan, "c": ("-fsanitize=address", "-O1")},
            env={"WHO": "deep", "ASAN_OPTIONS": "detect_leaks=0"},
        ),
        "plain": Configuration(name="plain", flags={"c": ("-Wall",)}),
    }


def test_choosing(load):
    found = load({"Builderfile": TABLES}).configurations
    assert choose("", found) == choose("default", found) == Configuration()
    assert choose("asan", found).name == "asan"
    with pytest.raises(BldrError) as caught:
        choose("relaese", found)
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (
        'there is no configuration "relaese"',
        'did you mean "release"?',
        2,
    )
    with pytest.raises(BldrError, match="the configurations are: asan, debug, deep, plain, release"):
        choose("x", found)


MISTAKES = {
    "config = 5": ':1:1: "config" must be a table of configurations, not an integer\n'
    "hint: write a table for each configuration: [config.NAME]",
    "[config]\na = 5": ':2:5: config "a": must be a table, not an integer',
    '[config.a]\nmode = "fast"': ':2:8: config "a": "mode" is "fast", not one of "debug", "release"',
    "[config.a]\nflag = {}": ':2:1: config "a": unknown key "flag"\nhint: did you mean "flags"?',
    '[config.a]\nflags = { c = "-g" }': ':2:15: config "a": "flags.c" must be a list of strings, not a string\n'
    'hint: write ["-g"]',
    "[config.a.flags]\ncc = []": ':2:1: config "a": no handler builds the language "cc"\nhint: did you mean "c"?',
    '[config.a]\nextends = "relase"': ':2:11: config "a": it extends "relase", which is no configuration\n'
    'hint: did you mean "release"?',
    '[config.a]\nextends = "b"\n[config.b]\nextends = "a"': ':2:11: config "a": it extends itself\n'
    "hint: take one of the extends out",
    '[config.a.env]\n"A-B" = ""': ':2:1: config "a": "A-B" is no name of an environment variable',
    '[config.a.env]\nBLDR_ROOT = ""': ':2:1: config "a": BLDR_ROOT is set by bldr: it is where the tree stands',
    "[config.default]": ':1:1: config "default": the default configuration has no table',
    "[config.lock]": ':1:1: config "lock": its outputs would stand at "bldr-out/.lock", which bldr keeps for itself',
    '[config."a/b"]': ':1:1: config "a/b": this cannot be the name of a configuration\n'
    "hint: names are made of letters, digits and _ . -",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(mistakes, text):
    assert f"Builderfile{MISTAKES[text]}" in mistakes({"Builderfile": text + "\n"})


def test_only_the_root_has_configurations(mistakes):
    said = mistakes({"a/Builderfile": "[config.x]\n"})
    assert (
        "a/Builderfile:1:1: [config] belongs into the Builderfile at the root of the workspace\nhint: move it there"
        in said
    )
