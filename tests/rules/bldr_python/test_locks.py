"""Lock files of Python: which wheels are chosen, what becomes of them, and what is refused."""

import fnmatch

import pytest

from bldr.api import LockError, LockFile, Platform
from bldr_python.locks import PylockFormat

HASH = "0" * 64
LINUX = Platform("linux", "x86_64")


def lock_of(*packages, python="3.11", platform=LINUX, path="third-party/pylock.toml", **options):
    text = 'lock-version = "1.0"\ncreated-by = "test"\n' + "\n".join(packages)
    return LockFile(text=text, platform=platform, options={"python": python, **options}, path=path)


def package(name, *wheels, more="", version="1.0"):
    text = f'[[packages]]\nname = "{name}"\nversion = "{version}"\n{more}\n'
    for number, wheel in enumerate(wheels):
        where = f'path = "{wheel}"' if "/" in wheel else f'url = "https://example.org/{wheel}"'
        text += f'[[packages.wheels]]\n{where}\nhashes = {{ sha256 = "{number:064}" }}\n'
    return text


class Tree:
    """A tree as a dictionary."""

    def __init__(self, files):
        self._files = files

    def read(self, path):
        return self._files[path].encode()

    def names(self, directory=""):
        top = f"{directory}/" if directory else ""
        below = [path[len(top) :] for path in self._files if path.startswith(top)]
        return tuple(sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below}))


def wheel(name, *files, needs=(), scripts="", tags=("py3-none-any",)):
    info = f"{name}/{name}-1.0.dist-info"
    headers = "".join(f"Requires-Dist: {need}\n" for need in needs)
    made = {f"{name}/{file}": "#!python\n" if file.endswith("old.py") else "" for file in files}
    made[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{headers}\nRequires-Dist: no\n"
    made[f"{info}/WHEEL"] = "Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags)
    if scripts:
        made[f"{info}/entry_points.txt"] = scripts
    return made


def targets(*wheels, **options):
    files = {path: text for made in wheels for path, text in made.items()}
    names = tuple(name.rstrip("/") for name in Tree(files).names())
    text = "\n".join(package(name, f"{name}-1.0-py3-none-any.whl") for name in names)
    lock = lock_of(text, **options)
    return PylockFormat().builderfile(PylockFormat().read(lock), Tree(files), lock)["target"]


ANY, OLD, NEW, OTHER = (
    "a-1.0-py3-none-any.whl",
    "a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "a-1.0-cp311-cp311-manylinux_2_34_x86_64.whl",
    "a-1.0-cp311-cp311-macosx_11_0_arm64.whl",
)


@pytest.mark.parametrize(
    ("wheels", "options", "chosen"),
    [
        ([ANY, OLD, NEW, OTHER], {}, OLD),
        ([ANY, OLD, NEW, OTHER], {"glibc": "2.36"}, NEW),
        ([ANY, OLD], {"python": "3.12"}, ANY),
        ([ANY, OTHER], {"platform": Platform("macos", "aarch64")}, OTHER),
        ([ANY, OLD], {"platform": Platform("linux", "aarch64")}, ANY),
    ],
)
def test_the_best_wheel_for_python_and_platform(wheels, options, chosen):
    (locked,) = PylockFormat().read(lock_of(package("a", *wheels), **options))
    assert locked.urls == (f"https://example.org/{chosen}",)
    assert locked.digest == f"sha256:{wheels.index(chosen):064}"
    assert (locked.name, locked.path, locked.pypi) == ("a 1.0", "a", "a==1.0")


def test_a_wheel_beside_the_lock_file():
    (locked,) = PylockFormat().read(lock_of(package("a", "../wheels/a-1.0-py3-none-any.whl")))
    assert (locked.urls, locked.pypi) == (("file:wheels/a-1.0-py3-none-any.whl",), "")


def test_markers_extras_and_groups_choose_packages():
    packages = [
        package("win", "win-1.0-py3-none-any.whl", more="marker = \"sys_platform == 'win32'\""),
        package("old", "old-1.0-py3-none-any.whl", more="marker = \"python_version < '3.11'\""),
        package("extra", "extra-1.0-py3-none-any.whl", more="marker = \"'more' in extras\""),
        package("dev", "dev-1.0-py3-none-any.whl", more="marker = \"'dev' in dependency_groups\""),
    ]

    def names(**options):
        return [locked.path for locked in PylockFormat().read(lock_of(*packages, **options))]

    assert names() == []
    assert names(python="3.10") == ["old"]
    assert names(platform=Platform("windows", "x86_64")) == ["win"]
    assert names(extras="more", groups="dev") == ["extra", "dev"]


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        (LockFile(text="", platform=LINUX), "it is not said for which Python wheels are chosen"),
        (lock_of(python="three"), 'the option python is "three", which is no version'),
        (lock_of(abi="cp311"), 'unknown option "abi"'),
        (LockFile(text="x =", platform=LINUX, options={"python": "3.11"}), "it is no TOML: *"),
        (LockFile(text="x = 1", platform=LINUX, options={"python": "3.11"}),
         "missing required value in 'lock-version'"),
        (lock_of(package("a", OTHER)), "no wheel found matching the provided tags for package 'a' at packages[[]0], *"),
        (lock_of(package("a", more=f'sdist = {{ url = "https://x/a-1.0.tar.gz", hashes = {{ sha256 = "{HASH}" }} }}')),
         "a 1.0 has no wheel that fits"),
    ],
)  # fmt: skip
def test_what_is_refused(lock, message):
    with pytest.raises(LockError) as refused:
        PylockFormat().read(lock)
    assert fnmatch.fnmatchcase(refused.value.message, message), refused.value.message
    assert refused.value.hint


