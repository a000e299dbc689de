"""The plain platform promises nothing that it does not keep, on any system."""

import subprocess
import sys

from bldr.api import GUARANTEES, LIMITS, Level
from bldr_plain.sandbox import PlainSandbox

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


def test_every_level_is_honest_and_every_shortfall_has_a_reason_and_a_remedy():
    probe = PlainSandbox().probe()
    assert probe.supported
    assert probe.isolation == {"env": Level.SUPERVISED, "wall-time": Level.SUPERVISED}
    missing = [shortfall.guarantee for shortfall in probe.shortfalls]
    assert missing == [name for name in (*GUARANTEES, *LIMITS) if name not in probe.isolation]
    assert all(shortfall.why and shortfall.remedy for shortfall in probe.shortfalls)


def test_it_can_be_imported_where_there_is_no_posix():
    ran = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("the plain sandbox needs the process groups of a POSIX system\n", "")
