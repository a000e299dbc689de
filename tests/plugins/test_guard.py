"""What a guard counts against a plugin, and what it does not."""

import os
import subprocess
import sys

import pytest

CALL = """
import time
from bldr.guard import Guard, Overdue

ended = ""
with Guard(0.2) as guard:
    guard.calls("somebody")
    with guard.suspended():
        time.sleep(1)
    try:
        time.sleep(60)
    except Overdue as overdue:
        ended = str(overdue)
    with guard.detecting("a detector"), guard.suspended():
        time.sleep(1)
    guard.is_back()
print(ended)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no timer here")
def test_what_is_fetched_in_the_midst_of_a_call_is_not_counted_against_it():
    """In a process of its own, whose timer nobody else has."""
    done = subprocess.run([sys.executable, "-c", CALL], capture_output=True, text=True, timeout=100, check=False)
    assert done.stderr == "", done
    assert done.stdout.startswith("somebody did not come back within 0.2 s (it was at <string>:11)"), done
