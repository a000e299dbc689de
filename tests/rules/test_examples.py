"""The workspaces of `examples/` and `Builderfile.example`, built as a user builds them."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

REPOSITORY = Path(__file__).parents[2]
ONLY_IN_THE_PORTABLE_RUN = {"all", "api", "bwcoercion", "code", "heavy", "main", "tracegc"}


@pytest.fixture
def example(project):
    """Function: (path of a workspace) -> the project, with a copy of it for a workspace."""

    def copy(path):
        ignored = shutil.ignore_patterns("bldr-out")
        shutil.copytree(REPOSITORY / path, project.root, ignore=ignored, dirs_exist_ok=True)
        return project

    return copy


def test_the_builderfile_that_shows_every_construct_is_built_and_tested(example):
    project = example("tests/load/example")
    shutil.copyfile(REPOSITORY / "Builderfile.example", project.root / "Builderfile")
    ran = project.bldr("test", "//...")
    assert ran.tests == {"//:util-test": "passed", "//:greeting-test": "passed"}, ran
    assert project.bldr("build", "//...").exit_code == 0
    assert project.out("greeting/greeting.txt").read_text() == "hello 5\n"
    assert project.output_of("hi") == ""


def test_mixed(example):
    project = example("examples/mixed")
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.exit_code == 0, ran
    assert ran.tests == dict.fromkeys(["//app:count_test", "//table:table_test", "//words:words_test"], "passed")
    assert project.bldr("build", "--hermetic", "//...").exit_code == 0
    assert project.output_of("app/count", "--version") == "count 1.4.2\n"
    assert project.output_of("table/print_table", "one two", "three") == "text 1 2\ntext 2 1\n"
    text = project.root / "words/testdata/rain.txt"
    assert project.output_of("app/count", text) == f"3 14 72 {text}\n" == project.output_of("app/count_shared", text)

    assert project.bldr("build", "--hermetic", "//...").ran == []
    header = project.root / "words/words.h"
    header.write_text(header.read_text() + "/* a remark */\n")
    ran = project.bldr("build", "--hermetic", "//...").ran
    users = ["//app:count", "//app:count_shared", "//table:table", "//words:words_test"]
    twice = ["//words:words", "//words:words_shared"]  # count.c, and step.c through step.h
    assert ran == sorted(f"Compile {label}" for label in [*users, *twice, *twice])

    (project.root / "version/version.txt").write_text("1.5.0\n")
    ran = project.bldr("build", "--hermetic", "//...").ran
    assert ran == [
        "Command //version:version",
        "Compile //app:count",
        "Compile //app:count_shared",
        "Link //app:count",
        "Link //app:count_shared",
    ]
    assert project.output_of("app/count_shared", "--version") == "count 1.5.0\n"


def test_lua(example):
    """Needs the index that pip is configured for, or a source that was fetched before."""
    project = example("examples/lua")
    ran = project.bldr("test", "--hermetic", "//...", "@lua//...")
    assert ran.exit_code == 0, ran
    assert set(ran.tests.values()) == {"passed"}

    assert project.bldr("build", "--hermetic", "//...").exit_code == 0
    assert project.output_of("lua", "-e", "print(1 << 62, _VERSION)") == "4611686018427387904\tLua 5.4\n"
    assert project.output_of("greet", project.root / "greet.lua", "you") == "Lua 5.4 says hello to you\n"
    assert project.bldr("build", "--hermetic", "//...").ran == []
    (project.root / "greet.c").touch()
    assert project.bldr("build", "--hermetic", "//...").ran == []
    program = project.root / "greet.c"
    program.write_text(program.read_text().replace("usage: %s", "use: %s"))
    assert project.bldr("build", "--hermetic", "//...").ran == ["Compile //:greet", "Link //:greet"]


@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no javac here")
def test_java(example):
    project = example("examples/java")
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.tests == {"//words:words_test": "passed"}, ran
    assert project.bldr("build", "--hermetic", "//...").exit_code == 0
    assert project.output_of("app/count", "the sound", "of rain") == "2\n"
    assert project.bldr("build", "--hermetic", "//...").ran == []
    little = project.root / "words/resources/org/example/words/little.txt"
    little.write_text(little.read_text() + "rain\n")
    ran = project.bldr("build", "--hermetic", "//...").ran
    users = ["Javac //app:count", "Javac //words:words_test"]
    assert ran == ["JavaLink //app:count", *users[:1], "Javac //words:words", *users[1:]]
    assert project.output_of("app/count", "the sound", "of rain") == "1\n"


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here")
@pytest.mark.usefixtures("node")
def test_javascript(example, monkeypatch):
    """Needs the registry that npm is configured for."""
    asked = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True, check=True)
    monkeypatch.setenv("npm_config_registry", asked.stdout.strip())
    project = example("examples/javascript")
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.tests == {"//table:table_test": "passed", "//table:plain_test": "passed"}, ran
    assert project.bldr("build", "--hermetic", "//...").exit_code == 0
    assert project.output_of("app/count", "rain", "sun", "rain") == "rain 2\nsun  1\n"
    made = {path: path.read_bytes() for path in project.out("").rglob("*") if path.is_file()}
    assert project.bldr("build", "--hermetic", "//...").ran == []

    main = project.root / "app/main.mts"
    main.write_text(main.read_text().replace("?? 0", '?? "0"'))
    broken = project.bldr("build", "--hermetic", "//...")
    assert broken.exit_code == 1 and "error TS2365" in broken.output, broken
    main.write_text(main.read_text().replace('?? "0"', "?? 1"))
    assert project.bldr("build", "--hermetic", "//...").ran == ["Esbuild //app:count", "TypeScript //app:count"]
    assert made[project.out("app/count")] != project.out("app/count").read_bytes()


@pytest.mark.usefixtures("node")
def test_polyglot(example, tmp_path):
    """Six languages in one workspace, with libraries and generated sources across them."""
    for tool in ("gcc", "g++", "rustc", "go", "javac"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here")
    project = example("examples/polyglot")
    ran = project.bldr("test", "--hermetic", "//...")
    assert ran.tests == {"//all:agree_test": "passed", "//python:stats_of_test": "passed"}, ran
    assert project.bldr("build", "--hermetic", "//...").exit_code == 0
    assert project.bldr("build", "--hermetic", "//...").ran == []
    made = outputs(project)

    elsewhere = type(project)(tmp_path / "else" / "where", tmp_path / "cache")
    shutil.copytree(project.root, elsewhere.root, ignore=shutil.ignore_patterns("bldr-out"), dirs_exist_ok=True)
    assert elsewhere.bldr("build", "--hermetic", "//...").exit_code == 0
    again = outputs(elsewhere)
    assert [path for path in made if made[path] != again.get(path)] == []

    def reruns(file, old, new):
        path = project.root / file
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))
        ran = project.bldr("build", "--hermetic", "//...")
        assert ran.exit_code == 0, ran
        return {label.partition(":")[0] for _, label in map(str.split, ran.ran)}

    users_of_c = {"//c", "//rust", "//python", "//java", "//all"}
    assert reruns("c/mean.c", "double sum = 0", "double sum = 0.0 * 1") <= users_of_c
    assert reruns("c/mean.c", "sum / count : 0", "sum / count : 1") == users_of_c
    assert reruns("rust/median.rs", "0 => 0.0", "0 => 1.0") == users_of_c
    assert reruns("go/stats.go", "1)/2] +", "1)/2] - 0 +") <= {"//go", "//all"}
    assert reruns("java/Stats.java", "Long.toString((long) number)", '"" + (long) number') == {"//java", "//all"}
    assert reruns("javascript/stats.mjs", "const numbers", "let numbers") == {"//javascript", "//all"}
    assert reruns("python/stats.py", "numbers = [", "numbers = [0 + ") == {"//python", "//all"}
    languages = {"//c", "//rust", "//python", "//java", "//javascript", "//go", "//all"}
    assert reruns("names/names.txt", "mean=mean", "mean=average") == languages | {"//names"}


def outputs(project):
    """What a build has made, by path, without what tests say of their runs."""
    top = project.out("")
    paths = [path.relative_to(top) for path in top.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: (top / path).read_bytes() for path in paths if not any(".test" in part for part in path.parts)}


def test_every_test_of_luas_authors_is_run_or_accounted_for(example):
    project = example("examples/lua")
    fetched = project.bldr("fetch")
    assert fetched.exit_code == 0, fetched
    listed = project.bldr("query", "kind(test, @lua//...)")
    assert listed.exit_code == 0, listed
    run = {line.rpartition("/")[2] for line in listed.output.split() if ":testes/" in line}
    (tree,) = {path.parent for path in project._cache.rglob("testes/all.lua")}
    there = {path.stem for path in tree.glob("*.lua")}
    assert run - {"portable"} == there - ONLY_IN_THE_PORTABLE_RUN
