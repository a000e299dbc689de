"""Where time goes, by part."""

import pytest


@pytest.mark.parametrize(
    ("file", "function", "part"),
    [
        ("/x/builder/bldr/store/blobs.py", "read", "bldr/store"),
        ("/x/builder/bldr/session.py", "build", "bldr/session"),
        ("/x/platforms/bldr_linux/compile.py", "compile_launch", "bldr_linux/compile"),
        ("~", "<built-in method posix.rmdir>", "posix.rmdir"),
        ("<frozen importlib._bootstrap>", "_load", "imports"),
        ("/usr/lib/python3.11/json/__init__.py", "loads", "json"),
        ("/usr/lib/python3.11/selectors.py", "select", "selectors"),
    ],
)
def test_parts(bench, file, function, part):
    assert bench("profiles").part_of(file, function) == part


def test_imports_are_summed_by_outermost_module(bench):
    text = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |   email.message
import time:       200 |        300 | email
import time:        50 |         50 | bldr.store.blobs
import time:        70 |         70 | bldr.store.gc
a line of the build's own
"""
    found = bench("profiles").imports_of(text)
    assert [name for name, _ in found] == ["email", "bldr.store"]
    assert [seconds for _, seconds in found] == pytest.approx([0.0003, 0.00012])


def test_system_calls_are_counted_by_name(bench):
    text = """\
    calls syscall
--------- ----------------
      930 rt_sigaction
       17 fsconfig
--------- ----------------
      947 total
"""
    assert bench("profiles").calls_of(text) == {"rt_sigaction": 930, "fsconfig": 17}


def test_slots_are_busy_while_processes_run(bench):
    events = [
        {"event": "build_started", "time_s": 0.0},
        {"event": "action_started", "time_s": 1.0},
        {"event": "action_finished", "time_s": 3.0, "cached": False, "duration_s": 1.5},
        {"event": "action_finished", "time_s": 5.0, "cached": False, "duration_s": 0.5},
        {"event": "action_finished", "time_s": 9.0, "cached": True, "duration_s": 0.5},
    ]
    profiles = bench("profiles")
    assert profiles.busy_share(events, 2) == pytest.approx(0.25)
    assert profiles.busy_share(events[:1], 2) == 0.0
