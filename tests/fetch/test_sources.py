"""A whole fetch: from a Builderfile's table to a directory, and what happens when the world misbehaves."""

import os
import random
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bldr.api import CacheError, FetchError
from bldr.fetch import Fetching, fetch, verify
from bldr.fetch.names import HostileArchiveError

Bring = Callable[..., Path]
Hash = Callable[[bytes], str]
WANTED = {"a.c": "int a;\n", "src": "/", "src/b.c": "int b;\n"}

_CHILD = """
import sys, msgspec
from bldr.fetch import fetch
class Source(msgspec.Struct):
    name: str; sha256: str; url: str | None; pypi: str | None; strip_prefix: str
source = msgspec.json.decode(sys.argv[1], type=Source)
print("ready", flush=True)
print(fetch(source, sys.argv[2], builderfile_root="/"), flush=True)
"""


@pytest.fixture
def served(https: Any, answer: Any, sdist: bytes, make_source: Any, sha256: Hash) -> Any:
    """The small sdist behind a URL, and the source that pins it."""
    https.pages["/dep.tar.gz"] = answer(sdist)
    return make_source(sha256=sha256(sdist), url=f"{https.url}/dep.tar.gz", strip_prefix="dep-1.0")


def leftovers(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "store").glob("*/.*") if not path.name.startswith(".lock-"))


def test_from_https(served: Any, bring: Bring, contents: Any, tmp_path: Path, https: Any) -> None:
    told: list[Fetching] = []
    tree = bring(served, progress=told.append)
    assert contents(tree) == WANTED
    assert tree.parent.parent == tmp_path / "store/external"
    assert tree.parent.name.startswith(served.sha256 + "-")
    assert stat.S_IMODE((tree / "a.c").stat().st_mode) == 0o444
    assert [(event.step, event.name) for event in told] == [("downloading", "dep")] * 2 + [("unpacking", "dep")]
    assert told[1].done_bytes == told[1].total_bytes > 0
    assert told[0].url == served.url
    assert bring(served) == tree
    assert https.paths == ["/dep.tar.gz"]
    assert leftovers(tmp_path) == []


def test_another_prefix_needs_no_network(
    served: Any, bring: Bring, contents: Any, make_source: Any, https: Any
) -> None:
    first = bring(served)
    second = bring(make_source(sha256=served.sha256, url=served.url, strip_prefix="dep-1.0/src"), offline=True)
    whole = bring(make_source(sha256=served.sha256, url=served.url), offline=True)
    assert contents(second) == {"b.c": "int b;\n"}
    assert sorted(contents(whole)) == ["dep-1.0", "dep-1.0/a.c", "dep-1.0/src", "dep-1.0/src/b.c"]
    assert len({first, second, whole}) == 3
    assert https.paths == ["/dep.tar.gz"]


def test_from_file_urls_also_offline(
    bring: Bring, make_source: Any, sdist: bytes, sha256: Hash, tmp_path: Path, contents: Any
) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/dep 1.tgz").write_bytes(sdist)
    for number, url in enumerate((f"file://{tmp_path}/vendor/dep%201.tgz", "file:vendor/dep%201.tgz")):
        source = make_source(sha256=sha256(sdist), url=url, strip_prefix="dep-1.0")
        tree = fetch(source, str(tmp_path / f"store{number}"), builderfile_root=str(tmp_path), offline=True)
        assert contents(Path(tree)) == WANTED


def test_a_wrong_hash_shows_both_and_the_url(served: Any, bring: Bring, make_source: Any, tmp_path: Path) -> None:
    other = "1" * 64
    with pytest.raises(FetchError) as caught:
        bring(make_source(sha256=other, url=served.url))
    assert caught.value.message == (
        f'external "dep": "{served.url}" has not the pinned hash: expected sha256 {other}, got {served.sha256}'
    )
    assert leftovers(tmp_path) == []
    assert os.listdir(tmp_path / "store/downloads") == []


def test_a_hash_that_is_none(make_source: Any, bring: Bring) -> None:
    for text in ("", "12", "A" * 64, "../" * 22):
        with pytest.raises(FetchError, match="is not a sha256"):
            bring(make_source(sha256=text, url="https://h/a"))


def test_a_hostile_archive_leaves_nothing(
    bring: Bring, make_source: Any, tar: Any, sha256: Hash, tmp_path: Path
) -> None:
    data = tar([("good", b"x"), ("../../../../evil", b"x")])
    (tmp_path / "evil.tar.gz").write_bytes(data)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(FetchError, match=r'external "dep": .* climbs by "\.\."') as caught:
        bring(make_source(sha256=sha256(data), url="file:evil.tar.gz"))
    assert isinstance(caught.value.__cause__, HostileArchiveError)
    assert caught.value.hint == caught.value.__cause__.hint
    assert leftovers(tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "store"])


