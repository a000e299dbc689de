"""A workspace as a whole: what is found, what is kept out, and what a target is when it has been read."""

import os

import pytest

from bldr.api import HermeticSettings, Label, WorkspaceError
from bldr.load.workspace import find_root, load_workspace

LIBRARY = '[target.{name}]\ntype = "library"\nlanguage = "c"\n'


def library(name, *lines):
    return LIBRARY.format(name=name) + "\n".join(lines) + "\n"


def test_the_root_is_the_nearest_builderfile_with_a_workspace(write):
    files = {"Builderfile": "[workspace]\nname='x'", "lib/Builderfile": "", "in/Builderfile": "[workspace]"}
    root = write({**files, "lib/src/": ""})
    assert find_root(root) == root
    assert find_root(f"{root}/lib/src") == root
    assert find_root(f"{root}/in") == os.path.join(root, "in")


def test_no_root_is_an_error_that_says_where_it_looked(write):
    root = write({"lib/Builderfile": ""})
    with pytest.raises(WorkspaceError) as caught:
        find_root(f"{root}/lib")
    looked = os.path.join(os.path.abspath(f"{root}/lib"), "Builderfile")
    assert str(caught.value) == (
        f'no workspace: neither "{root}/lib" nor a directory above it has a Builderfile with the table [workspace]\n'
        f"hint: add [workspace] with a name to {looked}"
    )


def test_a_broken_builderfile_on_the_way_is_told_when_there_is_no_root(write):
    root = write({"Builderfile": "[target\n", "lib/": ""})
    with pytest.raises(WorkspaceError, match="not valid TOML"):
        find_root(f"{root}/lib")


def test_a_broken_root_is_found_so_that_loading_can_tell(write, registry):
    root = write({"Builderfile": "[workspace]\nname = \n", "lib/Builderfile": "x = 1"})
    assert find_root(f"{root}/lib") == root
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(root, registry, external=str)
    assert [problem.file for problem in caught.value.problems] == ["Builderfile", "lib/Builderfile"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.c": ""}, "Builderfile: there is no Builderfile here"),
        (
            {"Builderfile": ""},
            "Builderfile:1:1: the Builderfile at the root of a workspace needs the table [workspace]",
        ),
    ],
)
def test_a_directory_that_is_no_root(write, registry, files, message):
    with pytest.raises(WorkspaceError) as caught:
        load_workspace(write(files), registry, external=str)
    assert str(caught.value) == f'{message}\nhint: write [workspace] and name = "..." into it'


def test_packages_are_found_and_targets_come_in_order(load):
    workspace = load(
        {
            "Builderfile": library("z") + library("a"),
            "lib/deep/Builderfile": library("x"),
            "lib/Builderfile": library("y"),
            "b/Builderfile": "",
        }
    )
    assert workspace.name == "test"
    assert [str(target.label) for target in workspace.targets] == ["//:z", "//:a", "//lib:y", "//lib/deep:x"]
    assert list(workspace.packages) == [("", ""), ("", "b"), ("", "lib"), ("", "lib/deep")]
    target = workspace.target(Label("", "lib", "y"))
    assert target is not None
    assert workspace.packages["", "lib"].targets == (target,)
    assert (target.name, target.package.path, target.package.builderfile) == ("y", "lib", "lib/Builderfile")
    assert target.handler_key == ("library", "c")
    assert target.position == ("lib/Builderfile", 1, 1)
    assert workspace.target(Label("", "lib", "n")) is None
    assert workspace.target(Label("", "none", "n")) is None
    assert workspace.target(Label("none", "", "n")) is None


