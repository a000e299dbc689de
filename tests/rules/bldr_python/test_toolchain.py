"""Which interpreter is found, and what of it actions may see."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from bldr.api import ToolchainError
from bldr_python.interpreter import find_interpreter
from bldr_python.toolchain import PythonDetector

SYSTEM = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(scope="module")
def system():
    if not os.access("/usr/bin/python3", os.X_OK):
        pytest.skip("there is no python3 of the system here")
    return PythonDetector().detect(SYSTEM)


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_standard_library_and_nothing_that_was_installed(system):
    names = {path.rpartition("/")[2] for path in system.files}
    assert {"os.py", "json", "subprocess.py", "libc.so.6", "env"} - names == {"json"}
    assert any(path.endswith("/json/decoder.py") for path in system.files)
    bad = ("site-packages", "dist-packages", "__pycache__", "sitecustomize", "/test/")
    assert [path for path in system.files if any(word in path for word in bad)] == []
    assert system.executables.keys() >= {"python", "python3"}
    assert set(system.files) < set(system.sentinels)


def test_behind_a_virtual_environment_is_what_it_was_made_of(tmp_path):
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    found = find_interpreter({"PATH": f"{tmp_path}/env/bin"})
    assert found.executable == os.path.realpath(sys._base_executable)
    assert all(not library.startswith(str(tmp_path)) for library in found.libraries)


def test_a_shim_is_asked_where_no_project_chooses(tmp_path, monkeypatch):
    real = os.path.realpath(sys._base_executable)
    text = f'#!/bin/sh\n[ -e .python-version ] && exit 1\n[ "$PYENV_VERSION" = 3 ] || exit 2\nexec {real} "$@"\n'
    shim = script(tmp_path / "shims/python3", text)
    (tmp_path / ".python-version").write_text("9\n")
    monkeypatch.chdir(tmp_path)
    found = find_interpreter({"PATH": f"{shim.parent}", "PYENV_VERSION": "3"})
    assert found.executable == real
    assert found.found == str(shim)
    assert str(tmp_path / "version") in found.asked  # the file in which pyenv keeps what was chosen for all


def test_one_that_does_not_work_is_passed_over(tmp_path):
    script(tmp_path / "a/python3", "#!/bin/sh\nexit 1\n")
    os.makedirs(tmp_path / "b")
    os.symlink(sys.executable, tmp_path / "b/python3")
    assert find_interpreter({"PATH": f"{tmp_path}/a:{tmp_path}/b"}).version == sys.version_info[:3]
    with pytest.raises(ToolchainError) as missing:
        find_interpreter({"PATH": f"{tmp_path}/a"})
    assert missing.value.message == "no usable Python is on the PATH"
    assert missing.value.hint == f"{tmp_path}/a/python3: exit code 1"
    with pytest.raises(ToolchainError, match="no Python is on the PATH"):
        find_interpreter({"PATH": f"{tmp_path}/c"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#!/bin/sh\necho 'pyenv: version `3.9` is not installed' >&2\necho more >&2\nexit 1\n",
         "pyenv: version `3.9` is not installed"),
        ("#!/bin/sh\necho hello\n", 'it said "hello", which is no answer of Python'),
        ("#!/nowhere/python\n", "No such file or directory"),
    ],
)  # fmt: skip
def test_why_one_is_not_taken_is_said(tmp_path, text, expected):
    path = script(tmp_path / "python3", text)
    with pytest.raises(ToolchainError) as refused:
        find_interpreter({"PATH": str(tmp_path)})
    assert refused.value.hint == f"{path}: {expected}"


def test_the_variable_python_decides(tmp_path):
    path = script(tmp_path / "mine", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    assert find_interpreter({"PATH": "/nowhere", "PYTHON": str(path)}).found == str(path)
    with pytest.raises(ToolchainError, match='PYTHON is "python9", which is not usable'):
        find_interpreter({**SYSTEM, "PYTHON": "python9"})


@pytest.mark.full
def test_identity_is_that_of_contents(system, tmp_path):
    """An installation of one's own: what is compiled or installed in it is nothing to the toolchain."""
    found = find_interpreter(SYSTEM)
    library = Path(found.libraries[0])
    copy = tmp_path / "lib" / library.name
    copy.parent.mkdir()
    subprocess.run(["cp", "-a", str(library), str(copy)], check=True)
    program = tmp_path / "bin" / Path(found.executable).name
    program.parent.mkdir()
    shutil.copy(found.executable, program)
    own = {"PATH": "/usr/bin", "PYTHON": str(program)}
    first = PythonDetector().detect(own)
    assert f"{copy}/os.py" in first.files and f"{library}/os.py" not in first.files

    os.utime(copy / "os.py", (1, 1))
    (copy / "site-packages").mkdir()
    (copy / "site-packages" / "installed.py").write_text("x = 1\n")
    shutil.rmtree(copy / "__pycache__", ignore_errors=True)
    assert PythonDetector().detect(own).identity == first.identity
    with open(copy / "this.py", "a") as file:
        file.write("# changed\n")
    assert PythonDetector().detect(own).identity != first.identity