def test_offline(served: Any, bring: Bring, make_source: Any, https: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FetchError, match="was not fetched yet, and this build is offline") as caught:
        bring(served, offline=True)
    assert '"bldr fetch"' in caught.value.hint
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{https.url}/simple")
    with pytest.raises(FetchError, match=r"dep==1\.0 was not fetched yet, and this build is offline") as caught:
        bring(make_source(sha256=served.sha256, pypi="dep==1.0"), offline=True)
    assert '"bldr fetch"' in caught.value.hint
    assert https.requests == []
    bring(served)
    bring(served, offline=True)


def test_every_kind_of_tampering_is_noticed_and_mended(
    served: Any, bring: Bring, contents: Any, tmp_path: Path
) -> None:
    tree = bring(served)
    store = str(tmp_path / "store")

    def rewrite(path: Path) -> None:
        text = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(text.upper())
        path.chmod(0o444)
        os.utime(path, ns=(315_532_800 * 10**9,) * 2)

    damages: list[tuple[Callable[[], Any], str]] = [
        (lambda: rewrite(tree / "a.c"), '"a.c" has other contents'),
        (lambda: (tree / "a.c").unlink(), '"a.c" is missing'),
        (lambda: (tree / "src/new").write_text("x"), '"src/new" does not belong there'),
        (lambda: (tree / "a.c").chmod(0o777), '"a.c" has the mode 100777 instead of 100444'),
        (lambda: shutil.rmtree(tree / "src"), '"src" is missing'),
        (lambda: [(tree / "a.c").unlink(), (tree / "a.c").symlink_to("/etc/passwd")], '"a.c" has the mode 120777'),
        (lambda: shutil.rmtree(tree), "the tree is missing"),
        (lambda: (tree.parent / "manifest").unlink(), "the manifest is missing or damaged"),
        (lambda: (tree.parent / "manifest").write_bytes(b"x" * 40), "the manifest is missing or damaged"),
        (lambda: shutil.rmtree(tree.parent), ""),
    ]
    for damage, found in damages:
        assert verify(served, store) == []
        damage()
        assert [text.startswith(found) for text in verify(served, store)[:1]] == ([True] if found else [])
        warnings: list[str] = []
        assert bring(served, offline=True, warn=lambda message, _hint, to=warnings: to.append(message)) == tree
        assert contents(tree) == WANTED
        assert len(warnings) == (1 if found else 0), warnings
        assert leftovers(tmp_path) == []


def test_a_store_that_was_copied_is_believed_once_its_contents_were_compared(
    served: Any, bring: Bring, tmp_path: Path, contents: Any
) -> None:
    tree = bring(served)
    shutil.copytree(tmp_path / "store", tmp_path / "copy", symlinks=True)
    shutil.rmtree(tmp_path / "copy/downloads")
    warnings: list[str] = []
    copied = Path(
        fetch(
            served,
            str(tmp_path / "copy"),
            builderfile_root="/",
            offline=True,
            warn=lambda message, _hint: warnings.append(message),
        )
    )
    assert copied == tmp_path / "copy" / tree.relative_to(tmp_path / "store")
    assert contents(copied) == WANTED
    assert warnings == []


def test_a_damaged_download_is_fetched_again(served: Any, bring: Bring, tmp_path: Path, https: Any) -> None:
    tree = bring(served)
    download = tmp_path / "store/downloads" / served.sha256
    download.chmod(0o644)
    download.write_bytes(b"x" + download.read_bytes()[1:])
    shutil.rmtree(tree.parent)
    bring(served)
    assert https.paths == ["/dep.tar.gz"] * 2


