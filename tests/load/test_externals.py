"""Outside sources: their tables, and packages that are read only when somebody asks for them."""

import pytest

from bldr.api import Label, WorkspaceError

SHA256 = "d8022641b9ec8ecf2c5ecbe9f47e5a70e0b87c4b5ae921b92cb02a638e0acd08"
LUA = f'[external.lua]\nsha256 = "{SHA256}"\n'
LIBRARY = '[target.{name}]\ntype = "library"\nlanguage = "c"\n{rest}\n'


def test_a_source_as_fetching_gets_it(load):
    text = LUA.upper().replace("EXTERNAL.LUA", "external.lua").replace("SHA256", "sha256")
    text += 'pypi = "lupa==2.8"\nstrip_prefix = "lupa-2.8/third-party/lua54/"\nbuilderfile = "third_party/lua.toml"\n'
    text += f'[external."zlib-1.3"]\nsha256 = "{SHA256}"\nurl = "https://zlib.net/zlib.tar.gz"\n'
    lua, zlib = load({"Builderfile": text, "third_party/lua.toml": ""}).externals.values()
    assert (lua.name, lua.sha256, lua.url, lua.pypi) == ("lua", SHA256, None, "lupa==2.8")
    assert (lua.strip_prefix, lua.builderfile) == ("lupa-2.8/third-party/lua54", "third_party/lua.toml")
    assert lua.position == ("Builderfile", 1, 1)
    assert (zlib.name, zlib.url, zlib.pypi, zlib.builderfile) == ("zlib-1.3", "https://zlib.net/zlib.tar.gz", None, "")


@pytest.mark.parametrize("url", ["https://a.org/x.tar.gz?y=1", "file:///tmp/x.tar", "file:../x.tar"])
def test_addresses(load, url):
    assert load({"Builderfile": f'{LUA}url = "{url}"\n'}).externals["lua"].url == url


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('url = "http://a.org/x"', '3:7: external "lua": "http://a.org/x" is no address that bldr fetches from\n'
         'hint: write "https://a.org/x"'),
        ('url = "git@a.org:x"', '3:7: external "lua": "git@a.org:x" is no address that bldr fetches from\n'
         "hint: write https://host/path or file:path"),
        ('pypi = "lupa>=2"', '3:8: external "lua": "lupa>=2" is no pinned package\nhint: write pypi = "name==version"'),
        ('pypi = "lupa==2"\nurl = "file:x"', '3:1: external "lua": "url" and "pypi" are both given\n'
         "hint: keep one of the two"),
        ("", '1:1: external "lua": none of "url", "pypi" and "lock" is given\n'
         'hint: write url = "https://...", pypi = "name==version" or lock = "Cargo.lock"'),
        ("url = 3", '3:7: external "lua": "url" must be a string, not an integer'),
        ('url = "file:x"\nstrip_prefix = "../x"', '4:16: external "lua": "../x" is not a normal relative path\n'
         'hint: write it without "..", "." or "//"'),
        ('url = "file:x"\nbuilderfile = "/x"', '4:15: external "lua": "/x" is not a normal relative path\n'
         'hint: write it without "..", "." or "//"'),
        ('url = "file:x"\nbuilderfile = "lau.toml"', '1:1: external "lua": no Builderfile "lau.toml"\n'
         'hint: did you mean "lua.toml"?'),
        ('url = "file:x"\nbuilderfile = "sub/lau.toml"', '1:1: external "lua": no Builderfile "sub/lau.toml"\n'
         'hint: did you mean "sub/lua.toml"?'),
        ('url = "file:x"\nprefix = "x"', '4:1: external "lua": unknown key "prefix"\n'
         'hint: did you mean "strip_prefix"?'),
    ],
)  # fmt: skip
def test_words(mistakes, lines, expected):
    files = {"Builderfile": f"{LUA}{lines}\n", "lua.toml": "", "sub/lua.toml": ""}
    assert mistakes(files) == f"Builderfile:{expected}"


def test_all_mistakes_of_all_tables_are_told(mistakes):
    text = '[external."a b"]\nsha256 = "12"\nurl = "x"\n[external.b]\nurl = "file:x"\n[external]\nc = 1\n'
    assert mistakes({"Builderfile": text}) == (
        'Builderfile:1:1: external "a b": the name of an external source is made of letters, digits and _ . -\n'
        'Builderfile:2:10: external "a b": "sha256" must be 64 hexadecimal digits\nhint: sha256sum prints them\n'
        'Builderfile:3:7: external "a b": "x" is no address that bldr fetches from\n'
        "hint: write https://host/path or file:path\n"
        'Builderfile:4:1: external "b": "sha256" is missing\nhint: it is a string\n'
        'Builderfile:7:5: external "c": must be a table, not an integer'
    )


def test_a_directory_in_its_place_is_an_error(mistakes):
    assert mistakes({"Builderfile": f'{LUA}url = "file:x"\n', "external/lua/x": ""}) == (
        'Builderfile:1:1: external "lua": its files would stand at "external/lua", which the workspace has as well\n'
        "hint: rename one of the two"
    )


