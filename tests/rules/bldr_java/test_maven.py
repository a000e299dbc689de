"""Lock files of Maven artifacts."""

import json

import pytest

from bldr.api import LockError, LockFile, Platform
from bldr_java.locks import MavenLock

SUM = "a" * 64
CENTRAL = "https://repo1.maven.org/maven2/"


def lock(artifacts, dependencies=None, repositories=None, env=None, **more):
    keys = [*artifacts, *(f"{key}:jar:{kind}" for key, value in artifacts.items() for kind in value["shasums"])]
    content = {
        "version": "2",
        "artifacts": artifacts,
        "dependencies": dependencies or {},
        "repositories": {CENTRAL: keys} if repositories is None else repositories,
        **more,
    }
    return LockFile(text=json.dumps(content), platform=Platform("linux", "x86_64"), env=env or {})


ONE = {"org.example:one": {"shasums": {"jar": SUM}, "version": "1.0"}}


def test_an_artifact_stands_where_maven_puts_it():
    (one,) = MavenLock().read(lock(ONE))
    assert (one.path, one.unpack, one.digest) == ("org/example/one/1.0/one-1.0.jar", False, f"sha256:{SUM}")
    assert one.urls == (f"{CENTRAL}org/example/one/1.0/one-1.0.jar",)


def test_a_mirror_is_asked_first():
    (one,) = MavenLock().read(lock(ONE, env={"BLDR_MAVEN_MIRROR": "https://mirror.example/maven/"}))
    place = "org/example/one/1.0/one-1.0.jar"
    assert one.urls == (f"https://mirror.example/maven/{place}", CENTRAL + place)


def test_targets_are_named_as_the_users_of_bazel_know_them():
    two = {"org.example:two-b": {"shasums": {"jar": SUM, "sources": SUM, "linux": SUM}, "version": "2"}}
    read = lock({**ONE, **two}, {"org.example:two-b": ["org.example:one"], "org.example:two-b:jar:linux": []})
    targets = MavenLock().builderfile((), None, read)["target"]
    assert sorted(targets) == ["org_example_one", "org_example_two_b", "org_example_two_b_linux"]
    assert targets["org_example_two_b"]["deps"] == [":org_example_one"]
    assert targets["org_example_two_b_linux"]["jars"] == ["org/example/two-b/2/two-b-2-linux.jar"]


def test_two_artifacts_of_one_target_are_refused():
    one = {"shasums": {"jar": SUM}, "version": "1"}
    with pytest.raises(LockError, match='two artifacts would be the target "a_b_c"'):
        MavenLock().builderfile((), None, lock({"a:b-c": one, "a:b_c": one}))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (LockFile(text="{", platform=Platform("linux", "x86_64")), "no JSON"),
        (LockFile(text="[]", platform=Platform("linux", "x86_64")), "no lock file of version 2"),
        (lock(ONE, version="1"), "no lock file of version 2"),
        (lock(ONE, repositories={}), "no repository has"),
        (lock({"one": {"shasums": {"jar": SUM}, "version": "1"}}), "no artifact with a version"),
        (lock({"a:b": {"shasums": {"jar": None}, "version": "1"}}), "pinned by no hash"),
    ],
)
def test_what_is_no_such_file_is_refused(broken, message):
    with pytest.raises(LockError, match=message):
        MavenLock().read(broken)