def test_what_holds_no_packages_is_left_alone(load):
    broken = "this is no TOML"
    workspace = load(
        {
            "Builderfile": '[workspace]\nname = "test"\nignore = ["vendor", "data/raw/"]\n',
            "bldr-out/Builderfile": broken,
            ".git/Builderfile": broken,
            ".cache/Builderfile": broken,
            "__pycache__/Builderfile": broken,
            "vendor/a/Builderfile": broken,
            "data/raw/Builderfile": broken,
            "data/Builderfile": "",
            "target/CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55",
            "target/a/Builderfile": broken,
            "nested/Builderfile": "[workspace]\nname = 'n'",
            "nested/lib/Builderfile": broken,
            "linked": "-> nested/lib",
        }
    )
    assert sorted(workspace.packages) == [("", ""), ("", "data")]


def test_what_a_snapshot_must_watch(load):
    workspace = load(
        {
            "Builderfile": library("a", 'sources = ["src/**/*.c", ".conf/x"]'),
            "src/deep/a.c": "",
            ".conf/x": "",
            ".hidden/y": "",
            "empty/": "",
            "lib/Builderfile": "",
            "nested/Builderfile": "[workspace]",
            "nested/below/": "",
        }
    )
    assert sorted(workspace.directories_read) == ["", ".conf", "empty", "lib", "nested", "src", "src/deep"]
    assert sorted(workspace.files_read) == ["Builderfile", "lib/Builderfile", "nested/Builderfile"]


def test_names_patterns_and_labels_become_tree_paths_in_order(load):
    workspace = load(
        {
            "lib/Builderfile": library(
                "a",
                'sources = ["z.c", ":gen", "src/**/*.c", "b.c", "//x", "@lua//src:l", "*.c", "!src/deep/*.c", "!c.c"]',
                'deps = [":b", "//lib/sub:c", "//other", "@lua//:lua"]',
            ),
            **{f"lib/{name}": "" for name in ("z.c", "b.c", "a.c", "c.c", "src/y.c", "src/x.c", "src/deep/w.c")},
        }
    )
    (target,) = workspace.targets
    assert target.files["sources"] == (
        "lib/z.c", Label("", "lib", "gen"), "lib/src/x.c", "lib/src/y.c", "lib/b.c", Label("", "x", "x"),
        Label("lua", "src", "l"), "lib/a.c",
    )  # fmt: skip
    assert target.files["headers"] == target.files["data"] == ()
    assert target.labels["deps"] == (
        Label("", "lib", "b"), Label("", "lib/sub", "c"), Label("", "other", "other"), Label("lua", "", "lua"),
    )  # fmt: skip
    assert workspace.host_path("lib/src/x.c") == f"{workspace.root}/lib/src/x.c"


def test_an_exclusion_never_takes_what_was_named(load):
    (target,) = load(
        {"Builderfile": library("a", 'sources = ["main.c", "*.c", "!m*.c"]'), "main.c": "", "misc.c": "", "x.c": ""}
    ).targets
    assert target.files["sources"] == ("main.c", "x.c")


@pytest.mark.usefixtures("links")
def test_links_inside_the_package_are_sources(load):
    (target,) = load(
        {
            "Builderfile": library("a", 'sources = ["*.c", "inc/a.h"]'),
            "real.c": "",
            "alias.c": "-> real.c",
            "headers/a.h": "",
            "inc": "-> headers",
        }
    ).targets
    assert target.files["sources"] == ("alias.c", "real.c", "inc/a.h")


def test_places_of_attributes_and_elements(load):
    text = library("a", 'sources = ["*.c",', '  ":g"]', 'deps = [":b", "//lib:c"]', 'hermetic.memory = "1G"')
    (target,) = load({"lib/Builderfile": text, "lib/x.c": ""}).targets
    assert target.place() == ("lib/Builderfile", 1, 1)
    assert target.place("sources") == ("lib/Builderfile", 4, 1)
    assert target.place("sources", "//lib:g") == ("lib/Builderfile", 5, 3)
    assert target.place("deps", Label("", "lib", "c")) == ("lib/Builderfile", 6, 15)
    assert target.place("deps", 0) == ("lib/Builderfile", 6, 9)
    assert target.place("deps", "//not:there") == ("lib/Builderfile", 6, 1)
    assert target.place("hermetic.memory") == ("lib/Builderfile", 7, 10)
    assert target.place("flags") == ("lib/Builderfile", 1, 1)
    problem = target.problem("no such thing", "try another", attribute="deps", element=":b")
    assert str(problem) == 'lib/Builderfile:6:9: target "a": no such thing\nhint: try another'


