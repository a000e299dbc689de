"""The packages of a lock file: digests of several kinds, many at once, and what is told of those that fail."""

import base64
import hashlib
import io
import os
import threading
import zipfile
from pathlib import Path

import pytest

from bldr.api import FetchError, Locked
from bldr.fetch import fetch_packages, verify_packages
from bldr.fetch.pins import parse_pin


@pytest.fixture
def bring_all(tmp_path):
    """Fetch packages into a store of this test's own: path -> where it is."""

    def bring(packages, **arguments):
        places = fetch_packages("dep", packages, str(tmp_path / "store"), builderfile_root=str(tmp_path), **arguments)
        return {package.path: Path(place) for package, place in zip(packages, places, strict=True)}

    return bring


@pytest.fixture
def package(https, answer):
    """Serve content; the package that pins it by an algorithm of hashlib, or by what the test says."""

    def make(name, content, digest="sha256", **fields):
        https.pages[f"/{name}"] = answer(content)
        if ":" not in digest:
            digest = f"{digest}:{hashlib.new(digest, content).hexdigest()}"
        return Locked(name=f"{name} 1", urls=(f"{https.url}/{name}",), digest=digest, path=f"pkg/{name}", **fields)

    return make


def h1(files):
    """Go's digest, as its specification says it (golang.org/x/mod/sumdb/dirhash)."""
    lines = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


def test_every_digest(package, bring_all, tar, zipped, contents, tmp_path):
    members = {"example.com/m@v1.0.0/go.mod": b"module m\n", "example.com/m@v1.0.0/Z.go": b"package m\n"}
    archive = zipped(list(members.items()))
    packages = [
        package("a.crate", tar([("a-1/x", b"x")]), strip_prefix="a-1"),
        package("b.tgz", tar([("package/y", b"y")]), "sha512", strip_prefix="*"),
        package("c.tgz", tar([("./", None), ("./odd name/z", b"z")]), "sha384", strip_prefix="*"),
        package("m.zip", archive, h1(members), strip_prefix="example.com/m@v1.0.0"),
        package("m.jar", b"no archive", unpack=False),
        package("go.mod", b"module m\n", h1({"go.mod": b"module m\n"}), unpack=False),
    ]
    places = bring_all(packages)
    assert contents(places["pkg/a.crate"]) == {"x": "x"}
    assert contents(places["pkg/b.tgz"]) == {"y": "y"}
    assert contents(places["pkg/c.tgz"]) == {"z": "z"}
    assert contents(places["pkg/m.zip"]) == {"Z.go": "package m\n", "go.mod": "module m\n"}
    assert places["pkg/m.jar"].read_bytes() == b"no archive"
    assert places["pkg/m.jar"].stat().st_nlink == 2  # the download itself, no copy
    assert bring_all(packages, offline=True) == places
    assert verify_packages("dep", packages, str(tmp_path / "store")) == []


def test_what_gos_digest_does_not_pin_is_not_taken(package, bring_all, tmp_path):
    """Execute bits, and which of many archives it is."""

    def archive(mode):
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as written:
            member = zipfile.ZipInfo("m/run.sh")
            member.create_system, member.external_attr = 3, mode << 16
            written.writestr(member, "true")
        return buffer.getvalue()

    assert archive(0o100755) != archive(0o100644)
    digest = h1({"m/run.sh": b"true"})
    places = bring_all([package("m.zip", archive(0o100755), digest, strip_prefix="m")])
    assert not os.access(places["pkg/m.zip"] / "run.sh", os.X_OK)
    with pytest.raises(FetchError, match=r'"h1:" pins the files in a zip archive and not the archive'):
        bring_all([package("whole.zip", archive(0o100755), digest, unpack=False)])


def test_gos_own_digest():
    """One that sum.golang.org gives for rsc.io/quote v1.5.2: base64 of what is kept."""
    pin = parse_pin("h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=")
    assert pin.key.startswith("h1-c397dccac8ebc7bc")
    assert pin.value == "w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y="


@pytest.mark.parametrize("text", ["", "sha1:" + "0" * 40, "sha256:12", "h1:AAAA", "h1:@", "sha512-" + "0" * 128, "x"])
def test_what_pins_nothing(text):
    with pytest.raises(ValueError, match=r"."):
        parse_pin(text)


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha512:" + "0" * 128, h1({"other": b""})])
def test_a_wrong_digest_is_found_before_anything_is_unpacked(package, bring_all, zipped, tmp_path, digest):
    with pytest.raises(FetchError, match=r'^external "dep": m 1: .* has not the pinned hash: expected (sha|h1)'):
        bring_all([package("m", zipped([("../evil", b"x")]) if "h1" not in digest else zipped([("f", b"")]), digest)])
    assert not list((tmp_path / "store/external").glob("[!.]*"))
    assert os.listdir(tmp_path / "store/downloads") == []


