"""What the machine can give is tried, and what it cannot comes with the reason and the remedy."""

import os
import subprocess
import sys
import textwrap

import pytest

from bldr.api import GUARANTEES, LIMITS, IsolationError, Level
from bldr_linux import probe
from bldr_linux.plugin import bldr_sandboxes


def python(script, *, before=""):
    """Run a script, in a user namespace of its own where `before` turns knobs that only count there."""
    environment = {**os.environ, "PYTHONPATH": ":".join(path for path in sys.path if path)}
    inner = ["unshare", "--user", "--map-root-user", "sh", "-euc", f'{before}\nexec "$@"', "sh"] if before else []
    command = [*inner, sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


PRINT_PROBE = """
    from bldr_linux.sandbox import LinuxSandbox
    found = LinuxSandbox().probe()
    print(found.supported, len(found.shortfalls))
    for short in found.shortfalls:
        print(short.guarantee, "|", short.why, "|", short.remedy)
"""


def test_the_plugin_offers_it():
    offered, _ = bldr_sandboxes()
    assert (offered.name, offered.tree_layout) == ("linux", "overlay")


GROUPED = {"memory-high", "cpu-share", "io"}
"""What only control groups enforce."""


def test_everything_demanded_is_there(sandbox):
    found = sandbox.probe()
    assert found.supported
    assert {name for name in GUARANTEES if found.isolation[name] is Level.NONE} == set()
    lacking = {name for name in LIMITS if found.isolation[name] is Level.NONE}
    assert lacking == {short.guarantee for short in found.shortfalls} <= GROUPED
    assert all(short.why and short.remedy for short in found.shortfalls)
    assert found.isolation["processes"] is Level.KERNEL


def test_namespaces_that_are_forbidden_are_named_with_their_switch():
    ran = python(PRINT_PROBE, before="echo 0 > /proc/sys/user/max_user_namespaces")
    if "unshare:" in ran.stderr or "cannot create" in ran.stderr:
        pytest.skip(f"no user namespace to forbid them in: {ran.stderr.strip()}")
    first, *shortfalls = ran.stdout.splitlines()
    assert first == f"False {len(GUARANTEES)}", ran
    assert {line.split(" | ")[0] for line in shortfalls} == set(GUARANTEES)
    for line in shortfalls:
        _, why, remedy = line.split(" | ")
        assert why == "cannot create namespaces: no space left on device (user.max_user_namespaces is 0)"
        assert remedy.startswith("allow user namespaces: `sysctl user.max_user_namespaces=65536`")


def test_one_kind_of_namespace_that_is_forbidden_is_enough():
    ran = python(PRINT_PROBE, before="echo 0 > /proc/sys/user/max_net_namespaces")
    if "unshare:" in ran.stderr or "cannot create" in ran.stderr:
        pytest.skip(f"no user namespace to forbid them in: {ran.stderr.strip()}")
    assert ran.stdout.startswith("False"), ran
    assert "no space left on device (there are more than user.max_net_namespaces allows)" in ran.stdout
    assert "| raise the limit: `sysctl user.max_net_namespaces=65536`" in ran.stdout


def test_it_works_inside_a_user_namespace_of_one_user():
    """There root is nobody special and uid 65534 does not exist: nothing is given up, nothing need be."""
    ran = python(
        """
        from bldr_linux.sandbox import LinuxSandbox
        sandbox = LinuxSandbox()
        launcher = sandbox.open("/tmp")
        print(sandbox.probe().supported, launcher.owner, sandbox.probe().isolation["processes"].name)
        launcher.close()
        """,
        before="true",
    )
    if "unshare:" in ran.stderr:
        pytest.skip(f"no user namespace to run in: {ran.stderr.strip()}")
    # The namespace's root is the machine's when that made it; then its processes are counted by control groups only.
    *known, counted = ran.stdout.split()
    assert (known, counted in ("KERNEL", "NONE" if os.geteuid() == 0 else "KERNEL")) == (["True", "None"], True), ran


def test_a_machine_whose_system_calls_are_not_known(monkeypatch):
    monkeypatch.setattr(probe, "MACHINES", ("pdp11",))
    found, counted = probe.Trial("linux").answer()
    assert (found.supported, counted, found.isolation) == (False, False, {})
    assert "use one of pdp11" in found.shortfalls[0].remedy


def test_the_store_s_root_must_exist(sandbox, tmp_path):
    with pytest.raises(IsolationError) as caught:
        sandbox.open(str(tmp_path / "missing"))
    assert "no such file or directory" in caught.value.message
    assert caught.value.hint


def test_opening_starts_one_process_and_closing_ends_it(sandbox, tmp_path):
    launcher = sandbox.open(str(tmp_path))
    assert os.path.exists(f"/proc/{launcher._pid}")
    launcher.close()
    assert not os.path.exists(f"/proc/{launcher._pid}")
    launcher.close()
