"""The repository as a newcomer meets it: what it says of itself is so."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCE_ROOTS = ("builder", "platforms", "rules")
VAGUE = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc", "tools", "stuff", "lib"}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DECISIONS = sorted(path for path in ROOT.glob("docs/decisions/*.md") if path.name != "README.md")


def python_files(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def packages():
    return [ROOT / package for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def ids(path):
    """The path as people know it."""
    return str(path.relative_to(ROOT))


# Sources


def test_files_can_be_read_in_one_sitting():
    lines = {ids(path): len(path.read_text().splitlines()) for path in python_files(*SOURCE_ROOTS, "tests", "bench")}
    assert not {path: count for path, count in lines.items() if count > 450}


def test_functions_fit_on_a_screen():
    functions = [
        (ids(path), node.name, node.end_lineno - node.lineno + 1)
        for path in python_files(*SOURCE_ROOTS)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 100
    assert not [found for found in functions if found[2] > 70]


def test_names_of_files_say_what_they_hold():
    assert not [ids(path) for path in python_files(*SOURCE_ROOTS) if {path.stem, path.parent.name} & VAGUE]


def test_modules_say_what_they_own():
    """The first line of each; an empty `__init__.py` owns nothing."""
    trees = {ids(path): ast.parse(path.read_text()) for path in python_files(*SOURCE_ROOTS)}
    assert not [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)]


def test_source_roots_are_no_packages():
    for root in SOURCE_ROOTS:
        assert not (ROOT / root / "__init__.py").exists()
        found = {path for path in (ROOT / root).iterdir() if path.is_dir() and any(path.glob("*.py"))}
        assert found <= set(packages()), "a package that the wheel would not contain"


def test_nothing_is_left_for_later():
    marks = re.compile(rf"\b({'|'.join(('TO' + 'DO', 'FIX' + 'ME', 'X' * 3))})\b")
    files = [*python_files(*SOURCE_ROOTS, "tests", "bench"), *DOCUMENTS]
    assert not [ids(path) for path in files if marks.search(path.read_text())]


# Packaging


def test_entry_points_name_modules_that_answer_hooks():
    from bldr.api.hooks import PROJECT as NAME
    from bldr.plugins import load_plugins

    declared = PROJECT["project"]["entry-points"][NAME]
    installed = {point.name: point.value for point in entry_points(group=NAME)}
    assert declared.items() <= installed.items(), "install again: make test does it when pyproject.toml is newer"
    for value in declared.values():
        assert any(name.startswith("bldr_") for name in vars(importlib.import_module(value)))
    assert load_plugins().broken == []


def test_the_command_is_where_the_package_says():
    module, _, function = PROJECT["project"]["scripts"]["bldr"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_every_package_is_checked_by_all_tools():
    names = {path.name for path in packages()}
    tools = PROJECT["tool"]
    assert set(tools["mypy"]["packages"]) == names
    assert set(tools["importlinter"]["root_packages"]) == names
    shared = {"bldr_unmounted"}  # a library of platforms, which any of them may import
    plugins = names - {"bldr"} - shared
    forbidden, independent, library, api_only = tools["importlinter"]["contracts"]
    assert set(forbidden["forbidden_modules"]) == plugins | shared
    assert set(independent["modules"]) == plugins
    assert (set(library["source_modules"]), set(library["forbidden_modules"])) == (shared, plugins)
    assert set(api_only["source_modules"]) == plugins | shared
    inside = (path for path in (ROOT / "builder/bldr").iterdir() if path.is_dir() or path.suffix == ".py")
    engine = {path.stem for path in inside if not path.name.startswith("_")}
    engine -= {"api"}
    assert {f"bldr.{name}" for name in engine} <= set(api_only["forbidden_modules"]), "what plugins must not import"


def test_every_dependency_is_explained_and_used():
    text = (ROOT / "docs/decisions/dependencies.md").read_text()
    chosen, _, unused = text.partition("## Declared, and not imported yet")
    module_of = {"pyelftools": "elftools", "pywin32": "win32job"}
    imported = set()
    for path in python_files(*SOURCE_ROOTS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    for requirement in PROJECT["project"]["dependencies"]:
        name = re.match(r"[\w-]+", requirement).group()
        if module_of.get(name, name) in imported:
            assert f"\n| {name} |" in chosen
            assert f"`{name}`" not in unused
        else:
            assert f"\n* `{name}`:" in unused


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, as somebody who releases it does."""
    source = tmp_path_factory.mktemp("source") / "bldr"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "tests", "bldr-out", "__pycache__", "results"))
    made = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, source]
    subprocess.run(pip, check=True)
    (path,) = made.glob("bldr-*.whl")
    return path


