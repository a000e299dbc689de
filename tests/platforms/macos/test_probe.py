"""The probe tries: programs that pretend to be `sandbox-exec` are found out, each with its reason and what to do."""

import os
import sys

import pytest

from bldr.api import GUARANTEES
from bldr_macos.probe import try_seatbelt
from bldr_macos.sandbox import MacosSandbox

HEAD = """#!/bin/sh
# -p PROFILE [-D NAME=VALUE] -- COMMAND
profile=$2; shift 2; own=
while [ "$1" != -- ]; do own=${2#OWN=}; shift 2; done
shift
"""
DENIES = 'case $profile in *"(allow default)"*|*bldr-probe*/words*) exec "$@";; esac\n'


READS = 'case $1 in */cat) echo "cat: Operation not permitted" >&2; exit 1;; esac\n'
WRITES = 'case "$1 $2" in */touch*/own/inside) [ "${2%/inside}" = "$own" ] || exit 1;; */touch*) exit 1;; esac\n'
CONNECTS = "case $1 in */nc) exit 1;; esac\n"
RUNS = 'exec "$@"\n'


class Plain:
    """A host without links, in which a probe's file has the name that it was made with."""

    def resolve(self, path):
        from bldr_macos.host import Resolved

        return Resolved(path)


CONNECT = f"""case $1 in */nc) {sys.executable} -c 'import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])))' $3 $4; exit 1;; esac
"""


@pytest.fixture
def fake(tmp_path):
    def make(body):
        path = tmp_path / "sandbox-exec"
        path.write_text(HEAD + body)
        path.chmod(0o755)
        return str(path)

    return make


def test_one_that_enforces_is_believed(fake):
    program = fake(DENIES + READS + WRITES + CONNECTS + RUNS)
    assert try_seatbelt(program, Plain()) is None
    probe = MacosSandbox(program, "darwin", host=Plain()).probe()
    assert (probe.supported, probe.foreign) == (True, False)
    assert ("privileges" in probe.isolation) is (os.geteuid() != 0)
    again = MacosSandbox(program, "linux", host=Plain()).probe()
    assert again == probe, "a program of somebody's own is tried on any system"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('exec "$@"\n', "does not enforce its profile"),
        ("echo 'sandbox_apply: Operation not permitted' >&2; exit 71\n", "sandbox_apply: Operation not permitted"),
        ("exit 9\n", "exit code 9"),
        (
            'case $profile in *"(allow default)"*) exec "$@";; esac; echo abort >&2; exit 134\n',
            "a program does not start under a profile that denies by default: abort",
        ),
        (DENIES + READS + CONNECTS + RUNS, "a file was made where it lets nobody write"),
        (DENIES + READS + "own=\n" + WRITES + CONNECTS + RUNS, "cannot write where its profile lets it"),
        (DENIES + READS + WRITES + "case $1 in */nc) exit 0;; esac\n" + RUNS, "the loopback was reached"),
        (DENIES + READS + WRITES + CONNECT + RUNS, "the loopback was reached"),
        (DENIES + "exit 1\n", "programs fail under a profile that denies by default"),
        ('case $profile in *"(allow default)"*) exec "$@";; esac; echo other\n', "a program does not start"),
    ],
)
def test_one_that_does_not_is_found_out(fake, body, why):
    refusal = try_seatbelt(fake(body), Plain())
    assert why in refusal.why
    assert refusal.remedy
    probe = MacosSandbox(fake(body), "darwin", host=Plain()).probe()
    assert (probe.supported, probe.isolation) == (False, {})
    assert [shortfall.guarantee for shortfall in probe.shortfalls] == list(GUARANTEES)
    assert {shortfall.why for shortfall in probe.shortfalls} == {refusal.why}


def test_one_that_cannot_be_started_is_told(tmp_path):
    path = tmp_path / "sandbox-exec"
    path.write_bytes(b"\x7fELF broken")
    path.chmod(0o755)
    assert "cannot start a sandbox" in try_seatbelt(str(path), Plain()).why


def test_nothing_is_left_behind(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try_seatbelt(fake('exec "$@"\n'), Plain())
    assert os.listdir(tmp_path) == ["sandbox-exec"]
