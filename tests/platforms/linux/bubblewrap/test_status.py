"""What callers are told on descriptors, in the spelling that they parse."""

import json
import os
import re

import pytest

from bldr_linux.bubblewrap import status


@pytest.fixture
def channel():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


def told(bwrap, channel, option, *words):
    reader, writer = channel
    ran = bwrap.run(option, writer, *words, fds=(writer,))
    os.close(writer)
    text = b""
    while part := os.read(reader, 65536):
        text += part
    return ran, text.decode()


def test_spelling():
    found = [("mnt", 4026532), ("uts", 7)]
    assert (
        status.info(12, found) == '{\n    "child-pid": 12,\n    "mnt-namespace": 4026532,\n    "uts-namespace": 7\n}\n'
    )
    assert status.started(12, found) == '{ "child-pid": 12, "mnt-namespace": 4026532, "uts-namespace": 7 }\n'
    assert status.ended(3) == '{ "exit-code": 3 }\n'


def test_namespaces_are_those_of_the_command(bwrap, host, channel):
    words = ["--unshare-all", "--proc", "/proc", "sh", "-c", "stat -L -c '%n %i' /proc/self/ns/*"]
    ran, text = told(bwrap, channel, "--info-fd", *host, *words)
    inside = {line.split()[0].rpartition("/")[2]: int(line.split()[1]) for line in ran.stdout.splitlines()}
    names = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
    assert {name: json.loads(text)[f"{name}-namespace"] for name in names} == {name: inside[name] for name in names}


def test_only_new_namespaces_are_told(bwrap, host, channel):
    _, text = told(bwrap, channel, "--info-fd", *host, "--unshare-uts", "true")
    assert list(json.loads(text)) == ["child-pid", "mnt-namespace", "uts-namespace"]


def test_the_same_shape_as_bubblewrap(bwrap, real, host):
    texts = []
    for program in (bwrap, real):
        for option in ("--info-fd", "--json-status-fd"):
            reader, writer = os.pipe()
            told_by, text = told(program, (reader, writer), option, *host, "--unshare-all", "sh", "-c", "exit 9")
            os.close(reader)
            assert told_by.returncode == 9
            texts.append(re.sub(r": [0-9]{2,}", ": N", text))
    assert texts[:2] == texts[2:]


@pytest.mark.parametrize("words", [[], ["--unshare-pid"], ["--unshare-pid", "--as-pid-1"]])
@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137)])
def test_exit_code(bwrap, host, channel, words, script, code):
    if "--as-pid-1" in words and "kill" in script:
        code, script = 41, "kill -9 $$; exit 41"  # the kernel does not let pid 1 do that to itself
    ran, text = told(bwrap, channel, "--json-status-fd", *host, *words, "sh", "-c", script)
    started, ended = (json.loads(line) for line in text.splitlines())
    assert started["child-pid"] > 0
    assert (ended, ran.returncode) == ({"exit-code": code}, code)


@pytest.mark.parametrize(
    "words", [["/"], ["/no/such/command"], ["--chdir", "/no/such", "true"], ["--dir", "/proc/x", "true"]]
)
@pytest.mark.parametrize("more", [[], ["--unshare-pid"]])
def test_no_exit_code_when_nothing_ran(bwrap, host, channel, words, more):
    ran, text = told(bwrap, channel, "--json-status-fd", *host, *more, *words)
    assert ran.returncode == 1
    assert [next(iter(json.loads(line))) for line in text.splitlines()] == ["child-pid"]


def test_the_child_is_the_one_to_signal(bwrap, host, channel):
    reader, writer = channel
    child = bwrap.start(*host, "--unshare-pid", "--info-fd", writer, "cat", stdin=-1, pass_fds=(writer,))
    os.close(writer)
    text = b""
    while part := os.read(reader, 4096):
        text += part
    os.kill(json.loads(text)["child-pid"], 9)
    child.stdin.close()
    assert child.wait(60) == 137
