"""A spec that contradicts itself is refused with the offending pair in the message."""

import os

import pytest

from bldr.api import (
    Bridge,
    Input,
    Link,
    MadeFile,
    NetworkPolicy,
    Output,
    ProcessPolicy,
    ResourceLimits,
    SandboxSpec,
    SpecError,
    Temp,
)
from bldr.hermetic import check_spec


def refused(**sets):
    with pytest.raises(SpecError) as caught:
        check_spec(SandboxSpec(**sets))
    return caught.value.message


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("/w/a.c", "/w/a.c"),  # a file
        ("/w/src", "/w/src/out"),  # an output inside a declared input directory
        ("/w/out/a.c", "/w/out"),  # an input inside a declared output directory
        ("/", "/w/out"),
    ],
)
def test_inputs_and_outputs_are_disjoint(read, written):
    message = refused(inputs=(Input("/other"), Input(read)), outputs=(Output(written), Output("/elsewhere")))
    assert message == f'input "{read}" and output "{written}" overlap'


def test_neighbours_with_a_common_beginning_are_disjoint():
    check_spec(SandboxSpec(inputs=(Input("/w/out.c"), Input("/w/ou")), outputs=(Output("/w/out"),)))


def test_inputs_and_outputs_are_disjoint_through_links(tmp_path):
    os.mkdir(tmp_path / "real")
    os.symlink("real", tmp_path / "link")
    message = refused(inputs=(Input(f"{tmp_path}/real/a.c"),), outputs=(Output(f"{tmp_path}/link"),))
    assert message.startswith(f'input "{tmp_path}/real/a.c" and output "{tmp_path}/link" overlap through a link')
    message = refused(inputs=(Input(f"{tmp_path}/link/a.c"),), outputs=(Output(f"{tmp_path}/real/a.c"),))
    assert f'"{tmp_path}/real/a.c"' in message


def test_inputs_and_outputs_are_disjoint_through_sources():
    message = refused(inputs=(Input("/in", "/host/dir"),), outputs=(Output("/out", "/host/dir/sub"),))
    assert message.startswith('input "/in" and output "/out" overlap through a link or source: "/host/dir"')


@pytest.mark.parametrize(("output", "temp"), [("/t", "/t"), ("/t/out", "/t"), ("/out", "/out/t")])
def test_outputs_and_temps_are_disjoint(output, temp):
    message = refused(outputs=(Output(output),), temps=(Temp(temp),))
    assert f'"{output}"' in message
    assert f'"{temp}"' in message


def test_an_input_may_stand_in_scratch_space():
    check_spec(SandboxSpec(inputs=(Input("/tmp/data"),), temps=(Temp("/tmp"),)))


@pytest.mark.parametrize("path", ["", "a", "./a", "/a/", "/a//b", "//a", "/a/../b", "/a/.", "/a\0b"])
@pytest.mark.parametrize(
    "sets",
    [
        lambda path: {"inputs": (Input(path),)},
        lambda path: {"inputs": (Input("/in", path),)} if path else {"inputs": (Input(""),)},
        lambda path: {"outputs": (Output(path),)},
        lambda path: {"temps": (Temp(path),)},
        lambda path: {"links": (Link(path, "x"),)},
        lambda path: {"files": (MadeFile(path, b""),)},
    ],
)
def test_paths_are_absolute_and_normal(path, sets):
    assert f'"{path}" is not an absolute, normal path' in refused(**sets(path))


@pytest.mark.parametrize("path", ["/proc", "/proc/self", "/dev"])
def test_what_every_sandbox_has_cannot_be_replaced(path):
    assert f'input "{path}" would replace' in refused(inputs=(Input(path),))


def test_one_path_is_one_thing():
    assert 'input "/a" and another input "/a"' in refused(inputs=(Input("/a"), Input("/a", "/b")))
    assert 'input "/a" and another link "/a"' in refused(inputs=(Input("/a"),), links=(Link("/a", "b"),))
    check_spec(SandboxSpec(inputs=(Input("/a"), Input("/a", "/a"))))


def test_no_network_by_default_and_hosts_have_ports():
    assert SandboxSpec().network == NetworkPolicy.hermetic() == NetworkPolicy.allow_hosts([])
    check_spec(SandboxSpec(network=NetworkPolicy.allow_hosts(["pypi.org:443", "10.0.0.1:80", "[::1]:8080"])))
    for host in ("pypi.org", "pypi.org:0", "pypi.org:65536", "pypi.org:http", ":80", "-x:80", "a b:80", "a:80\n"):
        assert "is not of the form" in refused(network=NetworkPolicy((host,)))
    assert "both allowed" in refused(network=NetworkPolicy(("a:1",), host=True))


