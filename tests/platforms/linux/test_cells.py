"""What cells keep: which launches share one, what is never kept, and what makes them look again."""

import os
import shutil
import subprocess

import pytest

from bldr.api import Input, NetworkPolicy, Output, ProcessPolicy, Temp


def cells(box):
    """How many kinds of cells there are; all of a kind are made anew when something is mounted on the machine."""
    return len(keys(box))


def keys(box):
    return {cell.key for cell in box.launcher._pool if cell.key is not None}


def test_a_source_that_is_replaced_is_seen_by_the_next_one(box):
    source = box.directory("given")
    (source / "file").write_text("old")
    one = box.root / "one"
    one.write_text("old")
    inputs = (Input("/given", str(source)), Input("/one", str(one)))

    def run():
        return box.sh("cat /given/file /one", more_inputs=inputs).out

    assert run() == "oldold"
    (source / "file").write_text("new")
    (box.root / "two").write_text("new")
    os.replace(box.root / "two", one)
    assert run() == "newnew"
    shutil.rmtree(source)
    box.directory("given")
    (source / "file").write_text("newer")
    assert run() == "newernew"
    one.unlink()
    gone = box.sh("cat /given/file /one", more_inputs=inputs)
    assert "there is nothing of that name" in gone.exit.failure.hint
    one.write_text("back")
    assert run() == "newerback"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_what_is_mounted_over_a_source_is_seen_by_the_next_one(box):
    source = box.directory("given")
    below = box.directory("given/below")
    (below / "file").write_text("old")
    inputs = (Input("/given", str(source)),)
    assert box.sh("cat /given/below/file", more_inputs=inputs).out == "old"
    subprocess.run(["mount", "-t", "tmpfs", "none", below], check=True)
    try:
        below.chmod(0o755)
        (below / "file").write_text("new")
        assert box.sh("cat /given/below/file", more_inputs=inputs).out == "new"
    finally:
        subprocess.run(["umount", below], check=True)
    assert box.sh("cat /given/below/file", more_inputs=inputs).out == "old"


def test_launches_that_differ_have_cells_of_their_own(box):
    def run(**spec):
        assert box.run("true", **spec).exit_code == 0
        return cells(box)

    assert [run(), run(), run(env=(("PATH", "/usr/bin"), ("A", "1")))] == [1, 1, 1]
    assert run(temps=(Temp("/tmp", 1 << 20),)) == 2
    assert run(process=ProcessPolicy(hostname="other")) == 3
    assert [run(), run(temps=(Temp("/tmp", 1 << 20),)), run(process=ProcessPolicy(hostname="other"))] == [3, 3, 3]


@pytest.mark.parametrize(
    "spec",
    [
        {"network": NetworkPolicy(host=True)},
        {"process": ProcessPolicy(uid=0, gid=0)},
        {"process": ProcessPolicy(as_pid_1=True)},
        {"devices": ("/dev/zero",)},
        {"sysfs": True},
    ],
    ids=["host-network", "root", "pid-1", "devices", "sysfs"],
)
def test_what_could_change_what_is_kept_runs_alone(box, spec):
    assert box.run("true", **spec).exit_code == 0
    assert keys(box) == {b""}


def test_outputs_on_the_host_run_alone(box):
    out = box.directory("out", own=True)
    assert box.run("touch", "/out/x", outputs=(Output("/out", str(out)),)).exit_code == 0
    assert keys(box) == {b""}


def test_idle_cells_are_few(box):
    for number in range(40):
        assert box.run("true", process=ProcessPolicy(hostname=f"h{number}")).exit_code == 0
    assert len(box.launcher._pool) <= 20
