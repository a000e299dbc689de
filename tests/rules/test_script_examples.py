"""The examples of Python, shell and archives: built from nothing, again, after an edit, and in another checkout."""

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

REPOSITORY = Path(__file__).parents[2]
IGNORED = shutil.ignore_patterns("bldr-out")


@pytest.fixture
def example(project):
    """Function: (name of an example) -> the project, with a copy of it for a workspace."""

    def copy(name):
        shutil.copytree(REPOSITORY / "examples" / name, project.root, ignore=IGNORED, dirs_exist_ok=True)
        return project

    return copy


def all_of(project):
    """Everything built and every test passed; what ran for it, sorted."""
    built = project.bldr("build", "--hermetic", "//...")
    assert built.exit_code == 0, built
    tested = project.bldr("test", "--hermetic", "//...")
    assert tested.exit_code == 0, tested
    return sorted((*built.ran, *tested.ran))


def outputs(project):
    """Path below bldr-out -> content, of all but what test runs leave."""
    top = project.root / "bldr-out"
    files = (path for path in top.rglob("*") if path.is_file() and ".test/" not in str(path))
    return {str(path.relative_to(top)): path.read_bytes() for path in files}


@pytest.fixture
def again(tmp_path_factory):
    """Function: (project, name of its example) -> the outputs of another checkout with another cache."""

    def build(project, name):
        other = type(project)(
            tmp_path_factory.mktemp("again") / "somewhere else", tmp_path_factory.mktemp("other-cache")
        )
        shutil.copytree(REPOSITORY / "examples" / name, other.root, ignore=IGNORED, dirs_exist_ok=True)
        all_of(other)
        return outputs(other)

    return build


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_python(example, again):
    """Needs the index that pip is configured for, or wheels that were fetched before."""
    project = example("python")
    assert all_of(project)
    assert all_of(project) == []
    first = outputs(project)
    assert project.output_of("app/count", project.root / "app/rain.txt") == (project.out("app/rain.counts")).read_text()
    assert first == again(project, "python")
    replace(project.root / "app/main.py", '"times"', '"count"')
    assert all_of(project) == ["Command //app:rain", "PythonCompile //app:count", "PythonPack //app:count"]
    replace(project.root / "words/tests/test_counting.py", "go", "come")
    assert all_of(project) == ["Test //words:unit_test"]


def test_shell(example, again):
    if shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck here")
    project = example("shell")
    assert all_of(project)
    assert all_of(project) == []
    assert project.output_of("report/report", project.root / "report/numbers.txt") == "Sum of the numbers\n42\n"
    assert outputs(project) == again(project, "shell")
    replace(project.root / "log/log.sh", "# log LEVEL", "# log the LEVEL")
    program = ["ShellCheck //report:report", "ShellProgram //report:report"]
    assert all_of(project) == [
        "Command //report:numbers",
        "ShellCheck //log:log",
        *program,
        "Test //report:report_test",
    ]
    replace(project.root / "report/report_test.sh", "a file", "any file")
    assert all_of(project) == ["ShellCheck //report:report_test", "Test //report:report_test"]


def test_archive(example, again):
    project = example("archive")
    assert all_of(project)
    assert all_of(project) == []
    assert outputs(project) == again(project, "archive")
    replace(project.root / "docs/usage.txt", "Run", "Call")
    archives = ["Archive //:for_windows", "Archive //:plain", "Archive //:release"]
    assert all_of(project) == [*archives, "Test //:release_test"]
    replace(project.root / "hello.in", "#!/bin/sh", "#!/bin/sh\n")
    assert all_of(project) == ["Archive //:release", "Archive //:small", "Command //:hello", "Test //:release_test"]
