"""Events as a build would send them."""

import pytest

from bldr.api.events import ActionFinished, ActionStarted, TestFinished, TestSummary
from bldr.api.sandbox import Level, Usage


@pytest.fixture
def started():
    def make(action_id, label="//app:app", mnemonic="CcCompile", message="Compiling app/main.c", **fields):
        return ActionStarted(
            action_id=action_id, label=label, mnemonic=mnemonic, message=message, **{"reason": "new", **fields}
        )

    return make


@pytest.fixture
def finished():
    def make(action_id, label="//app:app", mnemonic="CcCompile", **fields):
        values = {
            "cached": False,
            "status": "ok",
            "exit_code": 0,
            "duration_s": 0.5,
            "isolation": {"fs-read": Level.KERNEL, "memory": Level.SUPERVISED},
            "limits": {"memory": 4096.0},
            "usage": Usage(wall_s=0.5, memory_peak_bytes=1024),
            **fields,
        }
        return ActionFinished(action_id=action_id, label=label, mnemonic=mnemonic, **values)

    return make


@pytest.fixture
def tested():
    def make(label="//app:unit", status="passed", **fields):
        values = {"cached": False, "duration_s": 1.25, "run": 1, "runs": 1, **fields}
        return TestFinished(label=label, status=status, **values)

    return make


@pytest.fixture
def summed():
    def make(label="//app:unit", status="passed", **fields):
        return TestSummary(label=label, status=status, **{"cached": False, "duration_s": 1.25, **fields})

    return make
