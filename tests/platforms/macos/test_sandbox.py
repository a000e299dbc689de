"""What the platform says of itself, on any system, and what it costs where it is of no use."""

import subprocess
import sys

import pytest

from bldr.api import (
    GUARANTEES,
    LIMITS,
    IsolationError,
    Level,
    NetworkPolicy,
    ResourceLimits,
    SandboxSpec,
)
from bldr.testing import SandboxContract
from bldr_macos.guarantees import promised, reached
from bldr_macos.sandbox import PROGRAM, MacosSandbox

WITHOUT_POSIX = """
import os, sys
for name in ("resource", "fcntl", "pwd", "grp", "termios", "posix", "psutil"):
    sys.modules[name] = None
os.name = "nt"
from bldr_macos.plugin import bldr_sandboxes
(kind,) = bldr_sandboxes()
probe = kind().probe()
assert not probe.supported and probe.foreign
print(sorted(name for name in sys.modules if name.startswith(("bldr_macos", "bldr_unmounted", "subprocess"))))
"""


def test_on_another_system_it_says_so():
    sandbox = MacosSandbox(system="linux")
    probe = sandbox.probe()
    assert (probe.supported, probe.foreign, probe.isolation) == (False, True, {})
    assert {shortfall.why for shortfall in probe.shortfalls} == {"Seatbelt is a part of macOS, and this is linux"}
    assert [shortfall.guarantee for shortfall in probe.shortfalls] == list(GUARANTEES)
    with pytest.raises(IsolationError, match="Seatbelt is a part of macOS"):
        sandbox.open("/tmp")


def test_its_probe_keeps_the_contract():
    class Contract(SandboxContract):
        sandbox = MacosSandbox

    Contract().test_its_probe_is_complete_and_repeatable()


def test_on_another_system_it_imports_nothing_but_itself():
    ran = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("['bldr_macos', 'bldr_macos.plugin', 'bldr_macos.sandbox']\n", "")


def test_a_mac_without_the_program_is_told(tmp_path):
    probe = MacosSandbox(program=str(tmp_path / "none"), system="darwin").probe()
    assert (probe.supported, probe.foreign) == (False, False)
    assert probe.shortfalls[0].why == f"there is no {tmp_path / 'none'}"


def test_the_program_is_apple_s():
    assert PROGRAM == "/usr/bin/sandbox-exec"


@pytest.mark.parametrize("is_root", [False, True])
@pytest.mark.parametrize("loopback", [False, True])
def test_every_level_is_honest_and_every_shortfall_has_a_reason_and_a_remedy(is_root, loopback):
    isolation, shortfalls = promised(is_root=is_root, loopback=loopback)
    assert [short.guarantee for short in shortfalls] == [n for n in (*GUARANTEES, *LIMITS) if n not in isolation]
    assert all(shortfall.why and shortfall.remedy for shortfall in shortfalls)
    assert ("privileges" in isolation) is not is_root
    assert ("network" in isolation) is not loopback
    assert {isolation.get(name) for name in ("paths", "pids", "ipc", "hostname", "users", "syscalls")} == {None}
    # A process that leaves its session and its parent is found by nobody.
    assert {isolation.get(name) for name in ("wall-time", "memory", "cpu", "processes")} == {None}
    assert {isolation[name] for name in ("fs-read", "fs-write", "devices", "file-size")} == {Level.KERNEL}
    assert isolation["env"] == Level.SUPERVISED


def test_a_launch_reaches_the_limits_that_it_has():
    def limits(**sets):
        found = reached(SandboxSpec(**sets), is_root=False, loopback=False)
        return {name for name in found if name in LIMITS}

    assert limits() == set()
    assert limits(resources=ResourceLimits(memory_bytes=1, cpu_time_s=1.0)) == set()
    assert limits(resources=ResourceLimits(disk_bytes=1)) == {"file-size"}


def test_a_launch_that_is_given_devices_has_not_the_harmless_ones_alone():
    assert "devices" not in reached(SandboxSpec(devices=("/dev/disk9",)), is_root=False, loopback=False)
    assert reached(SandboxSpec(), is_root=False, loopback=False)["devices"] == Level.KERNEL


def test_a_launch_that_may_use_the_network_does_not_reach_that_guarantee():
    for network in (NetworkPolicy(host=True), NetworkPolicy(hosts=("localhost:80",))):
        assert "network" not in reached(SandboxSpec(network=network), is_root=False, loopback=False)
    assert "network" in reached(SandboxSpec(), is_root=False, loopback=False)
