"""Lock files of npm."""

import base64
import json

import pytest

from bldr.api import LockError, LockFile, Platform
from bldr_javascript.locks import NpmLock

DIGEST = base64.b64encode(b"d" * 64).decode()
LINUX = Platform("linux", "x86_64")


def entry(**more):
    return {"version": "1.0.0", "integrity": f"sha512-{DIGEST}", **more}


def lock(packages, platform=LINUX, env=None, **more):
    content = {"lockfileVersion": 3, "packages": {"": {"name": "w"}, **packages}, **more}
    return LockFile(text=json.dumps(content), platform=platform, env=env or {})


def targets(packages):
    return NpmLock().builderfile((), None, lock(packages))["target"]


def test_packages_come_from_the_registry_that_is_configured():
    packages = {
        "node_modules/@scope/one": entry(),
        "node_modules/two": entry(resolved="https://registry.npmjs.org/two/-/two-1.0.0.tgz"),
        "node_modules/three": entry(resolved="https://other.example/three.tgz"),
        "node_modules/alias": entry(name="four"),
    }
    env = {"npm_config_registry": "https://mirror.example/npm/"}
    found = {locked.path: locked.urls[0] for locked in NpmLock().read(lock(packages, env=env))}
    assert found == {
        "node_modules/@scope/one": "https://mirror.example/npm/@scope/one/-/one-1.0.0.tgz",
        "node_modules/two": "https://mirror.example/npm/two/-/two-1.0.0.tgz",
        "node_modules/three": "https://other.example/three.tgz",
        "node_modules/alias": "https://mirror.example/npm/four/-/four-1.0.0.tgz",
    }


def test_the_strongest_hash_counts():
    weak = base64.b64encode(b"w" * 20).decode()
    (one,) = NpmLock().read(lock({"node_modules/a": entry(integrity=f"sha1-{weak} sha512-{DIGEST}?x")}))
    assert (one.digest, one.strip_prefix) == (f"sha512:{(b'd' * 64).hex()}", "*")


def test_what_is_for_other_machines_is_left_out():
    packages = {
        "node_modules/everywhere": entry(),
        "node_modules/here": entry(os=["linux"], cpu=["x64"], libc=["glibc"]),
        "node_modules/musl": entry(os=["linux"], cpu=["x64"], libc=["musl"]),
        "node_modules/mac": entry(os=["darwin"]),
        "node_modules/no-linux": entry(os=["!linux"]),
        "node_modules/no-windows": entry(os=["!win32"]),
        "node_modules/arm": entry(cpu=["arm64"]),
    }
    here = [locked.path.removeprefix("node_modules/") for locked in NpmLock().read(lock(packages))]
    assert here == ["everywhere", "here", "no-windows"]
    mac = NpmLock().read(lock(packages, Platform("macos", "aarch64")))
    assert [locked.path.removeprefix("node_modules/") for locked in mac] == [
        "arm", "everywhere", "mac", "no-linux", "no-windows",
    ]  # fmt: skip


def test_a_dependency_is_found_as_node_finds_it():
    made = targets(
        {
            "node_modules/a": entry(dependencies={"b": "1", "c": "1", "absent": "1"}),
            "node_modules/b": entry(dependencies={"c": "2"}),
            "node_modules/c": entry(),
            "node_modules/b/node_modules/c": entry(peerDependencies={"a": "1"}),
            "workspace": {"version": "1.0.0"},
            "node_modules/linked": {"link": True, "resolved": "workspace"},
        }
    )
    assert sorted(made) == ["a", "b", "b/node_modules/c", "c"]
    # b, its own c and a need each other: one of them has the files of all
    assert made["a"]["sources"] == [
        "node_modules/a/**", "node_modules/b/**", "node_modules/b/node_modules/c/**",
    ]  # fmt: skip
    assert made["a"]["deps"] == [":c"]
    assert made["b"] == {**made["b"], "sources": [], "deps": [":a"]}
    assert made["c"]["deps"] == []


def test_the_files_of_a_nested_package_are_its_own():
    made = targets({"node_modules/b": entry(), "node_modules/b/node_modules/c": entry()})
    assert made["b"]["sources"] == ["node_modules/b/**", "!node_modules/b/node_modules/c/**"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (LockFile(text="{", platform=LINUX), "no JSON"),
        (lock({}, lockfileVersion=1), "no package-lock.json of version 2 or 3"),
        (lock({"node_modules/a": {"integrity": "sha512-x"}}), "has no version"),
        (lock({"app/node_modules/a": entry()}), 'is a package of "app" alone'),
        (lock({"node_modules/a": entry(integrity="sha1-xx")}), "no hash that can be trusted but sha1"),
        (lock({"node_modules/a": {"version": "1"}}), "no hash that can be trusted"),
        (lock({"node_modules/a": entry(integrity="sha512-???")}), "is no sha512"),
        (lock({"node_modules/a": entry(resolved="git+ssh://git@example.org/a.git#1")}), "comes from"),
        (lock({"node_modules/a": entry(resolved="http://example.org/a.tgz")}), "comes from"),
    ],
)
def test_what_is_no_such_file_is_refused(broken, message):
    with pytest.raises(LockError, match=message):
        NpmLock().read(broken)
