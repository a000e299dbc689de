"""`bldr init plugin NAME`: a package whose tests pass as it stands, and clear words where it cannot be written."""

import os
import subprocess
import sys
import tomllib

import pytest


@pytest.fixture
def stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def installed(package, name, module):
    """The environment of a process for which the package is installed, as an editable installation does it: by a folder
    on the path, and metadata beside it."""
    metadata = package / f"src/{module}-0.1.0.dist-info"
    metadata.mkdir()
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    points = "".join(f"{key} = {value}\n" for key, value in project["entry-points"]["bldr"].items())
    (metadata / "entry_points.txt").write_text(f"[bldr]\n{points}")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(package / "src"), *sys.path]), "NO_COLOR": "1"}


def test_a_package_is_written_and_its_files_are_named(bldr, stand):
    done = bldr("init", "plugin", "fish-soup")
    assert done.code == 0, done.err
    assert done.err == (
        f"wrote {stand}/bldr-fish-soup\nnext: cd bldr-fish-soup && pip install -e '.[test]' && pytest\n"
    )
    package = stand / "bldr-fish-soup"
    written = sorted(path.relative_to(stand).as_posix() for path in package.rglob("*") if path.is_file())
    assert written == sorted(done.out.split())
    assert "bldr-fish-soup/src/bldr_fish_soup/handler.py" in written
    texts = {path: path.read_text() for path in package.rglob("*") if path.is_file()}
    assert not [path for path, text in texts.items() if "@" in text.replace("@hook", "").replace('"$@"', "")]
    assert "class FishSoupHandler:" in texts[package / "src/bldr_fish_soup/handler.py"]
    project = tomllib.loads(texts[package / "pyproject.toml"])["project"]
    assert project["entry-points"] == {"bldr": {"fish-soup": "bldr_fish_soup.plugin"}}


def test_a_name_with_the_prefix_is_the_same_name(bldr, stand):
    assert bldr("init", "plugin", "bldr-soup").code == 0
    assert os.listdir(stand) == ["bldr-soup"]
    again = bldr("init", "plugin", "soup")
    assert (again.code, again.err) == (
        2,
        f"error: there is a bldr-soup already: {stand}/bldr-soup\n"
        "hint: choose another name, or go to another directory\n",
    )


@pytest.mark.parametrize("name", ["", "Soup", "../soup", "fish--soup", "-soup", "soup!", "1soup", "süppe", "s" * 41])
def test_what_cannot_be_a_name_is_refused(bldr, stand, name):
    done = bldr("init", "plugin", "--", name)
    assert done.code == 2
    assert done.err.startswith(f'error: "{name}" cannot be the name of a language\nhint: lower-case letters and digits')
    assert os.listdir(stand) == []


def test_a_language_that_is_served_already_is_refused(bldr, stand):
    assert 'error: the language "c" is served by bldr\n' in bldr("init", "plugin", "c").err
    assert 'error: bldr has a plugin "cc"\n' in bldr("init", "plugin", "cc").err
    assert os.listdir(stand) == []


def test_words_that_make_no_sense_are_refused(bldr, stand):
    assert 'error: "plugin" is nothing that bldr init writes\n' in bldr("init", "plugin").err
    assert 'error: "palace soup" is nothing that bldr init writes\n' in bldr("init", "palace", "soup").err
    assert "hint: leave out --force and --print\n" in bldr("init", "--force", "plugin", "soup").err
    assert os.listdir(stand) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc here")
def test_a_place_that_takes_no_folder_is_named(bldr, monkeypatch):
    monkeypatch.chdir("/proc")
    assert bldr("init", "plugin", "soup").err == "error: cannot write /proc/bldr-soup: no such file or directory\n"


def test_what_is_written_is_in_order(bldr, stand):
    """Formatted and free of complaints, by its own settings."""
    assert bldr("init", "plugin", "fish-soup").code == 0
    for command in (["check"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
        ran = subprocess.run(words, cwd=stand / "bldr-fish-soup", capture_output=True, text=True)
        if "No module named" in ran.stderr:
            pytest.skip("there is no ruff here")
        assert ran.returncode == 0, ran.stdout


@pytest.mark.full
def test_its_tests_pass_at_once(bldr, stand):
    assert bldr("init", "plugin", "fish-soup").code == 0
    package = stand / "bldr-fish-soup"
    env = installed(package, "fish-soup", "bldr_fish_soup")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={stand}/basetemp"]
    ran = subprocess.run(words, cwd=package, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert "skipped" not in ran.stdout
