"""The workflow for hosted runners, held against the repository: nothing in it is made up."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / ".github/workflows/ci.yml").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FIRST_PARTY = re.compile(r"actions/(checkout|setup-python)@v\d+")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
RUNNERS = re.compile(r"(ubuntu|macos|windows)-\d\d(\.\d\d)?|(ubuntu|macos|windows)-20\d\d")
MARKERS = {re.match(r"\w+", line).group() for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
SYSTEM_COMMANDS = {"apt-get", "sysctl", "test"}


def workflow():
    """YAML 1.1 reads the key `on` as a truth value."""
    loaded = yaml.safe_load(TEXT)
    loaded["on"] = loaded.pop(True, None) or loaded.get("on")
    return loaded


JOBS = workflow()["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]


def commands(step):
    """The commands of a step, as words; what `||` allows is a command too."""
    lines = step.get("run", "").splitlines()
    return [shlex.split(part) for line in lines for part in line.split("||") if part.strip()]


COMMANDS = [words for _, step in STEPS for words in commands(step)]
PYTEST = [words for words in COMMANDS if words[:3] == ["python", "-m", "pytest"]]


def test_the_token_may_read_and_nothing_else():
    assert workflow()["permissions"] == {"contents": "read"}
    assert not [name for name, job in JOBS.items() if "permissions" in job]
    assert not re.search(r"\bsecrets\b|pull_request_target", TEXT)
    checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(JOBS)
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_it_runs_for_changes_and_on_demand():
    assert set(workflow()["on"]) == {"push", "pull_request", "workflow_dispatch"}


@pytest.mark.parametrize("name", JOBS)
def test_every_job_ends_in_time_on_a_runner_of_a_known_version(name):
    assert 0 < JOBS[name]["timeout-minutes"] <= 180
    assert RUNNERS.fullmatch(JOBS[name]["runs-on"])


def test_systems_and_pythons_are_those_of_the_project():
    assert {job["runs-on"].split("-")[0] for job in JOBS.values()} == {"ubuntu", "macos", "windows"}
    stated = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if "Python :: 3." in line]
    assert JOBS["linux"]["strategy"]["matrix"]["python"] == stated


def test_actions_are_pinned_or_github_s_own():
    used = [step["uses"] for _, step in STEPS if "uses" in step]
    assert used
    assert not [action for action in used if not (FIRST_PARTY.fullmatch(action) or PINNED.fullmatch(action))]


def test_no_host_is_named():
    assert "://" not in TEXT
    assert not re.search(r"index-url|\b[\w-]+\.(org|com|io|net|dev)\b", TEXT)


def test_expressions_take_nothing_from_whoever_proposes_a_change():
    """A branch's name or a title would be text of a command."""
    said = set(re.findall(r"\$\{\{\s*([\w.]+)\s*\}\}", TEXT))
    assert said == {"github.ref", "matrix.python"}
    assert not [step for _, step in STEPS if "${{" in step.get("run", "")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_there(words):
    if words[0] == "sudo":
        words = words[1:]
    program = words[0]
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        target, *settings = words[1:]
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        assert all(re.search(rf"^{setting.partition('=')[0]} \?=", makefile, re.MULTILINE) for setting in settings)
    elif program == "python":
        assert words[1] == "-m"
        assert importlib.util.find_spec(words[2])
    elif program == ".venv/bin/bldr":
        assert "bldr" in PROJECT["project"]["scripts"]
    elif "/" in program:
        assert os.access(ROOT / program, os.X_OK)
    else:
        assert program in SYSTEM_COMMANDS


def test_extras_are_the_project_s():
    asked = {extra for words in COMMANDS for word in words for extra in re.findall(r"^\.\[([\w,]+)\]$", word)}
    assert asked
    assert asked <= set(PROJECT["project"]["optional-dependencies"])


def test_packages_are_those_that_ci_installs():
    """`.ci/run` names all that tests use; Wine's stand in the Makefile."""
    known = (ROOT / ".ci/run").read_text() + (ROOT / "Makefile").read_text().replace(",", " ")
    installed = [word for words in COMMANDS if "install" in words and "apt-get" in words for word in words]
    packages = [word for word in installed if word not in ("sudo", "apt-get", "install") and not word.startswith("-")]
    assert len(packages) > 5
    assert not [package for package in packages if not re.search(rf"[\s:]{re.escape(package)}[\s;]", known)]


@pytest.mark.full
@pytest.mark.parametrize("words", PYTEST, ids=" ".join)
def test_every_selection_of_tests_finds_some(words):
    """Markers are known, paths exist, and some tests are left."""
    expression = words[words.index("-m", 2) + 1]
    assert set(re.findall(r"\w+", expression)) - {"and", "or", "not"} <= MARKERS
    paths = [word for word in words[3:] if word.startswith("tests")]
    assert paths
    assert all((ROOT / path).exists() for path in paths)
    options = words[words.index("-o") : words.index("-o") + 2] if "-o" in words else []
    alone = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    collect = [*alone, *options, "-m", expression, *paths]
    ran = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr
    assert re.search(r"^\d+(/\d+)? tests? collected", ran.stdout.splitlines()[-1]), ran.stdout[-500:]
