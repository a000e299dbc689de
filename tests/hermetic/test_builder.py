"""Builders collect, complete and check."""

import pytest

from bldr.api import Input, Link, NetworkPolicy, Output, ProcessPolicy, ResourceLimits, SpecError, Temp
from bldr.hermetic import HermeticSpecBuilder, SandboxSpecBuilder, normal


def test_nothing_is_allowed_that_was_not_said():
    spec = SandboxSpecBuilder().build()
    assert (spec.inputs, spec.outputs, spec.temps, spec.env, spec.links, spec.files) == ((), (), (), (), (), ())
    assert (spec.devices, spec.filters, spec.sysfs) == ((), (), False)
    assert spec.network == NetworkPolicy.hermetic()


def test_every_set_can_be_said_step_by_step():
    builder = SandboxSpecBuilder()
    builder.input("/b").input("/a", source="/host/a").output("/out/").output("/o.txt").temp(size_bytes=9)
    builder.env("A", "1").env("A", "2").link("/l", "a").file("/etc/motd", b"hi")
    builder.device("/dev/kvm").device("/dev/fuse").syscall_filter(bytes(8)).sysfs()
    builder.with_network(NetworkPolicy.allow_hosts(["h:1"]))
    builder.with_resources(ResourceLimits.hermetic()).with_process(ProcessPolicy.hermetic())
    spec = builder.build()
    assert spec.inputs == (Input("/a", "/host/a"), Input("/b"))
    assert spec.outputs == (Output("/o.txt"), Output("/out", "", True))
    assert spec.temps == (Temp("/tmp", 9),)
    assert spec.env == (("A", "2"),)
    assert (spec.devices, spec.filters, spec.sysfs) == (("/dev/fuse", "/dev/kvm"), (bytes(8),), True)
    assert spec.network.hosts == ("h:1",)
    assert spec.resources == ResourceLimits(memory_bytes=4 << 30, cpu_time_s=3600.0, processes=128)
    assert spec.process.max_children == 128
    assert normal(spec) == spec


def test_usr_brings_its_links_along():
    assert SandboxSpecBuilder().input("/usr").build().links == (
        Link("/bin", "usr/bin"),
        Link("/lib", "usr/lib"),
        Link("/lib64", "usr/lib64"),
        Link("/sbin", "usr/sbin"),
    )
    spec = SandboxSpecBuilder().input("/usr").input("/lib").link("/bin", "other").build()
    assert spec.links == (Link("/bin", "other"), Link("/lib64", "usr/lib64"), Link("/sbin", "usr/sbin"))


def test_build_checks():
    with pytest.raises(SpecError, match='input "/w" and output "/w/out" overlap'):
        SandboxSpecBuilder().input("/w").output("/w/out").build()


def test_an_input_takes_the_place_of_a_made_file():
    def made(*inputs):
        return [file.path for file in HermeticSpecBuilder.for_build(inputs, []).build().files]

    assert made("/etc/passwd") == ["/etc/group", "/etc/hosts", "/etc/nsswitch.conf"]
    assert made("/etc") == []


def test_for_build_is_hermetic_and_can_be_extended():
    spec = HermeticSpecBuilder.for_build(["/w/src"], ["/w/out/"], env={"CC": "gcc"}).env("USER", "me").build()
    assert spec.inputs == (Input("/usr"), Input("/w/src"))
    assert spec.outputs == (Output("/w/out", "", True),)
    assert spec.temps == (Temp("/tmp"),)
    assert dict(spec.env) == {
        "CC": "gcc",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "SOURCE_DATE_EPOCH": "315532800",
        "TMPDIR": "/tmp",
        "TZ": "UTC",
        "USER": "me",
    }
    assert [file.path for file in spec.files] == ["/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/passwd"]
    assert spec.resources == ResourceLimits.hermetic()
    assert spec.process.map_caller
    assert not spec.network.hosts


def test_scratch_makes_room_for_outputs():
    spec = HermeticSpecBuilder.for_build([], ["/tmp/w/out"]).build()
    assert spec.temps == (Temp("/var/tmp"),)
    assert dict(spec.env)["TMPDIR"] == "/var/tmp"


def test_for_test_ends_in_time_and_follows_the_test_protocol():
    spec = HermeticSpecBuilder.for_test(["/w/t.py"], data=["/w/data"], timeout_s=60, results="/w/r.xml").build()
    assert spec.inputs == (Input("/usr"), Input("/w/data"), Input("/w/t.py"))
    assert spec.outputs == (Output("/w/r.xml"),)
    assert spec.resources.wall_time_s == 60
    assert dict(spec.env)["XML_OUTPUT_FILE"] == "/w/r.xml"
    assert dict(spec.env)["TEST_TMPDIR"] == "/tmp"
