"""What the handler makes of targets, without a compiler."""

import pytest
from bldr.api import CcInfo, Configuration, TargetError
from bldr.testing import FakeContext, FakeDep, analyze

from bldr_zig.handler import ZigHandler
from bldr_zig.providers import ZigInfo


def analyzed(type, context, **more):
    return analyze(ZigHandler(), {"type": type, "language": "zig", **more}, context)


def library(label, *sources, deps=()):
    return analyzed("library", FakeContext(label, files={"sources": sources}, deps={"deps": deps}))


def test_a_library_is_a_module_for_zig_and_an_archive_for_c():
    words = library("//words", "words/root.zig", "words/list.zig")
    assert [module.name for module in words.get(ZigInfo).modules] == ["words"]
    assert [artifact.path for artifact in words.get(CcInfo).static_libraries] == ["words/libwords.a"]
    assert words.action("Zig").argv[:2] == ("zig", "build-lib")


def test_a_program_names_every_module_below_it_once():
    words = library("//words", "words/root.zig")
    greet = library("//greet", "greet/root.zig", deps=[words.as_dep()])
    deps = {"deps": [greet.as_dep(), words.as_dep()]}
    action = analyzed("executable", FakeContext("//:hello", files={"sources": ["main.zig"]}, deps=deps)).action("Zig")
    at = action.argv.index("--dep")
    assert action.argv[at:-3] == (
        *("--dep", "greet", "--dep", "words", "-Mroot=main.zig"),
        *("--dep", "words", "-Mgreet=greet/root.zig", "-Mwords=words/root.zig"),
    )
    assert [artifact.path for artifact in action.inputs] == ["main.zig", "greet/root.zig", "words/root.zig"]


@pytest.mark.parametrize(
    ("sources", "root", "chosen"),
    [
        (["a.zig"], "", "a.zig"),
        (["a.zig", "main.zig"], "", "main.zig"),
        (["a.zig", "main.zig"], "a.zig", "a.zig"),
        (["only.zig", "words.txt"], "", "only.zig"),
    ],
)
def test_the_root_is_the_one_that_is_named_or_the_usual_one(sources, root, chosen):
    action = analyzed("executable", FakeContext("//:a", files={"sources": sources}), root=root).action("Zig")
    assert f"-Mroot={chosen}" in action.argv


@pytest.mark.parametrize(
    ("more", "message", "attribute"),
    [
        ({"sources": ["a.zig", "b.zig"]}, "which source is the root", "sources"),
        ({"sources": ["a.zig"], "root": "b.zig"}, '"b.zig" is not among the sources', "root"),
        ({"sources": ["a.zig"], "flags": ("-mcpu=native",)}, "depend on the machine", "flags"),
        ({"sources": ["a.zig"], "flags": ("-mcpu", "native+avx")}, "depend on the machine", "flags"),
    ],
)
def test_what_cannot_be_built_is_refused(more, message, attribute):
    context = FakeContext("//:a", files={"sources": more.pop("sources")})
    with pytest.raises(TargetError, match=message):
        analyzed("executable", context, **more)
    assert context.failed_attribute == attribute


def test_two_libraries_of_one_name_are_refused():
    deps = {"deps": [library(f"//{package}:words", f"{package}/root.zig").as_dep() for package in ("a", "b")]}
    with pytest.raises(TargetError, match='two libraries are imported as "words"'):
        analyzed("executable", FakeContext("//:a", files={"sources": ["a.zig"]}, deps=deps))


def test_a_dep_of_another_language_is_refused():
    with pytest.raises(TargetError, match="//:c is no library of Zig"):
        context = FakeContext("//:a", files={"sources": ["a.zig"]}, deps={"deps": [FakeDep("//:c", CcInfo())]})
        analyzed("executable", context)


@pytest.mark.parametrize(("mode", "words"), [("debug", ["-ODebug"]), ("release", ["-OReleaseSafe", "-fstrip"])])
def test_the_mode_of_the_configuration_decides_how_it_is_compiled(mode, words):
    configuration = Configuration(name=mode, mode=mode, flags={"zig": ("-fsingle-threaded",)})
    context = FakeContext("//:a", files={"sources": ["a.zig"]}, configuration=configuration)
    argv = analyzed("executable", context, flags=("-flto",)).action("Zig").argv
    assert [word for word in argv if word.startswith(("-O", "-fstrip"))] == words
    assert argv.index("-fsingle-threaded") < argv.index("-flto")
