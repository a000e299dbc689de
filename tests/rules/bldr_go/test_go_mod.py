"""go.sum and go.mod: which archives are fetched, under which names, with which targets."""

import pytest

from bldr.api import LockError, LockFile, Platform
from bldr_go.go_mod import modules, read_go_mod, read_sums
from bldr_go.locks import GoLock

D = "A" * 43 + "="
SUM = f"""example.org/Cap/B v1.2.0 h1:{D}
example.org/Cap/B v1.10.0 h1:{D}
example.org/Cap/B v1.10.0/go.mod h1:{D}
example.org/only-named v1.0.0/go.mod h1:{D}
example.org/fork v0.1.0-Rc1 h1:{D}
"""
LINUX = Platform("linux", "x86_64")


def lock(text=SUM, go_mod="", **given):
    return LockFile(text=text, platform=LINUX, beside={"go.mod": go_mod} if go_mod else {}, **given)


class Tree:
    """The files of a dict as a tree."""

    def __init__(self, files):
        self._files = files

    def read(self, path):
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path].encode()

    def names(self, directory=""):
        prefix = f"{directory}/" if directory else ""
        inside = [path.removeprefix(prefix) for path in self._files if path.startswith(prefix)]
        return tuple(sorted({first + slash for first, slash, _ in (path.partition("/") for path in inside)}))


def test_the_latest_version_without_a_go_mod_and_names_as_proxies_spell_them():
    cap, fork = GoLock().read(lock(env={"GOPROXY": "https://a.example/,direct|https://b.example"}))
    assert cap.name == "example.org/Cap/B v1.10.0"
    assert cap.urls == (
        "https://a.example/example.org/!cap/!b/@v/v1.10.0.zip",
        "https://b.example/example.org/!cap/!b/@v/v1.10.0.zip",
    )
    assert (cap.digest, cap.path, cap.strip_prefix) == (f"h1:{D}", "example.org/Cap/B@v1.10.0", cap.path)
    assert fork.urls[0].endswith("/example.org/fork/@v/v0.1.0-!rc1.zip")


def test_versions_and_replacements_are_those_of_go_mod():
    text = """
        module example.org/app
        go 1.21.3
        require example.org/Cap/B v1.2.0 // indirect
        require (
            example.org/other v1.0.0
            example.org/here v1.0.0
        )
        replace (
            example.org/other => example.org/fork v0.1.0-Rc1
            example.org/here => ../here
        )
        """
    found = {package.name: package.path for package in GoLock().read(lock(go_mod=text))}
    assert found == {
        "example.org/Cap/B v1.2.0": "example.org/Cap/B@v1.2.0",
        "example.org/fork v0.1.0-Rc1": "example.org/fork@v0.1.0-Rc1",
    }
    assert read_go_mod(text).go_version == "1.21.3"


@pytest.mark.parametrize(
    ("replacements", "found"),
    [
        (["Cap/B v1.1.0 => example.org/fork v0.1.0-Rc1"], ["example.org/Cap/B v1.2.0"]),
        (["Cap/B v1.1.0 => ../b"], ["example.org/Cap/B v1.2.0"]),
        (["Cap/B v1.2.0 => example.org/fork v0.1.0-Rc1"], ["example.org/fork v0.1.0-Rc1"]),
        (["Cap/B v1.2.0 => ../b"], []),
        (["Cap/B v1.2.0 => example.org/fork v0.1.0-Rc1", "Cap/B => ../b"], ["example.org/fork v0.1.0-Rc1"]),
        (["Cap/B v1.1.0 => ../b", "Cap/B => example.org/fork v0.1.0-Rc1"], ["example.org/fork v0.1.0-Rc1"]),
        (["Cap/B => example.org/Cap/B v1.10.0"], ["example.org/Cap/B v1.10.0"]),
        (["Cap/B v1.2.0 => example.org/Cap/B v1.10.0"], ["example.org/Cap/B v1.10.0"]),
    ],
)
def test_a_version_on_the_left_is_the_only_one_that_is_replaced(replacements, found):
    lines = [f"replace example.org/{replacement}" for replacement in replacements]
    text = "\n".join(["require example.org/Cap/B v1.2.0", *lines])
    read = modules(read_sums(SUM), read_go_mod(text))
    assert [f"{module.source} {module.version}" for module in read if module.path == "example.org/Cap/B"] == found


def test_a_module_may_stand_in_for_another_one_and_for_itself():
    text = """
        require (
            example.org/Cap/B v1.2.0
            example.org/fork v0.1.0-Rc1
            example.org/old v1.0.0
        )
        replace example.org/old => example.org/Cap/B v1.10.0
        """
    names = [package.name for package in GoLock().read(lock(go_mod=text))]
    assert names == ["example.org/Cap/B v1.2.0", "example.org/fork v0.1.0-Rc1", "example.org/Cap/B v1.10.0"]


def test_what_is_refused():
    with pytest.raises(LockError, match="no line of") as caught:
        read_sums(f"a v1.0.0 h1:{D}\nnonsense\n")
    assert caught.value.line == 2
    with pytest.raises(LockError, match=r'no digest of "example\.org/Cap/B" v9\.0\.0'):
        GoLock().read(lock(go_mod="require example.org/Cap/B v9.0.0"))
    with pytest.raises(LockError, match='GOPROXY is "off", which names no proxy'):
        GoLock().read(lock(env={"GOPROXY": "off"}))
    with pytest.raises(LockError, match='"tags" is no option'):
        GoLock().builderfile((), Tree({}), lock(options={"tags": "x"}))


def test_a_target_for_each_package_that_is_for_this_platform():
    stem = "example.org/Cap/B@v1.10.0"
    files = {
        f"{stem}/go.mod": "module example.org/Cap/B\n\ngo 1.20.1\n",
        f"{stem}/b.go": 'package b\n\nimport (\n"fmt"\n_ "example.org/Cap/B/in"\n)\n//go:embed t/*.txt d missing\n',
        f"{stem}/b_windows.go": 'package b\n\nimport "example.org/fork"\n',
        f"{stem}/b_test.go": 'package b\n\nimport "testing"\n',
        f"{stem}/t/1.txt": "",
        f"{stem}/d/2.txt": "",
        f"{stem}/in/in_amd64.s": "",
        f"{stem}/in/in.go": "package in\n",
        f"{stem}/in/testdata/x.go": "package x\n",
        f"{stem}/cmd/main.go": "package main\n",
        f"{stem}/windows/w.go": "//go:build windows\n\npackage windows\n",
        "example.org/fork@v0.1.0-Rc1/f.go": "package f\n",
    }
    packages = GoLock().read(lock())
    targets = GoLock().builderfile(packages, Tree(files), lock(options={"std": "fmt os"}))["target"]
    assert sorted(targets) == ["example.org/Cap/B", "example.org/Cap/B/in", "example.org/fork", "go-std"]
    assert targets["go-std"]["packages"] == ["fmt", "os"]
    assert targets["example.org/fork"]["go_version"] == "1.16"
    b = targets["example.org/Cap/B"]
    assert b["sources"] == [f"{stem}/b.go", f"{stem}/b_windows.go"]
    assert b["deps"] == [":example.org/Cap/B/in"]
    assert b["embed"] == [f"{stem}/d/**", f"{stem}/t/1.txt"]
    assert b["go_version"] == "1.20"
    assert targets["example.org/Cap/B/in"]["sources"] == [f"{stem}/in/in.go", f"{stem}/in/in_amd64.s"]
