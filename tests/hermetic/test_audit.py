"""What a spec says of a path, and what a run had to do with its spec."""

import json

import pytest

from bldr.api import GUARANTEES, Exit, Level, ResourceLimits, Verdict
from bldr.hermetic import Access, Demand, SandboxSpecBuilder, Violation, access, record, violations

SPEC = (
    SandboxSpecBuilder()
    .input("/usr")
    .input("/w/src")
    .output("/w/out/")
    .temp("/tmp")
    .input("/tmp/data")
    .file("/etc/passwd", b"")
    .device("/dev/kvm")
    .sysfs()
    .with_resources(ResourceLimits(disk_bytes=5, required=frozenset({"disk"})))
    .build()
)
ALL = dict.fromkeys((*GUARANTEES, "disk"), Level.KERNEL)


@pytest.mark.parametrize(
    ("path", "role", "declared", "readable", "writable"),
    [
        ("/usr/bin/gcc", "input", "/usr", True, False),
        ("/w/src/../src/a.c", "input", "/w/src", True, False),
        ("/w/out/a.o", "output", "/w/out", True, True),
        ("/tmp/x", "temp", "/tmp", True, True),
        ("/tmp/data/x", "input", "/tmp/data", True, False),
        ("/etc/passwd", "made", "/etc/passwd", True, False),
        ("/bin/sh", "made", "/bin", True, False),
        ("/sys/class", "made", "/sys", True, False),
        ("/dev/kvm", "device", "/dev/kvm", True, True),
        ("/dev/kvm2", "undeclared", "", False, False),
        ("/w/src.txt", "undeclared", "", False, False),
    ],
)
def test_the_deepest_declaration_counts(path, role, declared, readable, writable):
    found = access(SPEC, path)
    assert (found.role, found.declared, found.readable, found.writable) == (role, declared, readable, writable)


def test_an_undeclared_path_comes_with_the_remedy():
    assert access(SPEC, "/etc/shadow") == Access(
        "/etc/shadow", "undeclared", "", 'declare it: `.input("/etc/shadow")`, or `.output("/etc/shadow")` to write it'
    )


def test_limits_and_guarantees_that_were_passed_are_violations():
    demand = Demand("require", GUARANTEES)
    verdict = Verdict("disk", 5, 6, "bytes")
    assert violations(SPEC, demand, Exit(launch_id=1, exit_code=0, isolation=ALL)) == ()
    lesser = {**ALL, "disk": Level.NONE, "ipc": Level.NONE}
    assert violations(SPEC, demand, Exit(launch_id=1, exit_code=137, isolation=lesser, verdict=verdict)) == (
        Violation("limit", "disk", "disk limit of 5 bytes reached (used 6 bytes)"),
        Violation("isolation", "ipc", "not enforced in this run"),
        Violation("isolation", "disk", "not enforced in this run"),
    )


def test_a_record_is_one_line_of_json():
    kept = record(SPEC, Demand("best"), ["cc", "a.c"], Exit(launch_id=1, exit_code=2, isolation={"env": Level.KERNEL}))
    read = json.loads(kept.to_json())
    assert "\n" not in kept.to_json()
    assert (read["argv"], read["exit_code"], read["hermetic"], read["isolation"]) == (
        ["cc", "a.c"],
        2,
        False,
        {"env": 2},
    )
    assert read["limits"] == {"disk": 5}
    assert [violation["subject"] for violation in read["violations"]] == ["disk"]
    assert record(SPEC, Demand("best"), ["cc"], Exit(launch_id=1, exit_code=0, isolation=ALL)).hermetic
