"""The plain platform promises nothing that it does not keep, on any system."""

import subprocess
import sys

import pytest

from bldr.api import GUARANTEES, LIMITS, Level
from bldr_plain.sandbox import PlainSandbox
from bldr_unmounted import process

WITHOUT_POSIX = """
import os, sys
for name in ("resource", "fcntl", "pwd", "grp", "termios", "posix"):
    sys.modules[name] = None
os.name = "nt"
from bldr.api import IsolationError
from bldr_plain.plugin import bldr_sandboxes
(kind,) = bldr_sandboxes()
probe = kind().probe()
assert not probe.supported and not probe.isolation
try:
    kind().open("x")
except IsolationError as error:
    print(error.message)
"""


@pytest.mark.parametrize("system", ["darwin", "linux"])
def test_every_level_is_honest_and_every_shortfall_has_a_reason_and_a_remedy(system, monkeypatch):
    """On a Mac what leaves its session is not found at the end."""
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(process, "sees_processes", lambda: True)
    probe = PlainSandbox().probe()
    assert probe.supported
    levels = {"env": Level.SUPERVISED, "wall-time": Level.SUPERVISED}
    assert probe.isolation == ({"env": Level.SUPERVISED} if system == "darwin" else levels)
    missing = [shortfall.guarantee for shortfall in probe.shortfalls]
    assert missing == [name for name in (*GUARANTEES, *LIMITS) if name not in probe.isolation]
    assert all(shortfall.why and shortfall.remedy for shortfall in probe.shortfalls)


def test_it_can_be_imported_where_there_is_no_posix():
    ran = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("the plain sandbox needs the process groups of a POSIX system\n", "")
