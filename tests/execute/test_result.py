"""What comes out of a cache is believed only as far as it keeps to what the action declares."""

import msgspec
import pytest

from bldr.api import Action, Artifact, Label
from bldr.api.sandbox import Usage, Verdict
from bldr.api.spec import ResourceLimits
from bldr.execute.result import ActionResult, decode_checked, encode, limits_of
from bldr.graph.actions import ActionNode, Permissions
from bldr.plan.entries import Entry

LABEL = Label("", "p", "t")
NODE = ActionNode(
    index=0,
    label=LABEL,
    action=Action(
        argv=("x",),
        inputs=(),
        outputs=(Artifact("p/out", LABEL), Artifact("p/gen", LABEL, is_directory=True)),
        mnemonic="X",
    ),
    handler="h",
    toolchains=(),
    env=(),
    permissions=Permissions(),
    deps=(),
)
HASH = "ab" * 32
OUT = Entry("p/out", HASH, 1)


def test_a_sound_result_is_believed():
    result = ActionResult(status="ok", outputs=(Entry("p/gen/a", HASH, 1), Entry("p/gen/l", link="a"), OUT))
    assert decode_checked(encode(result), NODE) == result


@pytest.mark.parametrize(
    "outputs",
    [
        (),
        (OUT, OUT),
        (OUT, Entry("../out", HASH, 1)),
        (OUT, Entry("/etc/passwd", HASH, 1)),
        (OUT, Entry("p/gen/../../x", HASH, 1)),
        (OUT, Entry("p/gen/\0", HASH, 1)),
        (OUT, Entry("p/other", HASH, 1)),
        (Entry("p/out", "zz", 1),),
        (Entry("p/out"),),
        (OUT, Entry("p/gen/l", link="/etc")),
        (OUT, Entry("p/gen/a", HASH, 1), Entry("p/gen/a/b", HASH, 1)),
        (OUT, Entry("p/gen/a", link="b"), Entry("p/gen/a/b", HASH, 1)),
    ],
)
def test_what_was_never_declared_is_a_miss(outputs):
    assert decode_checked(encode(ActionResult(status="ok", outputs=outputs)), NODE) is None


def test_damage_and_failures_are_misses():
    assert decode_checked(b"no msgpack", NODE) is None
    assert decode_checked(encode(ActionResult(status="failed", outputs=(OUT,))), NODE) is None


def test_results_of_older_versions_are_served_still():
    """Fields may be added: a stored result without them decodes, and what it does not know is None."""
    old = {
        "status": "ok", "exit_code": 0, "outputs": [["p/out", HASH, 1, False, ""]], "reads": None, "log": None,
        "duration_s": 0.5,
        "usage": {"wall_s": 0.5, "cpu_s": None, "memory_peak_bytes": 7, "read_bytes": None, "written_bytes": None,
                  "processes": 2},
        "isolation": {"fs-read": 2}, "limits": {"memory_bytes": 4096.0, "output_bytes": 5.0}, "verdict": None,
        "message": "", "hint": "",
    }  # fmt: skip
    new = msgspec.to_builtins(ActionResult(status="ok", outputs=(OUT,)))
    assert set(old) <= set(new) and set(old["usage"]) <= set(new["usage"])
    old["outputs"] = [msgspec.to_builtins(OUT)]
    result = decode_checked(msgspec.msgpack.encode(old), NODE)
    assert result is not None
    assert (result.usage.memory_peak_bytes, result.usage.memory_bytes, result.limits["memory_bytes"]) == (7, None, 4096)


def test_use_limits_and_verdict_are_stored():
    result = ActionResult(
        status="ok", outputs=(OUT,), usage=Usage(wall_s=1.0, cpu_s=0.5, memory_peak_bytes=9, processes=3),
        limits=limits_of(ResourceLimits(file_bytes=5, log_bytes=6, cpus=1.5, processes=4)),
        verdict=Verdict("log", 6, 7, "bytes"),
    )  # fmt: skip
    assert decode_checked(encode(result), NODE) == result
    assert result.limits == {"file_bytes": 5.0, "log_bytes": 6.0, "cpus": 1.5, "processes": 4.0}


def test_who_changes_limits_changes_nobody_else_s():
    limits_of(ResourceLimits(processes=4)).clear()
    assert limits_of(ResourceLimits(processes=4)) == {"processes": 4.0}