def test_a_bridge_has_a_name_and_a_private_subnet_and_is_all_the_network():
    for bridge in (Bridge(), Bridge("a" * 15), Bridge("br-0.1"), Bridge(subnet="192.168.7.0/30"), Bridge(nat=False)):
        check_spec(SandboxSpec(network=NetworkPolicy(bridge=bridge)))
    for name in ("", ".", "..", "a" * 16, "ö" * 8, "a b", "a/b", "a:b", "a%d", "a\0b", "a\n"):
        assert "cannot name a bridge" in refused(network=NetworkPolicy(bridge=Bridge(name)))
    for subnet in ("10.213.0.1/16", "x", "fd00::/64", ""):
        assert "is no IPv4 subnet" in refused(network=NetworkPolicy(bridge=Bridge(subnet=subnet)))
    for subnet in ("8.8.8.0/24", "0.0.0.0/0", "127.0.0.0/8", "10.0.0.0/31", "10.1.2.3"):
        assert "is no private subnet" in refused(network=NetworkPolicy(bridge=Bridge(subnet=subnet)))
    both = refused(network=NetworkPolicy(("a:1",), bridge=Bridge()))
    assert both.startswith('the bridge "bldr0" and the single host "a:1" are both allowed')
    assert "host's own network are both" in refused(network=NetworkPolicy(host=True, bridge=Bridge()))


@pytest.mark.parametrize("name", ["", "1A", "A=B", "A B", "A\n", "Ä", "A-B", "A\0"])
def test_names_of_variables_are_valid(name):
    assert "is not valid" in refused(env=((name, "x"),))


def test_a_variable_has_one_value():
    assert refused(env=(("A", "1"), ("B", "1"), ("A", "2"))) == 'environment variable A is both "1" and "2"'
    assert "zero byte" in refused(env=(("A", "1\0"),))
    check_spec(SandboxSpec(env=(("A", "1"), ("A", "1"), ("_b2", "=\n"))))


def test_limits_allow_something():
    assert "memory_bytes is 0" in refused(resources=ResourceLimits(memory_bytes=0))
    assert "wall_time_s is -1" in refused(resources=ResourceLimits(wall_time_s=-1.0))
    assert "max_children is -1" in refused(process=ProcessPolicy(max_children=-1))
    assert 'no limit "size" to require' in refused(resources=ResourceLimits(required=frozenset({"size"})))
    assert "size of temp" in refused(temps=(Temp("/t", -1),))
    check_spec(SandboxSpec(resources=ResourceLimits(grace_s=0), process=ProcessPolicy(max_children=0)))
    assert "cpus is 0" in refused(resources=ResourceLimits(cpus=0))
    assert "cpus is nan" in refused(resources=ResourceLimits(cpus=float("nan")))
    assert "cpu_weight is 0" in refused(resources=ResourceLimits(cpu_weight=0))
    assert "cpu_weight is 10001" in refused(resources=ResourceLimits(cpu_weight=10001))
    assert "temp_inodes is 0" in refused(resources=ResourceLimits(temp_inodes=0))
    check_spec(SandboxSpec(resources=ResourceLimits(cpus=0.5, cpu_weight=10000, log_bytes=1, file_bytes=1)))
    check_spec(SandboxSpec(resources=ResourceLimits(required=frozenset({"file-size", "log", "wall-time"}))))


@pytest.mark.parametrize(
    "device", ["", "/dev", "/dev/", "dev/kvm", "/dev/../etc/passwd", "/dev/./kvm", "/etc/kvm", "/dev/a\0"]
)
def test_devices_stand_below_dev(device):
    assert refused(devices=(device,)) == f'device "{device}" is not a normal path below /dev'


def test_a_device_is_nothing_else():
    assert refused(devices=("/dev/shm/d",), temps=(Temp("/dev/shm"),)) == (
        'device "/dev/shm/d" and temp "/dev/shm" overlap: one path, two things'
    )
    check_spec(SandboxSpec(devices=("/dev/kvm", "/dev/dri/card0"), inputs=(Input("/"),), temps=(Temp("/dev/shm"),)))


def test_what_stands_below_sys_is_the_kernels_where_it_is_shown():
    check_spec(SandboxSpec(inputs=(Input("/sys/class"),)))
    assert 'input "/sys/class" would replace' in refused(inputs=(Input("/sys/class"),), sysfs=True)


@pytest.mark.parametrize("size", [0, 7, 12, 8 * 4097])
def test_filters_are_programs(size):
    check_spec(SandboxSpec(filters=(bytes(8), bytes(8 * 4096))))
    assert refused(filters=(bytes(8), bytes(size))) == f"filter 2 has {size} bytes, which is no program"