@pytest.mark.full
def test_the_wheel_holds_what_the_source_roots_hold(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for root in SOURCE_ROOTS:
        expected = {path.relative_to(ROOT / root).as_posix() for path in python_files(root)}
        assert expected
        assert expected <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {path.name for path in packages()}


@pytest.mark.full
def test_the_installed_wheel_builds_hermetically(wheel, tmp_path):
    """Nothing of the checkout is in reach: another environment, another directory, another cache."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "--quiet", wheel], check=True)
    shutil.copytree(ROOT / "examples/mixed", tmp_path / "mixed", ignore=shutil.ignore_patterns("bldr-out"))
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BLDR_CACHE_DIR": str(tmp_path / "cache")}

    def bldr(*words):
        ran = subprocess.run(
            [venv / "bin/bldr", *words], cwd=tmp_path / "mixed", env=env, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        return ran

    assert bldr("--version").stdout.startswith("bldr ")
    bldr("build", "--hermetic", "//...")
    counted = [tmp_path / "mixed/bldr-out/app/count", "words/testdata/rain.txt"]
    told = subprocess.run(counted, cwd=tmp_path / "mixed", capture_output=True, text=True, check=True)
    assert told.stdout == "3 14 72 words/testdata/rain.txt\n"
    assert "0 ran" in bldr("build", "--hermetic", "//...").stderr


@pytest.mark.full
def test_the_source_distribution_can_build_the_wheel(tmp_path):
    build = "import sys; from hatchling.build import build_sdist; build_sdist(sys.argv[1])"
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    requirements = PROJECT["build-system"]["requires"]
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "--quiet", *requirements], check=True)
    subprocess.run([venv / "bin/python", "-c", build, tmp_path], cwd=ROOT, check=True)
    (sdist,) = tmp_path.glob("bldr-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "Builderfile.example", "builder/bldr/session.py"} <= names
    assert not [name for name in names if name.startswith((".venv", "dist/")) or "bldr-out" in name]


# Documents


def test_the_readme_begins_with_two_commands_that_exist():
    commands = re.findall(r"^    (\S.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [command.split("#")[0].strip() for command in commands[:2]] == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "check", "full", "bench", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_ci_runs_what_the_readme_says():
    script = (ROOT / ".ci/run").read_text()
    stages = re.findall(r"^(?:stage|tests) [\w-]+ .*\bmake (\w+)", script, re.MULTILINE)
    assert stages == ["demo", "test", "check", "bench", "full"]


def test_the_readme_s_table_of_commands_is_complete():
    from bldr.cli.commands import BUNDLED

    table = (ROOT / "README.md").read_text().partition("## Commands")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(BUNDLED)


def test_the_readme_s_builderfile_builds_and_its_test_passes(tmp_path):
    """As it stands there, with sources that it could have."""
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    files = {
        "Builderfile": example,
        "version.txt": "1.0\n",
        "src/greet.h": "void greet(void);\n",
        "src/greet.c": '#include <stdio.h>\n#include "greet.h"\n#include "version.h"\n'
        'void greet(void) { puts("hello " VERSION); }\n',
        "hello.c": '#include "src/greet.h"\nint main(void) { greet(); return 0; }\n',
    }
    for name, text in files.items():
        (tmp_path / "hello" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "hello" / name).write_text(text)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BLDR_CACHE_DIR": str(tmp_path / "cache")}
    env |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    command = [sys.executable, "-m", "bldr", "test", "--hermetic", "//..."]
    ran = subprocess.run(command, cwd=tmp_path / "hello", env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "1 test passed" in ran.stderr
    hello = tmp_path / "hello/bldr-out/hello"
    subprocess.run([*command[:3], "build", "//:hello"], cwd=tmp_path / "hello", env=env, check=True)
    assert subprocess.run([hello], capture_output=True, text=True, check=True).stdout == "hello 1.0\n"


def anchors(path):
    """The anchors of a document's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file) if file else path
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_every_page_is_in_the_index_of_the_documentation():
    index = ROOT / "docs/README.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", index.read_text())}
    pages = {path.resolve() for path in ROOT.glob("docs/**/*.md")} - {path.resolve() for path in (*DECISIONS, index)}
    assert pages <= linked