def test_each_wheel_is_a_library_with_the_deps_of_its_metadata():
    made = targets(
        wheel("app", "app/__init__.py", "app/[x] y.txt", needs=["dep[fast]>=1", 'win ; sys_platform == "win32"']),
        wheel("dep", "dep.py", needs=['speed ; extra == "fast"', 'more ; extra == "other"']),
        wheel("speed", "speed.so", "speed-1.0.data/purelib/speedy.py", tags=["cp311-cp311-manylinux_2_17_x86_64"]),
    )
    assert made["app"] == {
        "type": "library",
        "language": "python",
        "imports": ["app"],
        "sources": ["app/app/__init__.py"],
        "data": ["app/app-1.0.dist-info/METADATA", "app/app-1.0.dist-info/WHEEL", "app/app/[[]x] y.txt"],
        "deps": [":dep"],
        "check": False,
        "visibility": "public",
    }
    assert made["dep"]["deps"] == [":speed"]
    assert made["speed"]["imports"] == ["speed", "speed/speed-1.0.data/purelib"]
    assert made["speed"]["requires"] == "3.11"


def test_console_scripts_are_programs():
    made = targets(wheel("app", "app.py", scripts="[console_scripts]\nApp-run = app:main [extra]\n[other]\nx = y:z\n"))
    assert made["bin/App-run"]["entry_point"] == "app:main"
    assert made["bin/App-run"]["deps"] == [":app"]
    assert set(made) == {"app", "bin/App-run"}


def test_programs_that_are_none_of_python_stand_near_their_data():
    top = "app-1.0.data"
    made = targets(wheel("app", "app.py", f"{top}/scripts/tool", f"{top}/scripts/old.py", f"{top}/data/include/x.h"))
    assert made["bin/tool"]["type"] == "command" and made["bin/tool"]["executable"]
    assert made["bin/tool"]["sources"] == [f"app/{top}/scripts/tool"]
    assert made["bin/tool"]["data"] == [f"app/{top}/data/include/x.h"]
    assert set(made) == {"app", "bin/tool"}


def test_what_is_missing_in_the_lock_file_is_said():
    with pytest.raises(LockError, match="app needs dep>=2, which the lock file does not have"):
        targets(wheel("app", "app.py", needs=["dep>=2"]))
    with pytest.raises(LockError, match="app: what was locked is no wheel"):
        targets({"app/setup.py": ""})
