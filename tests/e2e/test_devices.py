"""Devices of the machine that a target names: there for its actions, and for no other."""

import os

import pytest

BUILDERFILE = """
[target.it]
type = "command"
outputs = ["out"]
command = "stat -c %F {device} > $OUT"
"""


@pytest.fixture
def device():
    """A device that everybody may read and no sandbox has by itself."""
    for path in ("/dev/autofs", "/dev/kmsg", "/dev/rtc0"):
        if os.path.exists(path) and os.stat(path).st_mode & 0o004:
            return path
    pytest.skip("no device on this machine that everybody may read and sandboxes lack")


def test_a_device_is_there_where_it_is_named(project, device):
    it = project({"Builderfile": BUILDERFILE.format(device=device)})
    assert it.build("//:it").exit_code == 1, "nobody named it"
    text = it.read("Builderfile")
    it.write({"Builderfile": f'{text}hermetic = {{ devices = ["{device}"] }}\n'})
    built = it.build("//:it")
    assert (built.exit_code, built.ran) == (0, ["Command //:it"]), built
    assert it.read("bldr-out/out") == "character special file\n"
    assert it.build("//:it").ran == []
    it.write({"Builderfile": text})
    (started,) = it.build("//:it").of("action_started")
    assert f"device {device} is gone" in started["reason"] or "failed when it last ran" in started["reason"]


def test_a_device_that_is_not_there_fails_before_the_command(project):
    it = project(
        {"Builderfile": BUILDERFILE.format(device="/dev/null") + 'hermetic = { devices = ["/dev/no-such-device"] }\n'}
    )
    built = it.build("//:it")
    (finished,) = built.of("action_finished")
    assert (built.exit_code, finished["status"]) == (1, "setup"), built
    assert "/dev/no-such-device" in finished["message"]


def test_a_file_is_no_device(project):
    it = project(
        {"Builderfile": BUILDERFILE.format(device="/dev/shm/x") + 'hermetic = { devices = ["/etc/passwd"] }\n'}
    )
    built = it.build("//:it")
    assert built.exit_code == 2, built
    assert '"/etc/passwd" is not a normal path below /dev' in built.stderr