def test_every_decision_is_in_its_index():
    index = (ROOT / "docs/decisions/README.md").read_text()
    assert set(re.findall(r"\]\(([^)#]+)\)", index)) == {path.name for path in DECISIONS}


@pytest.mark.parametrize("path", [path for path in DECISIONS if path.stem not in ("dependencies", "fetching")], ids=ids)
def test_decisions_say_what_why_what_else_and_at_what_cost(path):
    said = re.findall(r"^\*\*(\w+)\.\*\*", path.read_text(), re.MULTILINE)
    assert said == ["Decision", "Why", "Considered", "Costs"]


def test_the_code_map_knows_every_folder_of_the_engine_and_names_no_file_that_is_gone():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    engine = text.partition("### `builder/bldr`")[2].partition("### `platforms/`")[0]
    named = set(re.findall(r"`(\w+\.py)`", engine))
    assert len(named) > 80
    assert named <= {path.name for path in python_files("builder")}
    folders = {path.parent.name for path in python_files("builder") if path.parent.name != "bldr"}
    assert folders == set(re.findall(r"`(\w+)/`", engine))


def test_tests_that_the_threat_table_names_exist():
    table = (ROOT / "SECURITY.md").read_text().partition("## Threats")[2]
    named = set(re.findall(r"`([\w/]+/test_\w+\.py)`", table))
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / "tests" / name).exists()]


# CI


def test_ci_counts_a_skip_that_nobody_expects(tmp_path):
    """As the last stage of `.ci/run` does, on results that pytest itself writes."""
    suite = tmp_path / "tests/example/test_it.py"
    suite.parent.mkdir(parents=True)
    suite.write_text(
        "import pytest\n\ndef test_passes(): pass\n\n@pytest.mark.skip(reason='needs root')\ndef test_skipped(): pass\n"
    )
    results = tmp_path / "quick.user.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        f"--rootdir={tmp_path}",
    ]
    subprocess.run([*command, f"--junitxml={results}", suite], cwd=tmp_path, check=True, capture_output=True)
    as_user = subprocess.run([sys.executable, ROOT / ".ci/skips.py", results], capture_output=True, text=True)
    assert as_user.returncode == 0, as_user.stdout
    assert "expected skip tests/example/test_it.py::test_skipped: needs root" in as_user.stdout
    assert re.fullmatch(r"=+ 1 passed, 1 skipped in [\d.]+s =+", as_user.stdout.splitlines()[-1])
    as_root = subprocess.run(
        [sys.executable, ROOT / ".ci/skips.py", results.rename(tmp_path / "quick.root.xml")],
        capture_output=True,
        text=True,
    )
    assert as_root.returncode == 1
    assert "UNEXPECTED SKIP tests/example/test_it.py::test_skipped" in as_root.stdout


@pytest.mark.parametrize("again", ["passes", "fails", "is not tried"])
def test_a_failure_counts_unless_the_test_passes_when_tried_again(tmp_path: Path, again: str):
    case = '<testcase classname="tests.test_a" name="test_b">{}</testcase>'
    suite = '<testsuites><testsuite time="1">{}</testsuite></testsuites>'
    failed = suite.format(case.format('<failure message="no">no</failure>'))
    passed = suite.format(case.format(""))
    (tmp_path / "quick.root.xml").write_text(failed)
    (tmp_path / "quick.user.xml").write_text(passed)
    if again != "is not tried":
        (tmp_path / "quick-again.root.xml").write_text(passed if again == "passes" else failed)
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/skips.py", *sorted(tmp_path.iterdir())], capture_output=True, text=True
    )
    assert (done.returncode == 0) == (again == "passes"), done.stdout
    assert ("passed alone: tests/test_a.py::test_b" in done.stdout) == (again == "passes")


def test_expected_skips_name_tests_that_exist():
    for line in (ROOT / ".ci/expected-skips").read_text().splitlines():
        if line and not line.startswith("#"):
            who, test, reason = line.split(None, 2)
            assert who in ("root", "user", "any", "quick-3.*", "vm", "test-wine")
            assert reason
            files = [path.relative_to(ROOT).as_posix() for path in python_files("tests")]
            assert any(fnmatchcase(file, test.partition("::")[0]) for file in files), test
