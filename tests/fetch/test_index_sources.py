"""Whole fetches from indexes: what is asked, what is believed, and what is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bldr.api import FetchError
from bldr.fetch import fetch

Bring = Callable[..., Path]
Hash = Callable[[bytes], str]
WANTED = {"a.c": "int a;\n", "src": "/", "src/b.c": "int b;\n"}


def page(*links: str) -> bytes:
    return "".join(f'<a href="{link}">x</a>' for link in links).encode()


@pytest.fixture
def index(https: Any, answer: Any, sdist: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An index that has the small sdist; pip is configured to it alone."""
    https.pages["/simple/dep/"] = answer(page("/files/dep-1.0.tar.gz", "/files/dep-1.0-py3-none-any.whl"))
    https.pages["/files/dep-1.0.tar.gz"] = answer(sdist)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{https.url}/simple/")
    return https


@pytest.fixture
def release(make_source: Any, sdist: bytes, sha256: Hash) -> Any:
    return make_source(sha256=sha256(sdist), pypi="Dep==1.0", strip_prefix="dep-1.0")


def test_from_an_index(index: Any, release: Any, bring: Bring, contents: Any) -> None:
    assert contents(bring(release)) == WANTED
    assert index.paths == ["/simple/dep/", "/files/dep-1.0.tar.gz"]


def test_from_a_json_index(index: Any, answer: Any, release: Any, bring: Bring, contents: Any) -> None:
    body = {
        "meta": {"api-version": "1.1"},
        "files": [
            {"filename": "dep-1.0.zip", "url": "/files/other.zip", "hashes": {"sha256": "2" * 64}},
            {
                "filename": "dep-1.0.tar.gz",
                "url": "/files/dep-1.0.tar.gz",
                "hashes": {"sha256": release.sha256},
                "yanked": "bad\x07",
            },
        ],
    }
    index.pages["/simple/dep/"] = answer(
        json.dumps(body).encode(), headers={"Content-Type": "application/vnd.pypi.simple.v1+json"}
    )
    warnings: list[str] = []
    assert contents(bring(release, warn=lambda message, _hint: warnings.append(message))) == WANTED
    assert warnings == ['external "dep": "dep-1.0.tar.gz" was yanked: bad\\x07']
    assert index.paths == ["/simple/dep/", "/files/dep-1.0.tar.gz"]


def test_an_index_whose_hash_differs_is_refused_by_both_hashes_and_nothing_is_downloaded(
    index: Any, answer: Any, release: Any, bring: Bring
) -> None:
    other = "3" * 64
    index.pages["/simple/dep/"] = answer(page(f"/files/dep-1.0.tar.gz#sha256={other}"))
    with pytest.raises(FetchError) as caught:
        bring(release)
    assert caught.value.message == (
        f'external "dep": no sdist of dep==1.0 has the pinned hash: expected sha256 {release.sha256}, '
        f"got {other} ({index.url}/files/dep-1.0.tar.gz)"
    )
    assert index.paths == ["/simple/dep/"]


def test_a_file_that_is_not_what_its_index_says(index: Any, answer: Any, release: Any, bring: Bring) -> None:
    index.pages["/simple/dep/"] = answer(page(f"/files/dep-1.0.tar.gz#sha256={release.sha256}"))
    index.pages["/files/dep-1.0.tar.gz"] = answer(b"other")
    with pytest.raises(FetchError, match=r"expected sha256 .*, got .*has not the hash that its index says"):
        bring(release)