def test_two_lock_files_share_what_they_have_in_common(package, bring_all, https):
    first = [package(name, name.encode(), unpack=False) for name in ("a", "b")]
    second = [*first[1:], package("c", b"c", unpack=False)]
    places = bring_all(first)
    assert bring_all(second)["pkg/b"] == places["pkg/b"]
    assert sorted(https.paths) == ["/a", "/b", "/c"]


def test_many_at_once_and_told_in_the_thread_that_asked(package, bring_all, answer, https):
    """Servers are asked for several at once: each of two answers only when the other was asked too."""
    both = threading.Barrier(2, timeout=60)
    packages = [package(f"p{number}", b"%d" % number, unpack=False) for number in range(2)]
    for number in range(2):
        https.pages[f"/p{number}"] = answer(b"%d" % number, hook=lambda _: both.wait() and False)
    heard = []
    bring_all(packages, progress=lambda event: heard.append((event.name, threading.current_thread())))
    assert {name for name, _ in heard} == {"p0 1", "p1 1"}
    assert {thread for _, thread in heard} == {threading.main_thread()}
    assert threading.active_count() <= 3  # the main one, and those of the server


def test_the_first_that_fails_ends_it_and_leaves_nothing(package, bring_all, tmp_path):
    good = [package(f"p{number}", b"%d" % number, unpack=False) for number in range(12)]
    bad = Locked(name="lost 2", urls=("https://127.0.0.1:9/x", "file:nowhere"), digest=good[0].digest, path="lost")
    other = Locked(name="gone 3", urls=("file:gone",), digest="sha256:" + "1" * 64, path="gone")
    with pytest.raises(FetchError, match=r'^external "dep": gone 3: ".*/gone" cannot be read'):
        bring_all([*good, other])
    assert [path.name for path in (tmp_path / "store").glob("*/.partial*")] == []
    assert bring_all(good)
    # What is here already is not asked for, wherever it is said to be.
    with pytest.raises(FetchError, match=r"is not a tar"):
        bring_all([bad])


def test_prefixes_that_are_not_single(package, bring_all, tar):
    with pytest.raises(FetchError, match=r'holds "a" and "b" at its top level'):
        bring_all([package("x", tar([("a/x", b""), ("b/x", b"")]), strip_prefix="*")])
    with pytest.raises(FetchError, match=r"is not a directory of the archive"):
        bring_all([package("y", tar([("file", b"")]), strip_prefix="*")])


def test_a_wheel_is_had_from_the_index_or_else_from_its_address(
    https, answer, package, bring_all, zipped, contents, monkeypatch
):
    """The one whose hash the index announces; of another, and of an sdist, nothing is downloaded."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{https.url}/simple/")
    wheel, other = zipped([("dep/__init__.py", b"x = 1\n")]), zipped([("dep/__init__.py", b"x = 2\n")])
    names = ("dep-1.0-cp311-cp311-linux_x86_64.whl", "dep-1.0-py3-none-any.whl", "dep-1.0.tar.gz")
    links = zip(names, (other, wheel, b"sdist"), strict=True)
    page = "".join(f'<a href="/files/{name}#sha256={hashlib.sha256(data).hexdigest()}">x</a>' for name, data in links)
    https.pages["/simple/dep/"] = answer(page.encode())
    https.pages[f"/files/{names[1]}"] = answer(wheel)
    locked = Locked(
        name="dep 1.0",
        urls=(),
        digest=f"sha256:{hashlib.sha256(wheel).hexdigest()}",
        path="dep",
        pypi="dep==1.0",
    )
    assert contents(bring_all([locked])["dep"]) == {"dep": "/", "dep/__init__.py": "x = 1\n"}
    assert https.paths == ["/simple/dep/", f"/files/{names[1]}"]

    elsewhere = package("elsewhere.whl", zipped([("y.py", b"y = 1\n")]), pypi="dep==1.0")
    assert contents(bring_all([elsewhere])["pkg/elsewhere.whl"]) == {"y.py": "y = 1\n"}
    missing = Locked(name="dep 1.0", urls=(), digest="sha256:" + "0" * 64, path="missing", pypi="dep==1.0")
    with pytest.raises(FetchError, match="has the pinned hash: expected sha256 0000"):
        bring_all([missing])
