"""Pages of the simple index API, in both forms, and the names of source distributions."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bldr.api import FetchError
from bldr.fetch.download import AbsentError, Web
from bldr.fetch.index import Indexes, Link, is_release, parse_html, parse_json, parse_release, sdist_version
from bldr.fetch.source import Limits


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("zope_interface-5.0.tar.gz", "5.0"),
        ("zope.interface-5.0.tar.gz", "5.0"),
        ("Zope-Interface-5.0.zip", "5.0"),
        ("zope-interface-5.0.tar.bz2", "5.0"),
        ("zope.interface-5.0-1.tgz", "5.0.post1"),
        ("zope.interface-5.0.dev3.tar.xz", "5.0.dev3"),
        ("zope.interface-5.0RC1.tar.gz", "5.0rc1"),
        ("zope.interface-5.0+local.2.tar.gz", "5.0+local.2"),
        ("zope.interface-extra-5.0.tar.gz", None),
        ("zope-5.0.tar.gz", None),
        ("zope.interface-5.0-py3-none-any.whl", None),
        ("zope.interface-5.0.exe", None),
        ("zope.interface.tar.gz", None),
        ("zope.interface-.tar.gz", None),
        ("", None),
    ],
)
def test_the_version_in_the_name_of_an_sdist(filename: str, version: str | None) -> None:
    assert sdist_version(filename, "zope-interface") == version


@given(st.text(max_size=30))
def test_no_file_name_is_too_odd(filename: str) -> None:
    for suffix in ("", ".tar.gz", "-1.tar.gz"):
        sdist_version(filename + suffix, "a")


def test_versions_that_are_equal_are_one_release() -> None:
    release = parse_release("Zope.Interface == 5.0")
    assert str(release) == "zope-interface==5.0"
    assert is_release("zope_interface-5.0.0.tar.gz", release)
    assert not is_release("zope_interface-5.0.post1.tar.gz", release)


@pytest.mark.parametrize("text", ["a", "a=1", "a>=1", "a==", "==1", "a==1.*", "a===1", "a[b]==1", "a b==1", "a==1;x"])
def test_what_is_no_pinned_release(text: str) -> None:
    with pytest.raises(FetchError, match="is not a pinned release"):
        parse_release(text)


def test_an_html_page() -> None:
    links, version = parse_html(
        "https://h/simple/a/",
        """<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1"><base href="/files/x/"></head>
        <a href="a-1.tar.gz#sha256=ABCD" data-yanked="broken &lt; fast">a-1</a>
        <A HREF="https://cdn/a%2B-2.zip?q=1#md5=12">a-2</A><a name="nothing"><a href=""> <a href="//[bad">
        <a href="b-1.zip" data-yanked>b""",
    )
    assert version == "1.1"
    assert links == [
        Link("a-1.tar.gz", "https://h/files/x/a-1.tar.gz", "abcd", "broken < fast"),
        Link("a+-2.zip", "https://cdn/a%2B-2.zip?q=1"),
        Link("b-1.zip", "https://h/files/x/b-1.zip", "", ""),
    ]


def test_a_json_page() -> None:
    body = {
        "meta": {"api-version": "1.3", "unknown": 1},
        "name": "a",
        "files": [
            {
                "filename": "a-1.tar.gz",
                "url": "../../f/a-1.tar.gz",
                "hashes": {"sha256": "AB", "md5": "1"},
                "yanked": "why",
            },
            {"filename": "a-2.tar.gz", "url": "https://cdn/x#sha256=12", "hashes": {}, "yanked": False, "size": 5},
            {"filename": "a-3.tar.gz", "url": "https://cdn/y", "hashes": {}, "yanked": True},
        ],
    }
    links, version = parse_json("https://h/simple/a/", json.dumps(body).encode())
    assert version == "1.3"
    assert links == [
        Link("a-1.tar.gz", "https://h/f/a-1.tar.gz", "ab", "why"),
        Link("a-2.tar.gz", "https://cdn/x"),
        Link("a-3.tar.gz", "https://cdn/y", "", ""),
    ]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"meta": {}, "files": 3}', b"\xff", b'{"meta":{},"files":[{"filename":"a","url":"//["}]}'],
)
def test_a_json_page_that_is_none(body: bytes) -> None:
    with pytest.raises(FetchError, match="is no page of the index API"):
        parse_json("https://h/simple/a/", body)


@given(st.text())
def test_no_html_page_is_too_odd(text: str) -> None:
    parse_html("https://h/", text)
    parse_html("https://h/", '<base href="//["><a href="a">')
    parse_html("https://h/", f'<base href="{text}"><a href="{text}">')


@pytest.fixture
def indexes(tmp_path: Path) -> Indexes:
    return Indexes(Web({}, Limits(attempts=1), plain_loopback=True), str(tmp_path))


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_local_indexes(indexes: Indexes, tmp_path: Path) -> None:
    write(tmp_path / "simple/a/index.html", '<a href="../../f/a-1.tar.gz#sha256=11">x</a>')
    write(tmp_path / "simple/b/b-1.tar.gz")
    wanted = [Link("a-1.tar.gz", f"file://{tmp_path}/f/a-1.tar.gz", "11")]
    assert indexes.from_index(f"file://{tmp_path}/simple/", "a") == wanted
    assert indexes.from_index(str(tmp_path / "simple"), "a") == wanted
    assert indexes.from_index("simple", "a") == wanted
    assert indexes.from_index("file:simple", "b") == [Link("b-1.tar.gz", f"file://{tmp_path}/simple/b/b-1.tar.gz")]
    with pytest.raises(AbsentError):
        indexes.from_index("simple", "c")


def test_local_find_links(indexes: Indexes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write(tmp_path / "links dir/a-1.tar.gz")
    write(tmp_path / "links dir/notes.txt")
    page = write(tmp_path / "links dir/more.html", '<a href="https://h/a-2.zip">')
    files = [Link("a-1.tar.gz", f"file://{tmp_path}/links%20dir/a-1.tar.gz")]
    named = [Link("a-2.zip", "https://h/a-2.zip")]
    assert indexes.from_links("links dir") == files + named
    assert indexes.from_links(f"file://{tmp_path}/links%20dir") == files + named
    assert indexes.from_links(str(page)) == named
    assert indexes.from_links(str(archive)) == files
    monkeypatch.setenv("HOME", str(tmp_path))
    assert indexes.from_links("~/links dir/more.html") == named
    with pytest.raises(AbsentError, match="neither a file nor a directory"):
        indexes.from_links("nowhere")


def test_remote_pages_of_both_kinds(indexes: Indexes, http: Any, answer: Any) -> None:
    http.pages["/simple/a/"] = answer(b'<a href="/f/a-1.zip">', headers={"Content-Type": "text/html; charset=latin-1"})
    assert indexes.from_index(f"{http.url}/simple", "a") == [Link("a-1.zip", f"{http.url}/f/a-1.zip")]
    accept = http.requests[0][1]["Accept"]
    assert accept.startswith("application/vnd.pypi.simple.v1+json,")
    body = json.dumps(
        {"meta": {"api-version": "1.0"}, "files": [{"filename": "a-2.zip", "url": "a-2.zip", "hashes": {}}]}
    )
    headers = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
    http.pages["/simple/a/"] = answer(body.encode(), headers=headers)
    assert indexes.from_index(f"{http.url}/simple/", "a") == [Link("a-2.zip", f"{http.url}/simple/a/a-2.zip")]
    assert indexes.from_links(f"{http.url}/simple/a/") == [Link("a-2.zip", f"{http.url}/simple/a/a-2.zip")]
    assert indexes.from_links(f"{http.url}/f/a-3.zip#sha256=77") == [Link("a-3.zip", f"{http.url}/f/a-3.zip", "77")]


def test_links_are_relative_to_where_a_redirect_ends(indexes: Indexes, http: Any, answer: Any) -> None:
    http.pages["/simple/a/"] = answer(status=301, headers={"Location": "/mirror/a/"})
    http.pages["/mirror/a/"] = answer(b'<a href="a-1.zip">')
    assert indexes.from_index(f"{http.url}/simple", "a") == [Link("a-1.zip", f"{http.url}/mirror/a/a-1.zip")]


@pytest.mark.parametrize("version", ["2.0", "0.9", "x", "", "1"])
def test_another_version_of_the_api_is_refused(indexes: Indexes, http: Any, answer: Any, version: str) -> None:
    http.pages["/simple/a/"] = answer(f'<meta name="pypi:repository-version" content="{version}">'.encode())
    with pytest.raises(FetchError, match=r"only 1\.x is known"):
        indexes.from_index(f"{http.url}/simple", "a")


def test_a_page_of_another_type_is_refused(indexes: Indexes, http: Any, answer: Any) -> None:
    for content_type in ("application/json", "image/png", "text/plain"):
        http.pages["/simple/a/"] = answer(b"{}", headers={"Content-Type": content_type})
        with pytest.raises(FetchError, match="no page of links"):
            indexes.from_index(f"{http.url}/simple", "a")
