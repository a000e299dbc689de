"""Collection from layers that a hostile action left. Those about permissions can only fail for an ordinary user."""

import os
import stat

import pytest

from bldr.api.actions import Action, Artifact
from bldr.api.labels import Label
from bldr.execute import collect
from bldr.execute.collect import Collector, ViolationError
from bldr.graph.actions import ActionNode, Permissions
from bldr.plan.entries import Entry
from bldr.store.digest import Digest
from bldr.store.removal import remove_tree
from bldr.store.store import open_store

OWNER = Label("", "p", "x")


class Layer:
    """An action's upper layer, and its collection."""

    def __init__(self, store, upper):
        self.store = store
        self.upper = upper
        (upper / "p").mkdir(parents=True)

    def collector(self, *outputs, inputs=(), depfile="", optional=(), layout="overlay"):
        artifacts = tuple(Artifact(path.rstrip("/"), OWNER, path.endswith("/")) for path in outputs)
        action = Action(argv=("true",), inputs=(), outputs=artifacts, mnemonic="M", depfile=depfile)
        node = ActionNode(
            index=0, label=OWNER, action=action, handler="h", toolchains=(), env=(), permissions=Permissions(), deps=(),
            optional_outputs=frozenset(optional),
        )  # fmt: skip
        return Collector(self.store, node, inputs, str(self.upper), layout)

    def entry(self, path, data):
        digest = self.store.blobs.put_bytes(data)
        return Entry(path, digest.hash, digest.size_bytes)


@pytest.fixture
def layer(tmp_path):
    with open_store(str(tmp_path / "cache")) as store:
        yield Layer(store, tmp_path / "upper")


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../../..", "../../../etc", "a/../b", "a/b/up/../../../../../etc", "./a/..", "../p/out/../../.."],
)
def test_links_that_may_lead_out_are_refused(layer, target):
    """A name before ".." may be a link itself, so that only the kernel knows where the two lead."""
    (layer.upper / "p/out/a/b").mkdir(parents=True)
    (layer.upper / "p/out/a/b/up").symlink_to("../..")
    (layer.upper / "p/out/l").symlink_to(target)
    with pytest.raises(ViolationError, match='is a link to "'):
        layer.collector("p/out/").collect()


@pytest.mark.parametrize("target", ["a", "a/b", "./a//b", "../out/a", "../../p", "a/b/up", "..", "../.."])
def test_links_that_cannot_lead_out_are_kept(layer, target):
    (layer.upper / "p/out/a/b").mkdir(parents=True)
    (layer.upper / "p/out/a/b/up").symlink_to("../..")
    (layer.upper / "p/out/l").symlink_to(target)
    assert Entry("p/out/l", link=target) in layer.collector("p/out/").collect().outputs


@pytest.mark.parametrize("target", [b"\xff\xfe", b"/\xff\xfe"])
def test_a_link_to_what_is_not_utf8_is_refused(layer, target):
    os.symlink(target, os.fsencode(layer.upper / "p/out"))
    with pytest.raises(ViolationError) as caught:
        layer.collector("p/out").collect()
    assert r"\xff\xfe" in caught.value.message


@pytest.mark.parametrize("depth", [1100, 3000])
def test_what_was_made_instead_can_be_told_however_deep_it_is(layer, depth):
    """3000 is deeper than a path can lead; what is nearer to the top is still told."""
    (layer.upper / "p/outt").write_text("")
    here = os.open(layer.upper / "p", os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        above, here = here, os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(above)
    os.close(here)
    with pytest.raises(ViolationError) as caught:
        layer.collector("p/out").collect()
    assert caught.value.hint == 'it made "p/outt" instead'
    descriptor = os.open(layer.upper, os.O_RDONLY)
    remove_tree(descriptor, "p")  # pytest's own removal recurses
    os.close(descriptor)


@pytest.mark.posix("device nodes")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="makes device nodes")
@pytest.mark.parametrize("layout", ["copy", "direct", "as staged"])
@pytest.mark.parametrize("place", ["p/out", "p/out/deep"])
def test_a_whiteout_is_a_device_where_there_is_no_overlay(layer, layout, place):
    (layer.upper / place).parent.mkdir(exist_ok=True)
    os.mknod(layer.upper / place, 0o600 | stat.S_IFCHR, os.makedev(0, 0))
    with pytest.raises(ViolationError, match="is a character device"):
        layer.collector("p/out/" if place != "p/out" else "p/out", layout=layout).collect()


