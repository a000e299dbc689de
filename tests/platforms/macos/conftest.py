"""The evaluator of profiles, importable, and a fake Mac."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))  # also for the programs that tests start


@pytest.fixture
def mac():
    from seatbelt import Mac

    return Mac()


@pytest.fixture
def profile():
    """A profile of these forms after the two that all have."""
    from seatbelt import Profile

    return lambda *forms, **parameters: Profile("(version 1)\n(deny default)\n" + "\n".join(forms), parameters)


@pytest.fixture
def program_env():
    """The environment of a program that imports what this process does."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture(scope="session")
def sandbox_exec(tmp_path_factory):
    """The path of a program that is `sandbox-exec` as far as that is possible here."""
    import bldr_linux

    places = [str(HERE), str(Path(bldr_linux.__file__).parents[1])]
    top = tmp_path_factory.mktemp("program")
    program = top / "sandbox-exec"
    program.write_text(
        f"#!{sys.executable} -IS\nimport sys\nsys.path[:0] = {places!r}\nfrom sandbox_exec import main\nmain()\n"
    )
    program.chmod(0o755)
    return str(program)
