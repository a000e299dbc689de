"""A set-up that fails says which step, on what, and what may help; golden sentences."""

import errno
import os
import re

import pytest

from bldr.api import Input, Link, MadeFile, NetworkPolicy, Output, ProcessPolicy, Temp
from bldr_linux import apply, failures


def failure(ended):
    assert ended.exit.failure is not None, ended
    assert (ended.out, ended.err) == ("", "")
    assert ended.exit.isolation == {}
    return ended.exit.failure


def test_a_source_that_is_missing(box):
    found = failure(box.run("true", more_inputs=(Input("/x", "/no/such/place"),)))
    assert found.message == 'cannot open "/no/such/place" on the host: no such file or directory'
    assert found.hint == "it was declared as an input or output, but there is nothing of that name"
    found = failure(box.run("true", outputs=(Output("/no/such/output"),)))
    assert found.message == 'cannot open "/no/such/output" on the host: no such file or directory'


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user enters all directories that are its own")
def test_a_source_whose_parents_cannot_be_entered(box):
    closed = box.base / "closed"
    closed.mkdir()
    (closed / "file").write_text("x")
    closed.chmod(0)
    found = failure(box.run("true", more_inputs=(Input("/x", str(closed / "file")),)))
    closed.chmod(0o700)
    assert found.message == f'cannot open "{closed}/file" on the host: permission denied'
    assert "must be able to enter every directory above it" in found.hint


def test_a_working_directory_that_is_missing(box):
    found = failure(box.run("true", cwd="/no/where"))
    assert found.message == 'cannot enter the working directory "/no/where": no such file or directory'
    assert found.hint == "it must lie in the tree, an input, an output or a temporary directory"


def test_a_mount_point_that_a_read_only_input_lacks(box):
    empty = box.directory("empty")
    for options in ({"temps": (Temp("/in/tmp"),)}, {"files": (MadeFile("/in/made", b""),)}):
        found = failure(box.run("true", more_inputs=(Input("/in", str(empty)),), **options))
        assert "read-only file system" in found.message
        assert found.hint == "it lies inside a read-only input: what is mounted on must exist there"
    found = failure(box.run("true", more_inputs=(Input("/in", str(empty)),), links=(Link("/in/x", "y"),)))
    assert found.message == 'cannot make the link "/in/x": read-only file system'


def test_a_file_where_a_directory_is_needed(box):
    place = box.directory("place")
    (place / "file").write_text("")
    found = failure(box.run("true", more_inputs=(Input("/in", str(place)), Input("/in/file", "/usr/bin"))))
    assert found.message == ('cannot mount on "/in/file": a directory is to be mounted, but a file is in its place')


def test_links_round_in_circles_among_sources(box):
    place = box.directory("place")
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    found = failure(box.run("true", more_inputs=(Input("/in", str(place / "a")),)))
    assert "too many levels of symbolic links" in found.message
    assert found.hint


def test_what_the_platform_cannot_do_arrives_as_an_exit(box):
    found = failure(box.run("true", network=NetworkPolicy(hosts=("example.org:443",))))
    assert "example.org:443" in found.message
    found = failure(box.run("true", inputs=(Input("/"),)))
    assert found.message == "the whole file system cannot be shown to an action"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives rights up")
def test_an_action_that_must_run_as_the_caller_does_not_run_as_another(box):
    found = failure(box.run("true", process=ProcessPolicy(map_caller=True)))
    assert "this launcher has given up the caller's rights" in found.message


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to map it")
def test_the_caller_is_mapped_on_demand(make_box):
    box = make_box(map_caller=True)
    assert box.launcher.owner is None
    place = box.directory("private", 0o700)
    (place / "file").write_text("root's own")
    ended = box.sh(
        "id -u; cat /in/file", more_inputs=(Input("/in", str(place)),), process=ProcessPolicy(map_caller=True)
    )
    assert ended.out == "1000\nroot's own"


def test_the_launcher_goes_on_after_failures(box):
    box.run("true", cwd="/no/where")
    assert box.run("echo", "fine").out == "fine\n"


def test_every_step_has_a_sentence():
    """Also those that this machine never fails at."""
    steps = {*apply._OPERATIONS, *_named_in_sources()}
    missing = {step for step in steps - {"try-overlay"} if step not in failures._WHAT}
    assert missing == set()
    assert {step for step, _ in failures._HINTS} <= {"", *failures._WHAT}


def _named_in_sources():
    directory = os.path.dirname(apply.__file__)
    for name in ("apply.py", "init.py", "launcher.py"):
        with open(os.path.join(directory, name)) as file:
            text = file.read()
        yield from re.findall(r'(?:StepError|StepError\.of|_step)\("([a-z-]+)"', text)
        yield from re.findall(r'\("failed", "([a-z-]+)"', text)


@pytest.mark.parametrize("step", sorted(failures._WHAT))
def test_sentences_follow_one_form(step):
    found = failures.explain(step, "/path", "Operation not permitted", errno.EPERM)
    assert found.message.endswith(": operation not permitted")
    assert re.fullmatch(r"(cannot|the sandbox) [^.]*", found.message)
