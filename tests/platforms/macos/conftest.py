"""The evaluator of profiles, importable, and a fake Mac."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
AS_ON_A_MAC = """
from bldr.api import hook
from bldr_macos.sandbox import MacosSandbox


class OnAMac(MacosSandbox):
    def __init__(self):
        super().__init__(program={program!r}, system="darwin")


@hook
def bldr_sandboxes():
    return (OnAMac,)
"""
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


@pytest.fixture(scope="session")
def site(tmp_path_factory, sandbox_exec):
    """A directory for PYTHONPATH that makes bldr what it is on a Mac: its distribution has no platform of Linux, and
    that of macOS uses the program above. The first distribution of a name is the one that counts."""
    from importlib.metadata import distribution

    place = tmp_path_factory.mktemp("site")
    it = distribution("bldr")
    points = {point.name: point.value for point in it.entry_points if point.group == "bldr"}
    del points["linux"]
    points["macos"] = "bldr_as_on_a_mac"
    info = place / f"bldr-{it.version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bldr\nVersion: {it.version}\n")
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (info / "entry_points.txt").write_text("".join(["[bldr]\n", *lines]))
    (place / "bldr_as_on_a_mac.py").write_text(AS_ON_A_MAC.format(program=sandbox_exec))
    return place