@pytest.mark.posix("device nodes")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="makes device nodes")
def test_a_whiteout_is_nothing_in_an_overlay(layer):
    (layer.upper / "p/out").mkdir()
    os.mknod(layer.upper / "p/out/gone", 0o600 | stat.S_IFCHR, os.makedev(0, 0))
    assert layer.collector("p/out/").collect().outputs == (Entry("p/out"),)


def test_what_was_made_instead_can_be_told_whatever_its_name(layer):
    os.mkdir(os.fsencode(layer.upper) + b"/p/\xff\xfe")
    with open(os.fsencode(layer.upper) + b"/p/\xff\xfe/x", "w"):
        pass
    with pytest.raises(ViolationError) as caught:
        layer.collector("p/out").collect()
    assert caught.value.hint == r'it made "p/\xff\xfe/x" instead'


@pytest.mark.parametrize("closed", ["", "p", "p/d"])
def test_directories_without_permissions_hide_nothing(layer, closed):
    (layer.upper / "p/d").mkdir()
    (layer.upper / "p/d/out").write_text("made")
    os.chmod(layer.upper / closed, 0)
    inputs = (layer.entry("p/d/in", b"in"),)
    (found,) = layer.collector("p/d/out", inputs=inputs).collect().outputs
    assert layer.store.blobs.read(Digest(found.hash, found.size_bytes)) == b"made"


def test_a_changed_input_in_a_directory_without_permissions_is_found(layer):
    (layer.upper / "p/d").mkdir()
    (layer.upper / "p/d/in").write_text("changed")
    os.chmod(layer.upper / "p/d", 0)
    with pytest.raises(ViolationError, match='changed its own inputs: "p/d/in"'):
        layer.collector("p/out", inputs=(layer.entry("p/d/in", b"in"),)).collect()


@pytest.mark.parametrize(("data", "changed"), [(b"in", False), (b"IN", True)])
def test_an_input_without_permissions_is_compared(layer, data, changed):
    (layer.upper / "p/in").write_bytes(data)
    (layer.upper / "p/out").write_text("made")
    os.chmod(layer.upper / "p/in", 0)
    collector = layer.collector("p/out", inputs=(layer.entry("p/in", b"in"),))
    if changed:
        with pytest.raises(ViolationError, match="changed its own inputs"):
            collector.collect()
    else:
        assert [entry.path for entry in collector.collect().outputs] == ["p/out"]


def test_outputs_of_two_names_without_permissions_are_taken(layer):
    (layer.upper / "p/out").write_text("made")
    os.link(layer.upper / "p/out", layer.upper / "p/other")
    os.chmod(layer.upper / "p/out", 0)
    assert {entry.path for entry in layer.collector("p/out", "p/other").collect().outputs} == {"p/out", "p/other"}


def test_an_output_in_a_directory_that_cannot_be_written_is_taken(layer):
    (layer.upper / "p/out").write_text("made")
    os.chmod(layer.upper / "p", 0o555)
    assert [entry.path for entry in layer.collector("p/out").collect().outputs] == ["p/out"]


def test_a_tree_of_endless_depth_is_refused(layer):
    here = os.open(layer.upper / "p", os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(100):
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    os.rename(layer.upper / "p" / ("d" * 200), layer.upper / "p" / "out")
    with pytest.raises(ViolationError, match="longer than 2048 bytes"):
        layer.collector("p/out/").collect()


def test_a_depfile_of_any_size_is_not_read_into_memory(layer, monkeypatch):
    monkeypatch.setattr(collect, "DEPFILE_BYTES", 100)
    (layer.upper / "p/out").write_text("made")
    (layer.upper / "p/out.d").write_bytes(bytes(101))
    with pytest.raises(ViolationError, match=r'the depfile "p/out\.d" is larger than 100 bytes'):
        layer.collector("p/out", "p/out.d", depfile="p/out.d").collect()


def test_a_depfile_without_permissions_is_read(layer):
    (layer.upper / "p/out").write_text("made")
    (layer.upper / "p/out.d").write_text("out: in")
    os.chmod(layer.upper / "p/out.d", 0)
    assert layer.collector("p/out", "p/out.d", depfile="p/out.d").collect().depfile == "out: in"
