"""What the handler of JavaScript makes of targets, without node."""

import json

import pytest

from bldr.api import Artifact, Configuration, Executable, TargetError, TestInfo
from bldr.testing import FakeContext, FakeDep, analyze
from bldr_javascript.handler import JavaScriptHandler
from bldr_javascript.providers import ModuleInfo

LIBRARY = {"type": "library", "language": "javascript"}
TYPED = {"type": "library", "language": "typescript", "compiler": ["@npm//:typescript"]}
PROGRAM = {"type": "executable", "language": "javascript"}
TEST = {"type": "test", "language": "javascript"}


def package(name, *files, directory="external/npm/node_modules"):
    paths = tuple(Artifact(f"{directory}/{name}/{file}") for file in files)
    return FakeDep(f"@npm//:{name}", ModuleInfo(packages=paths, node_modules=(directory,)))


TSC = package("typescript", "lib/tsc.js")
ESBUILD = package("esbuild", "bin/esbuild")


def made_of(table, sources, **deps):
    context = FakeContext("//pkg:it", files={"sources": sources}, deps=deps)
    return analyze(JavaScriptHandler(), table, context)


def test_modules_are_used_as_they_are():
    made = made_of(LIBRARY, ["pkg/a.mjs"])
    assert made.actions == ()
    assert [file.path for file in made.get(ModuleInfo).modules] == ["pkg/a.mjs"]


def test_typescript_becomes_modules_and_declarations_beside_their_sources():
    made = made_of(TYPED, ["pkg/src/a.ts", "pkg/b.mts", "pkg/c.d.ts"], compiler=[TSC])
    action = made.action("TypeScript")
    paths = ["pkg/src/a.js", "pkg/src/a.d.ts", "pkg/b.mjs", "pkg/b.d.mts"]
    assert [output.path for output in action.outputs] == paths
    assert [file.path for file in made.get(ModuleInfo).modules] == ["pkg/c.d.ts", *paths]
    (place, text), settings = action.files[0], json.loads(action.files[0][1])
    assert (place, settings["files"]) == ("pkg/it.tsconfig.json", ["./src/a.ts", "./b.mts"]), text
    assert settings["compilerOptions"]["rootDir"] == ".."
    assert settings["compilerOptions"]["strict"] is True


def test_settings_of_the_workspace_come_before_ours_only_where_things_stand():
    context = FakeContext(
        "//pkg:it", files={"sources": ["pkg/a.ts"], "tsconfig": ["tsconfig.base.json"]}, deps={"compiler": [TSC]}
    )
    settings = json.loads(analyze(JavaScriptHandler(), TYPED, context).action("TypeScript").files[0][1])
    assert settings["extends"] == ["../tsconfig.base.json"]
    assert "strict" not in settings["compilerOptions"] and settings["compilerOptions"]["outDir"] == ".."


def test_a_bundle_is_one_file():
    table = {**PROGRAM, "bundler": ["@npm//:esbuild"], "bundle_flags": ["--external:x"], "format": "esm"}
    context = FakeContext(
        "//pkg:it",
        files={"sources": ["pkg/main.mjs"]},
        deps={"bundler": [ESBUILD]},
        configuration=Configuration(mode="release"),
    )
    made = analyze(JavaScriptHandler(), table, context)
    argv = made.action("Esbuild").argv
    assert argv[7:9] == ("pkg/main.mjs", "--bundle")
    assert "--format=esm" in argv and argv[-2:] == ("--minify", "--external:x")
    assert made.get(Executable).runtime == ()


def test_without_a_bundler_a_program_has_a_directory_beside_it():
    made = made_of({**PROGRAM, "main": "main.js"}, ["pkg/main.js", "pkg/other.js"])
    assert [(output.path, output.is_directory) for output in made.action("Collect").outputs] == [
        ("pkg/it", False),
        ("pkg/it.app", True),
    ]
    assert [file.path for file in made.get(Executable).runtime] == ["pkg/it.app"]


def test_tests_are_known_by_their_names():
    sources = ["pkg/a.test.mjs", "pkg/test-b.js", "pkg/c_test.cjs", "pkg/test.js", "pkg/latest.js", "pkg/contest.mjs"]
    made = made_of(TEST, sources)
    assert made.get(TestInfo).argv[4:] == ("", "4", *sources[:4])
    assert len(made.get(TestInfo).inputs) == 6


@pytest.mark.parametrize(
    ("table", "sources", "deps", "attribute", "message"),
    [
        (LIBRARY, ["pkg/a.ts"], {}, "sources", "is TypeScript, and no compiler is named"),
        (TYPED, ["pkg/a.ts"], {"compiler": [ESBUILD]}, "compiler", 'compiler brings no "typescript/lib/tsc.js"'),
        (TYPED, ["other/a.ts"], {"compiler": [TSC]}, "sources", "no source of this package"),
        (PROGRAM, ["pkg/a.js", "pkg/b.js"], {}, "main", "there are 2 modules"),
        ({**PROGRAM, "main": "c.js"}, ["pkg/a.js"], {}, "main", "none of the sources"),
        (TEST, ["pkg/a.js"], {}, "sources", "none of the sources is a test"),
        (LIBRARY, ["pkg/a.js"], {"deps": [FakeDep("//:x")]}, "deps", "no library of JavaScript"),
        (
            LIBRARY,
            ["pkg/a.js"],
            {"deps": [package("a", "a.js"), package("b", "b.js", directory="external/other/node_modules")]},
            "deps",
            'packages of "external/npm/node_modules" and of "external/other/node_modules" meet here',
        ),
    ],
)
def test_mistakes_name_the_attribute(table, sources, deps, attribute, message):
    context = FakeContext("//pkg:it", files={"sources": sources}, deps=deps)
    with pytest.raises(TargetError, match=message):
        analyze(JavaScriptHandler(), table, context)
    assert context.failed_attribute == attribute
