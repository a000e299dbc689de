"""The contract of platforms, with a `sandbox-exec` that takes the same words and enforces nothing: what it holds of the
launcher it holds here, and what the profiles forbid is told elsewhere."""

import os
from pathlib import Path

import pytest

from bldr.testing import SandboxContract
from bldr_macos.sandbox import MacosSandbox

PASSING = """#!/bin/sh
while :; do
    case $1 in
    -f) [ -s "$2" ] || exit 65; shift 2 ;;
    -p | -D) shift 2 ;;
    --) shift; break ;;
    *) break ;;
    esac
done
exec "$@"
"""


class Open(MacosSandbox):
    """Runs commands as macOS would, by a program that lets everything pass, and believes in it."""

    def __init__(self):
        super().__init__(program=os.environ["BLDR_TEST_SANDBOX_EXEC"])

    def probe(self):
        from bldr.api import Probe
        from bldr_macos.guarantees import promised

        return Probe(self.name, True, *promised(is_root=os.geteuid() == 0, loopback=False))


@pytest.fixture(autouse=True)
def passing(tmp_path: Path, monkeypatch):
    program = tmp_path / "sandbox-exec"
    program.write_text(PASSING)
    program.chmod(0o755)
    monkeypatch.setenv("BLDR_TEST_SANDBOX_EXEC", str(program))


class TestContract(SandboxContract):
    sandbox = Open
