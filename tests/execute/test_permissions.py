"""Settings become permissions: what is said where, what holds where nothing is said, and what was set on purpose."""

from types import SimpleNamespace

import pytest

from bldr.api import HermeticSettings, TargetAttributes, TestAttributes
from bldr.api.sandbox import GUARANTEES, LIMITS
from bldr.execute.permissions import merge_permissions
from bldr.execute.permissions import test_permissions as permissions_of_test

NOTHING = HermeticSettings()


def target(settings=NOTHING, attributes=None):
    return SimpleNamespace(hermetic=settings, attributes=attributes or TargetAttributes(type="command"))


def test_what_nobody_said_has_defaults_that_are_not_demanded():
    permissions = merge_permissions(target(), NOTHING)
    limits = permissions.resources
    assert (limits.memory_bytes, limits.cpu_time_s, limits.processes) == (4 << 30, 3600.0, 128)
    assert (limits.file_bytes, limits.log_bytes, limits.grace_s) == (4 << 30, 256 << 20, 2.0)
    assert (limits.output_bytes, limits.disk_bytes, limits.wall_time_s, limits.cpus) == (None, None, None, None)
    assert limits.required == frozenset()
    assert (permissions.devices, permissions.on_violation, permissions.sandboxed) == ((), "deny", True)


@pytest.mark.parametrize(
    ("setting", "value", "field", "expected", "limit"),
    [
        ("memory", "1M", "memory_bytes", 1 << 20, "memory"),
        ("cpu_time", "2m", "cpu_time_s", 120.0, "cpu"),
        ("timeout", "90s", "wall_time_s", 90.0, "wall-time"),
        ("processes", 7, "processes", 7, "processes"),
        ("file_size", "3K", "file_bytes", 3072, "file-size"),
        ("output", "4K", "output_bytes", 4096, "output"),
        ("disk", 5, "disk_bytes", 5, "disk"),
        ("log", "6K", "log_bytes", 6144, "log"),
        ("cpus", 1.5, "cpus", 1.5, "cpu-share"),
        ("open_files", 9, "open_files", 9, None),
        ("temp", "1M", "temp_bytes", 1 << 20, None),
        ("grace", "500ms", "grace_s", 0.5, None),
    ],
)
def test_each_setting_is_a_limit_and_those_that_end_actions_are_demanded(setting, value, field, expected, limit):
    for merged in (
        merge_permissions(target(HermeticSettings(**{setting: value})), NOTHING),
        merge_permissions(target(), HermeticSettings(**{setting: value})),
    ):
        assert getattr(merged.resources, field) == expected
        assert merged.resources.required == (frozenset({limit}) if limit else frozenset())
        assert merged.resources.required <= {*GUARANTEES, *LIMITS}


def test_every_limit_that_can_be_demanded_has_a_setting():
    ends = HermeticSettings(memory=1, cpu_time=1, timeout=1, processes=1, file_size=1, output=1, disk=1, log=1)
    required = merge_permissions(target(ends), HermeticSettings(cpus=1.0)).resources.required
    assert required == {*LIMITS, "wall-time"} - {"memory-high", "io"}  # of the library only


def test_the_command_line_wins_over_the_target():
    said = HermeticSettings(log="1M", on_violation="kill", devices=("/dev/kvm",))
    asked = HermeticSettings(log="2M", on_violation="deny")
    merged = merge_permissions(target(said), asked)
    assert (merged.resources.log_bytes, merged.on_violation, merged.devices) == (2 << 20, "deny", ("/dev/kvm",))


def test_devices_are_a_set():
    said = HermeticSettings(devices=("/dev/kvm", "/dev/fuse", "/dev/kvm"))
    assert merge_permissions(target(said), NOTHING).devices == ("/dev/fuse", "/dev/kvm")


def test_the_time_of_a_test_is_that_of_its_size_and_not_demanded():
    small = target(attributes=TestAttributes(type="test", size="small"))
    limits = permissions_of_test(small, NOTHING, {}).resources
    assert (limits.wall_time_s, limits.required) == (60.0, frozenset())
    assert merge_permissions(small, NOTHING).resources.wall_time_s is None  # what builds it may take longer


def test_the_nearest_that_is_said_of_the_time_of_a_test_counts():
    package, own = HermeticSettings(timeout="1h"), HermeticSettings(timeout="2h")

    def time_s(settings, asked=NOTHING, timeouts=None, **attributes):
        tested = target(settings, TestAttributes(type="test", **attributes))
        return permissions_of_test(tested, asked, timeouts or {}).resources.wall_time_s

    assert time_s(package) == 3600.0
    assert time_s(package, timeout="3s") == 3.0
    assert time_s(own, timeout="3s", hermetic=own) == 7200.0
    assert time_s(package, HermeticSettings(timeout="4s"), timeout="3s") == 4.0
    assert time_s(package, HermeticSettings(timeout="4s"), {"large": "5s"}, size="large", timeout="3s") == 5.0
