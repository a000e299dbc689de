"""TinyCC as it is on Windows: what it consists of, and the words of PE for what handlers want."""

import pytest

from bldr.api import CcInfo, TargetError, Toolchain, ToolchainError
from bldr_cc.handler import CcHandler
from bldr_cc.tinycc import find_tinycc


class TinyCc:
    """A directory with all that belongs to it."""

    def __init__(self, home):
        self.home = home
        for name in ("include/winapi/windows.h", "lib/libtcc1.a", "libtcc.dll"):
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        self.program("tcc", "echo 0.9.28")

    def program(self, name, body):
        (self.home / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.home / name).chmod(0o755)

    def find(self, **env):
        return find_tinycc("cc", {"PATH": str(self.home), **env})


@pytest.fixture
def tinycc(tmp_path):
    return TinyCc(tmp_path / "tcc")


def test_it_is_the_directory_of_its_program(tinycc):
    found = tinycc.find()
    assert found.executables == {"tcc": f"{tinycc.home}/tcc"}
    assert found.files == (f"{tinycc.home}/tcc", f"{tinycc.home}/libtcc.dll")
    assert found.roots == (f"{tinycc.home}/include", f"{tinycc.home}/lib")
    assert found.attributes == {
        "compiler": "tcc",
        "version": "0.9.28",
        "cc": "tcc",
        "cxx": "",
        "honours_source_date_epoch": "no",
        "format": "pe",
    }
    assert {str(tinycc.home), f"{tinycc.home}/include/winapi"} <= set(found.sentinels)


@pytest.mark.parametrize("name", ["include/winapi/windows.h", "lib/libtcc1.a", "libtcc.dll", "tcc"])
def test_another_content_of_any_part_is_another_toolchain(tinycc, name):
    before = tinycc.find().identity
    with open(tinycc.home / name, "a") as file:
        file.write("\n# more\n")
    assert tinycc.find().identity != before


def test_cc_names_another_one(tinycc, tmp_path):
    other = TinyCc(tmp_path / "other")
    assert tinycc.find(CC=f"{other.home}/tcc").executables == {"tcc": f"{other.home}/tcc"}
    tinycc.program("x86_64-win32-tcc", "echo 0.9.28")
    assert tinycc.find(CC="x86_64-win32-tcc").executables == {"tcc": f"{tinycc.home}/x86_64-win32-tcc"}


@pytest.mark.parametrize("named", ["gcc", "./tcc", "sub/tcc", "/nowhere/tcc"])
def test_what_is_none_is_refused(tinycc, named):
    tinycc.program("gcc", "echo 12")
    with pytest.raises(ToolchainError, match=f'CC names "{named}"'):
        tinycc.find(CC=named)


def test_without_one_the_hint_says_what_is_known(tmp_path):
    with pytest.raises(ToolchainError, match="no C compiler is on the PATH") as caught:
        find_tinycc("cc", {"PATH": str(tmp_path)})
    assert "gcc and clang are not known" in caught.value.hint


def test_half_of_one_is_refused(tinycc):
    (tinycc.home / "lib").rename(tinycc.home / "elsewhere")
    with pytest.raises(ToolchainError, match="no whole TinyCC"):
        tinycc.find()


def test_one_that_does_not_run_is_refused(tinycc):
    tinycc.program("tcc", "exit 3")
    with pytest.raises(ToolchainError, match="exit code 3"):
        tinycc.find()


# Command lines

PE = Toolchain(
    name="cc",
    executables={"tcc": "C:/tcc/tcc.exe"},
    attributes={"compiler": "tcc", "version": "0.9.28", "cc": "tcc", "cxx": "", "format": "pe"},
)


@pytest.fixture
def analyze(analyze_with):
    def analyze(label, table, **given):
        return analyze_with(CcHandler(), label, {"language": "c", **table}, toolchain=PE, **given)

    return analyze


def test_objects_are_made_without_words_that_it_does_not_know_and_without_notes_for_debuggers(analyze):
    program = analyze(
        "//app:hello", {"type": "executable", "flags": ["-g3", "-Wall"]}, files={"sources": ["app/main.c"]}
    )
    assert program.commands == (
        "tcc -I app -I . -Wall -MD -MF app/hello.objects/main.c.o.d -c app/main.c -o app/hello.objects/main.c.o",
        "tcc -o app/hello app/hello.objects/main.c.o",
    )


def test_cpp_is_refused(analyze):
    with pytest.raises(TargetError, match=r"no compiler for C\+\+") as caught:
        analyze("//:a", {"type": "executable"}, files={"sources": ["a.cpp"]})
    assert "for C alone" in caught.value.hint


def test_it_is_the_archiver_and_gets_the_whole_list(analyze):
    library = analyze("//:a", {"type": "library"}, files={"sources": [f"{'x' * 200}{n}.c" for n in range(200)]})
    archive = library.actions[-1]
    assert archive.argv[:4] == ("tcc", "-ar", "rcs", "liba.a")
    assert (len(archive.argv), archive.files) == (204, ())


def test_shared_libraries_export_all(analyze):
    shared = analyze("//so:words", {"type": "library", "linkage": "shared"}, files={"sources": ["so/words.c"]})
    assert shared.commands[-1] == "tcc -shared -rdynamic -o so/libwords.dll so/words.objects/words.c.o"
    assert [artifact.path for artifact in shared.get(CcInfo).shared_libraries] == ["so/libwords.dll"]


def test_a_program_over_a_shared_library_is_refused(analyze):
    shared = analyze("//so:words", {"type": "library", "linkage": "shared"}, files={"sources": ["so/words.c"]})
    with pytest.raises(TargetError, match="would not find"):
        analyze("//app:a", {"type": "executable"}, files={"sources": ["app/a.c"]}, deps={"deps": [shared.as_dep()]})


def test_what_is_too_long_for_windows_is_in_a_parameter_file_as_it_reads_them(analyze):
    names = [f"{'x' * 200}{n}.o" for n in range(80)]
    program = analyze("//:p", {"type": "executable"}, files={"sources": ["with space.o", *names]})
    assert program.commands[-1] == "tcc -o p @p.params"
    ((path, content),) = program.actions[-1].files
    assert (path, content.splitlines()[:2]) == ("p.params", ['"with space.o"', f'"{names[0]}"'])