def test_the_pin_decides_among_several_files(
    index: Any, answer: Any, release: Any, bring: Bring, zipped: Any, contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zip and a tar of one release, no hashes, and a first index with another file of the same name."""
    index.pages["/first/dep/"] = answer(page("/files/wrong/dep-1.0.tar.gz"))
    index.pages["/files/wrong/dep-1.0.tar.gz"] = answer(b"wrong")
    index.pages["/simple/dep/"] = answer(page("/files/dep-1.0.zip", "/files/dep-1.0.tar.gz", "/files/dep-1.1.tar.gz"))
    index.pages["/files/dep-1.0.zip"] = answer(zipped([("dep-1.0/a.c", b"")]))
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/first")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{index.url}/simple")
    assert contents(bring(release)) == WANTED
    assert "/files/dep-1.1.tar.gz" not in index.paths


def test_a_broken_index_is_a_warning_and_the_next_is_asked(
    index: Any, answer: Any, http: Any, release: Any, bring: Bring, contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.pages["/broken/dep/"] = answer(b"", 403)
    index.pages["/future/dep/"] = answer(b'<meta name="pypi:repository-version" content="2.0">')
    places = ["http://insecure.example/simple", f"{index.url}/broken", f"{index.url}/future", f"{index.url}/unknown"]
    monkeypatch.setenv("PIP_INDEX_URL", places[0])
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", " ".join([*places[1:], f"{index.url}/simple"]))
    warnings: list[str] = []
    assert contents(bring(release, warn=lambda message, _hint: warnings.append(message))) == WANTED
    refused = [f"{places[0]}/dep/", f"{places[1]}/dep/", f"{places[2]}/dep/"]
    assert len(warnings) == 3
    for warning, url in zip(warnings, refused, strict=True):
        assert warning.startswith(f'external "dep": "{url}" ')


def test_when_nobody_has_it_all_that_was_asked_is_named(
    index: Any, answer: Any, make_source: Any, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.pages["/simple/dep/"] = answer(page("/dep-1.0.tar.gz", "/dep-1.1.zip", "/dep-2.0-py3-none-any.whl"))
    index.pages["/broken/dep/"] = answer(b"", 403)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"https://me:secret@127.0.0.1:{index.port}/broken")
    with pytest.raises(FetchError) as caught:
        bring(make_source(sha256="4" * 64, pypi="dep==2.0"))
    assert f"there is no sdist of dep==2.0 at {index.url}/simple/, {index.url}/broken; " in caught.value.message
    assert "HTTP 403" in caught.value.message
    assert "secret" not in str(caught.value)
    assert caught.value.hint == "there are sdists of 1.0, 1.1"


def test_pip_without_any_place(release: Any, bring: Bring) -> None:
    with pytest.raises(FetchError, match="pip is configured to no index"):
        bring(release)


def test_from_local_indexes_and_find_links_also_offline(
    release: Any, sdist: bytes, contents: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/dep-1.0.tar.gz").write_bytes(sdist)
    (tmp_path / "simple/dep").mkdir(parents=True)
    (tmp_path / "simple/dep/index.html").write_bytes(page(f"../../files/dep-1.0.tar.gz#sha256={release.sha256}"))
    (tmp_path / "links.html").write_bytes(page("files/dep-1.0.tar.gz"))
    for number, (variable, value) in enumerate(
        [
            ("PIP_FIND_LINKS", str(tmp_path / "files")),
            ("PIP_FIND_LINKS", f"file://{tmp_path}/links.html"),
            ("PIP_EXTRA_INDEX_URL", f"file://{tmp_path}/simple"),
            ("PIP_INDEX_URL", str(tmp_path / "simple")),
        ]
    ):
        with monkeypatch.context() as patch:
            if variable != "PIP_FIND_LINKS":
                patch.setenv("PIP_NO_INDEX", "no")
            patch.setenv(variable, value)
            tree = fetch(release, str(tmp_path / f"store{number}"), builderfile_root="/nowhere", offline=True)
        assert contents(Path(tree)) == WANTED


def test_a_missing_find_links_directory_is_a_warning(
    index: Any, release: Any, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere/links")
    warnings: list[str] = []
    bring(release, warn=lambda message, _hint: warnings.append(message))
    assert warnings == ['external "dep": "/nowhere/links" is neither a file nor a directory']


def test_a_page_on_the_network_cannot_name_a_local_file(
    index: Any, answer: Any, release: Any, bring: Bring, sdist: bytes, tmp_path: Path
) -> None:
    (tmp_path / "dep-1.0.tar.gz").write_bytes(sdist)
    index.pages["/simple/dep/"] = answer(page(f"file://{tmp_path}/dep-1.0.tar.gz"))
    with pytest.raises(FetchError, match="a page on the network names the local file"):
        bring(release)


def test_plain_http_only_from_loopback_and_trusted_hosts(
    http: Any, answer: Any, sdist: bytes, release: Any, bring: Bring, contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    http.pages["/simple/dep/"] = answer(page("/dep-1.0.tar.gz"))
    http.pages["/dep-1.0.tar.gz"] = answer(sdist)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{http.url}/simple")
    assert contents(bring(release)) == WANTED


def test_nothing_of_the_package_is_run(make_source: Any, bring: Bring, tar: Any, sha256: Hash, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    code = f"open({str(proof)!r}, 'w')".encode()
    data = tar(
        [
            ("evil-1/setup.py", code),
            ("evil-1/pyproject.toml", b"[build-system]\nrequires=[]"),
            ("evil-1/conftest.py", code),
        ]
    )
    (tmp_path / "evil-1.tar.gz").write_bytes(data)
    bring(make_source(sha256=sha256(data), url="file:evil-1.tar.gz", strip_prefix="evil-1"))
    assert not proof.exists()
