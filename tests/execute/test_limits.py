"""What an action used of its limits, what is said when it passed one, and what it had written when it ended."""

import os
import subprocess

import pytest

from bldr.api import Action, Artifact, Label
from bldr.api.sandbox import LIMITS, Level, Usage, Verdict
from bldr.api.spec import ResourceLimits
from bldr.cli.main import bundled_command, make_parser
from bldr.execute.limits import KINDS, limit_hint, limit_uses, passed_at_the_end
from bldr.execute.result import ActionResult, limits_of
from bldr.graph.actions import ActionNode, Permissions, TestPart
from bldr.plan.entries import Entry
from bldr.store.digest import Digest

LABEL = Label("", "p", "t")


def node(**fields):
    action = Action(argv=("x",), inputs=(), outputs=(Artifact("p/out", LABEL),), mnemonic="X")
    return ActionNode(
        index=0, label=LABEL, action=action, handler="h", toolchains=(), env=(), deps=(),
        **{"permissions": Permissions(), **fields},
    )  # fmt: skip


def result(**fields):
    limits = limits_of(ResourceLimits(memory_bytes=100, cpu_time_s=10.0, log_bytes=50, output_bytes=40, disk_bytes=30))
    usage = Usage(wall_s=1.0, cpu_s=2.5, memory_peak_bytes=64)
    isolation = {"memory": Level.KERNEL, "cpu": Level.SUPERVISED}
    return ActionResult(**{"status": "ok", "limits": limits, "usage": usage, "isolation": isolation, **fields})


SLOWS = {"memory-high", "cpu-share", "io"}
"""Limits that end nothing."""


def test_every_limit_that_ends_an_action_has_a_setting_and_an_option():
    assert set(KINDS) == {*LIMITS, "wall-time"} - SLOWS
    parser = make_parser(bundled_command("build"))
    options = {option: action.dest for action in parser._actions for option in action.option_strings}
    assert {kind.option: kind.setting for kind in KINDS.values()}.items() <= options.items()
    assert {kind.field for kind in KINDS.values()} <= set(ResourceLimits.__struct_fields__)


@pytest.mark.parametrize("limit", KINDS)
def test_the_hint_names_the_setting(limit):
    hint = limit_hint(node(), Verdict(limit, 1, 2, ""))
    assert hint.startswith(f'raise "{KINDS[limit].setting}" in the table hermetic of "//p:t" (or --')
    assert f"(or {KINDS[limit].option}), or find out what " in hint


def test_the_hint_of_a_forbidden_call_names_the_reaction():
    hint = limit_hint(node(), Verdict("syscall", 0, 0, "keyctl"))
    assert hint == (
        "no action may make this call; find out what makes it, or let the call fail instead of the action: "
        'on_violation = "deny" in the table hermetic of "//p:t" (or --on-violation=deny)'
    )


def test_the_hint_of_a_test_that_took_the_time_of_its_size():
    verdict = Verdict("wall-time", 60, 60, "s")
    part = TestPart(stem="p/t.test")
    assert limit_hint(node(test=part), verdict) == 'raise "size" or "timeout" of "//p:t", or find out what hangs'
    on_purpose = Permissions(resources=ResourceLimits(required=frozenset({"wall-time"})))
    assert '"timeout" in the table hermetic' in limit_hint(node(test=part, permissions=on_purpose), verdict)


def test_use_is_told_for_each_limit_that_held():
    made = result(outputs=(Entry("p/a", "ab" * 32, 7), Entry("p/b", "cd" * 32, 9)), log=Digest("ef" * 32, 3))
    told = {use.limit: (use.used, use.of, use.unit, use.level) for use in limit_uses(made)}
    assert told == {
        "memory": (64, 100, "bytes", Level.KERNEL),
        "cpu": (2.5, 10.0, "s", Level.SUPERVISED),
        "output": (16, 40, "bytes", Level.NONE),
        "disk": (None, 30, "bytes", Level.NONE),
        "log": (3, 50, "bytes", Level.NONE),
    }


def test_the_limit_that_ended_an_action_has_the_use_of_the_verdict():
    killed = result(status="killed", verdict=Verdict("disk", 30, 31, "bytes"))
    told = {use.limit: use.used for use in limit_uses(killed)}
    assert told == {"memory": 64, "cpu": 2.5, "output": None, "disk": 31, "log": 0}


@pytest.fixture
def upper(tmp_path):
    """A layer with 5000 bytes in three files, one of which has two names, and links that lead out."""
    top = tmp_path / "upper"
    (top / "p/d").mkdir(parents=True)
    (top / "p/a").write_bytes(b"x" * 1000)
    (top / "p/d/b").write_bytes(b"x" * 1500)
    (top / "p/d/c").write_bytes(b"x" * 2500)
    os.link(top / "p/d/c", top / "p/d/again")
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    (top / "p/link").symlink_to(tmp_path / "large")
    (top / "p/out").symlink_to(tmp_path)
    return str(top)


def test_a_sum_of_outputs_that_was_passed_is_found_at_the_end(upper):
    limits = ResourceLimits(output_bytes=4999)
    assert passed_at_the_end(limits, upper, 0, set()) == Verdict("output", 4999, 5000, "bytes")
    assert passed_at_the_end(ResourceLimits(output_bytes=5000), upper, 0, set()) is None
    assert passed_at_the_end(limits, upper, 0, {"p/a"}) is None, "what was there before is nobody's output"


def test_a_directory_that_was_closed_hides_nothing(upper):
    os.chmod(f"{upper}/p/d", 0)
    assert passed_at_the_end(ResourceLimits(output_bytes=4999), upper, 0, set()).used == 5000


def test_what_files_occupy_is_counted_by_blocks(upper):
    with open(f"{upper}/p/sparse", "wb") as file:
        file.truncate(1 << 30)
    assert passed_at_the_end(ResourceLimits(disk_bytes=1 << 20), upper, 0, set()) is None
    assert passed_at_the_end(ResourceLimits(disk_bytes=1000), upper, 0, set()).limit == "disk"
    assert passed_at_the_end(ResourceLimits(output_bytes=1 << 30), upper, 0, set()).limit == "output"


def test_a_log_that_grew_too_long_is_found_at_the_end(upper):
    assert passed_at_the_end(ResourceLimits(log_bytes=9), upper, 10, set()) == Verdict("log", 9, 10, "bytes")
    assert passed_at_the_end(ResourceLimits(log_bytes=10), upper, 10, set()) is None


def test_a_tree_that_is_deeper_than_any_path(tmp_path):
    """Deeper than PATH_MAX: what can be reached is counted, and nothing is raised."""
    (tmp_path / "big").write_bytes(b"x" * 100)
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "more").write_bytes(b"x" * 50)
    directory = os.open(tmp_path / "top", os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("a" * 20, dir_fd=directory)
        inner = os.open("a" * 20, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = inner
    os.close(directory)
    try:
        verdict = passed_at_the_end(ResourceLimits(output_bytes=149), str(tmp_path), 0, set())
        assert (verdict.limit, verdict.used) == ("output", 150)
        assert passed_at_the_end(ResourceLimits(output_bytes=150), str(tmp_path), 0, set()) is None
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "top")], check=True)