def test_settings_are_merged_from_the_outside_in(load):
    workspace = load(
        {
            "Builderfile": "[hermetic]\nmemory = '2G'\nprocesses = 9\n" + library("a"),
            "lib/Builderfile": "[hermetic]\nmemory = '1G'\ncpu_time = 60\n"
            + library("b", "hermetic = { cpu_time = '2m', network = ['a.org:1'] }")
            + library("c"),
        }
    )
    assert workspace.hermetic == HermeticSettings(memory="2G", processes=9)
    assert workspace.packages["", "lib"].hermetic == HermeticSettings(memory="1G", processes=9, cpu_time=60)
    assert [target.hermetic for target in workspace.targets] == [
        HermeticSettings(memory="2G", processes=9),
        HermeticSettings(memory="1G", processes=9, cpu_time="2m", network=("a.org:1",)),
        HermeticSettings(memory="1G", processes=9, cpu_time=60),
    ]


def test_visibility_is_private_and_a_package_always_sees_its_own(load):
    workspace = load(
        {
            "Builderfile": library("a")
            + library("b", 'visibility = ["//app/..."]')
            + library("c", 'visibility = "public"'),
            "lib/Builderfile": "",
        }
    )
    others = [Label("", "", "x"), Label("", "lib", "x"), Label("", "app/x", "x"), Label("lua", "", "x")]
    seen = [[target.visible_from(other) for other in others] for target in workspace.targets]
    assert seen == [[True, False, False, False], [True, False, True, False], [True, True, True, True]]


@pytest.mark.posix("directories that nobody may read")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads every directory")
def test_a_directory_that_cannot_be_read_is_an_error_with_a_remedy(load, write):
    root = write({"data/secret/": ""})
    os.chmod(f"{root}/data/secret", 0)
    try:
        with pytest.raises(WorkspaceError) as caught:
            load({"Builderfile": ""})
        assert str(caught.value) == (
            "data/secret: the directory cannot be read: permission denied\n"
            "hint: make it readable, or add it to the list ignore in [workspace]"
        )
        load({"Builderfile": '[workspace]\nname = "x"\nignore = ["data/secret"]\n'})
    finally:
        os.chmod(f"{root}/data/secret", 0o755)


def test_ten_thousand_mistakes_in_one_file_are_all_told(mistakes):
    text = "".join(library(f"t{number}", "srcs = []") for number in range(10_000))
    assert mistakes({"Builderfile": text}).count("unknown key") == 10_000


def test_every_directory_is_listed_once_and_no_source_is_looked_at(write, registry, monkeypatch):
    files = {"Builderfile": "[workspace]\nname = 'x'"}
    for number in range(200):
        files |= {f"p{number}/s{index}.c": "" for index in range(5)}
        files[f"p{number}/Builderfile"] = "".join(
            library(f"t{index}", f'sources = ["s{index}.c", "*.c"]', 'deps = [":t0"]') for index in range(1, 5)
        )
    root = write(files)
    calls = []

    def recorded(name, function):
        def call(path, *args, **kwargs):
            if isinstance(path, str) and path.startswith(root):
                calls.append((name, path))
            return function(path, *args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("scandir", "listdir", "stat", "lstat", "readlink", "open"):
            patch.setattr(os, name, recorded(name, getattr(os, name)))
        workspace = load_workspace(root, registry, external=str)
    assert len(workspace.targets) == 800
    directories = [root, *(f"{root}/p{number}" for number in range(200))]
    expected = [("scandir", directory) for directory in directories]
    expected += [("open", f"{directory}/Builderfile") for directory in directories]
    assert sorted(calls) == sorted(expected)