def test_an_overlay_stands_for_all_builderfiles_of_the_tree(load, write):
    files = {"lapi.c": "", "src/lua.c": "", "src/Builderfile": "no TOML", "Builderfile": "none either"}
    tree = write(files, "unpacked")
    asked = []

    def fetch(source):
        asked.append(source.name)
        return tree

    rest = 'sources = ["*.c", "src/**/*.c", ":x", "//src:y"]\nvisibility = ["//src"]'
    overlay = LIBRARY.format(name="lua", rest=rest)
    workspace = load(
        {
            "Builderfile": f'{LUA}url = "file:x"\nbuilderfile = "lua.toml"\n[hermetic]\nmemory = "1G"\n',
            "lua.toml": overlay,
        },
        fetch,
    )
    assert not asked
    assert workspace.targets == ()
    target = workspace.target(Label("lua", "", "lua"))
    assert target is not None
    assert asked == ["lua"]
    assert target.files["sources"] == (
        "external/lua/lapi.c", "external/lua/src/lua.c", Label("lua", "", "x"), Label("lua", "src", "y"),
    )  # fmt: skip
    assert workspace.host_path("external/lua/src/lua.c") == f"{tree}/src/lua.c"
    assert workspace.host_path("external/other/x") == f"{workspace.root}/external/other/x"
    assert target.place() == ("lua.toml", 1, 1)
    assert target.hermetic.memory == "1G"
    assert target.visible_from(Label("lua", "src", "z"))
    assert not target.visible_from(Label("", "src", "z"))
    assert workspace.target(Label("lua", "", "none")) is None
    assert workspace.target(Label("lua", "src", "none")) is None
    assert workspace.targets == ()
    assert asked == ["lua"]
    assert workspace.files_read == ["Builderfile", "lua.toml"]
    assert workspace.directories_read == [""]


def test_without_an_overlay_the_tree_brings_its_packages(load, write):
    tree = write(
        {
            "Builderfile": '[workspace]\nname = "upstream"\n' + LIBRARY.format(name="a", rest='sources = ["a.c"]'),
            "src/Builderfile": LIBRARY.format(name="b", rest='sources = ["*.c"]\ndeps = ["//:a", "@other//:x"]'),
            "src/b.c": "",
            "a.c": "",
        },
        "unpacked",
    )
    workspace = load({"Builderfile": f'{LUA}url = "file:x"\n'}, lambda source: tree)
    target = workspace.target(Label("lua", "src", "b"))
    assert target is not None
    assert target.files["sources"] == ("external/lua/src/b.c",)
    assert target.labels["deps"] == (Label("lua", "", "a"), Label("other", "", "x"))
    assert target.package.builderfile == "external/lua/src/Builderfile"
    assert workspace.target(Label("lua", "", "a")) is workspace.packages["lua", ""].targets[0]


def test_mistakes_in_an_external_source_are_told_when_it_is_read(load, write):
    tree = write({"a.c": ""}, "unpacked")
    overlay = "[workspace]\n" + LIBRARY.format(name="lua", rest='sources = ["../a.c", "b.c"]')
    files = {"Builderfile": f'{LUA}url = "file:x"\nbuilderfile = "lua.toml"\n', "lua.toml": overlay}
    workspace = load(files, lambda source: tree)
    with pytest.raises(WorkspaceError) as caught:
        workspace.target(Label("lua", "", "lua"))
    assert str(caught.value) == (
        "lua.toml:1:1: [workspace] belongs into the Builderfile at the root of the workspace\nhint: remove it\n"
        'lua.toml:5:12: target "lua": the source "../a.c" is outside the package\n'
        'hint: put a Builderfile there and name its target: "//package:name"\n'
        'lua.toml:5:22: target "lua": no source "b.c"\nhint: did you mean "a.c"?'
    )


def test_a_tree_without_a_builderfile_needs_an_overlay(load, write):
    tree = write({"a.c": ""}, "unpacked")
    workspace = load({"Builderfile": f'{LUA}url = "file:x"\n'}, lambda source: tree)
    with pytest.raises(WorkspaceError) as caught:
        workspace.target(Label("lua", "", "lua"))
    assert str(caught.value) == (
        'Builderfile:1:1: external "lua" holds no Builderfile\n'
        'hint: write one for it, and builderfile = "its/path" in this table'
    )


@pytest.mark.usefixtures("links")
def test_links_out_of_an_unpacked_tree_are_refused(load, write):
    tree = write({"a.c": "-> /etc/passwd"}, "unpacked")
    overlay = LIBRARY.format(name="lua", rest='sources = ["a.c"]')
    files = {"Builderfile": f'{LUA}url = "file:x"\nbuilderfile = "lua.toml"\n', "lua.toml": overlay}
    with pytest.raises(WorkspaceError, match="is a link that leaves the package"):
        load(files, lambda source: tree).target(Label("lua", "", "lua"))