def test_a_full_disk_is_an_error_of_the_store(served: Any, bring: Bring, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a directory")
    with pytest.raises(CacheError, match=r'external "dep" cannot be stored in'):
        bring(served)


def test_planted_links_are_not_followed(served: Any, bring: Bring, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    for directory in ("downloads", "external"):
        (tmp_path / "store" / directory).mkdir(parents=True)
    (tmp_path / f"store/downloads/.partial-{served.sha256}").symlink_to(victim / "precious")
    (tmp_path / f"store/external/.partial-{served.sha256}-tree").symlink_to(victim)
    bring(served)
    assert (victim / "precious").read_text() == "x"
    assert leftovers(tmp_path) == []


# Several processes, and sudden death


def start(source: Any, store: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", _CHILD, msgspec.json.encode(source).decode(), str(store)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_several_processes_at_once_download_once(served: Any, https: Any, tmp_path: Path, contents: Any) -> None:
    children = [start(served, tmp_path / "store") for _ in range(4)]
    trees = {child.communicate()[0].splitlines()[-1] for child in children}
    assert [child.returncode for child in children] == [0] * 4
    assert len(trees) == 1
    assert contents(Path(trees.pop())) == WANTED
    assert https.paths == ["/dep.tar.gz"]
    assert leftovers(tmp_path) == []


def test_whoever_waits_for_another_process_says_so(
    served: Any, bring: Bring, https: Any, answer: Any, sdist: bytes
) -> None:
    started: list[Any] = []
    https.pages["/dep.tar.gz"] = answer(sdist, hook=lambda _handler: time.sleep(0.3))
    store: list[Path] = []
    first = threading.Thread(target=lambda: store.append(bring(served, progress=started.append)))
    first.start()
    while not https.requests:
        time.sleep(0.01)
    told: list[Fetching] = []
    second = bring(served, progress=told.append)
    first.join()
    assert [event.step for event in told] == ["waiting"]
    assert store == [second]
    assert https.paths == ["/dep.tar.gz"]


def _many_files(tar: Any) -> bytes:
    rng = random.Random(7)
    data: bytes = tar([(f"dep-1.0/d{number % 17}/f{number}", rng.randbytes(2000)) for number in range(300)])
    return data


_FORKING = """
import os, signal, sys, time, msgspec
from bldr.fetch import fetch
class Source(msgspec.Struct):
    name: str; sha256: str; url: str | None; pypi: str | None; strip_prefix: str
source = msgspec.json.decode(sys.argv[1], type=Source)
import bldr.fetch.entries
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        fetch(source, sys.argv[2], builderfile_root="/")
        os._exit(0)
    time.sleep(float(line))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    print("dead", flush=True)
"""


@pytest.mark.parametrize("rounds", [3, pytest.param(80, marks=pytest.mark.full)])
def test_kill_at_any_instant(
    rounds: int,
    bring: Bring,
    make_source: Any,
    tar: Any,
    sha256: Hash,
    https: Any,
    answer: Any,
    tmp_path: Path,
    contents: Any,
) -> None:
    data = _many_files(tar)
    https.pages["/dep.tar.gz"] = answer(data)
    source = make_source(sha256=sha256(data), url=f"{https.url}/dep.tar.gz", strip_prefix="dep-1.0")
    wanted = contents(Path(fetch(source, str(tmp_path / "wanted"), builderfile_root="/")))
    rng = random.Random(rounds)
    seen: set[str] = set()
    # A process that has imported everything forks the victims, so that their death comes during the fetch.
    argv = [sys.executable, "-c", _FORKING, msgspec.json.encode(source).decode(), str(tmp_path / "store")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forking:
        assert forking.stdin is not None
        assert forking.stdout is not None
        for _ in range(rounds):
            shutil.rmtree(tmp_path / "store", ignore_errors=True)
            for _ in range(rng.choice((1, 2))):
                print(rng.uniform(0, 0.12), file=forking.stdin, flush=True)
                assert forking.stdout.readline() == "dead\n"
            seen.update(name.split("-")[0] for name in leftovers(tmp_path))
            tree = bring(source, warn=lambda message, _hint: pytest.fail(message))
            assert contents(tree) == wanted
            assert verify(source, str(tmp_path / "store")) == []
            assert leftovers(tmp_path) == []
    if rounds > 50:
        assert seen == {".partial"}, "no round was killed in the middle, so nothing was proven"


def test_what_the_dead_left_is_swept_by_the_fetch_of_anything_else(
    served: Any, bring: Bring, make_source: Any, https: Any, answer: Any, tmp_path: Path
) -> None:
    stuck = make_source(sha256="5" * 64, url=f"{https.url}/stuck")
    https.pages["/stuck"] = answer(hook=lambda _handler: time.sleep(5))
    child = start(stuck, tmp_path / "store")
    while not leftovers(tmp_path):
        time.sleep(0.01)
    bring(served)
    assert leftovers(tmp_path) == [f".partial-{stuck.sha256}"], "what a living process works on is not touched"
    child.kill()
    child.communicate()
    bring(make_source(sha256=served.sha256, url=served.url))
    assert leftovers(tmp_path) == []


def test_an_interrupted_fetch_leaves_nothing(served: Any, bring: Bring, tmp_path: Path) -> None:
    def interrupt_at(step: str) -> Callable[[Fetching], None]:
        def interrupt(event: Fetching) -> None:
            if event.step == step:
                raise KeyboardInterrupt

        return interrupt

    for step in ("downloading", "unpacking"):
        with pytest.raises(KeyboardInterrupt):
            bring(served, progress=interrupt_at(step))
        assert leftovers(tmp_path) == []
    bring(served)


def test_the_umask_does_not_matter(served: Any, bring: Bring, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        tree = bring(served)
    finally:
        os.umask(before)
    assert stat.S_IMODE(tree.stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "a.c").stat().st_mode) == 0o444
    assert stat.S_IMODE(tree.parent.stat().st_mode) == 0o755


def test_nothing_stays_open(served: Any, bring: Bring, make_source: Any, tmp_path: Path) -> None:
    bring(served)
    before = len(os.listdir("/proc/self/fd"))
    for strip_prefix in ("dep-1.0/src", "nothing", ""):
        try:
            bring(make_source(sha256=served.sha256, url=served.url, strip_prefix=strip_prefix))
        except FetchError:
            assert strip_prefix == "nothing"
    assert len(os.listdir("/proc/self/fd")) == before
