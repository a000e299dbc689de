"""Compilers of a Mac, on a made-up one: shims that ask xcrun, an SDK, and Mach-O's words for linkers."""

import os
from pathlib import Path

import pytest

from bldr.api import CcInfo, Toolchain, ToolchainError
from bldr_cc.compiler import find_compiler
from bldr_cc.handler import CcHandler
from bldr_cc.toolchain import CcDetector, CcRuntimeDetector

XCRUN = """case "$*" in
*--show-sdk-path*) echo {sdk};;
"--find "*) [ -x {tools}/$2 ] && echo {tools}/$2 || {{ echo "xcrun: error: unable to find utility $2" >&2; exit 72; }};;
esac"""
CLANG = """[ "$SDKROOT" ] || case "$*" in *-v*) exit 1;; esac
case "$*" in
*-dM*) echo '#define __clang__ 1'; echo '#define __APPLE__ 1';;
*-dumpversion*) echo 15.0.0;;
*-print-search-dirs*) echo "programs: ={tools}"; echo "libraries: ={resources}";;
*-print-prog-name*) echo "${{1##*=}}";;
*-print-resource-dir*) echo {resources};;
*-v*) printf '#include <...> search starts here:\\n /usr/local/include\\n {resources}/include\\n'
      printf ' %s/usr/include\\n' "$SDKROOT"
      printf ' %s/System/Library/Frameworks (framework directory)\\nEnd of search list.\\n' "$SDKROOT";;
esac"""


class Mac:
    """A `bin` of shims, Command Line Tools and an SDK."""

    def __init__(self, root):
        self.bin, developer = root / "bin", root / "CommandLineTools"
        self.tools, self.resources = developer / "usr/bin", developer / "usr/lib/clang/15.0.0"
        self.sdk = developer / "SDKs/MacOSX14.5.sdk"
        for path in (self.bin, self.tools, self.resources / "include", self.sdk / "usr/include"):
            path.mkdir(parents=True)
        (self.sdk / "System/Library/Frameworks/CoreFoundation.framework/Headers").mkdir(parents=True)
        (self.sdk / "usr/include/stdio.h").write_text("int puts(const char *);\n")
        (self.sdk / "SDKSettings.json").write_text("{}")
        (developer / "SDKs/MacOSX.sdk").symlink_to("MacOSX14.5.sdk")
        words = {"sdk": developer / "SDKs/MacOSX.sdk", "tools": self.tools, "resources": self.resources}
        self.program(self.bin / "xcrun", XCRUN.format(**words))
        for name in ("clang", "clang++"):
            self.program(self.tools / name, CLANG.format(**words))
        for name in ("ar", "ld", "libtool", "nm"):
            self.program(self.tools / name, "exit 0")
        for name in ("gcc", "cc", "clang", "clang++", "ar", "objdump"):
            self.program(self.bin / name, "echo a shim was run >&2; exit 1")

    def program(self, path, body):
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def env(self, **more):
        return {"PATH": str(self.bin), "HOME": "/nonexistent", **more}


@pytest.fixture
def mac(tmp_path):
    return Mac(Path(os.path.realpath(tmp_path)))


def test_programs_are_those_behind_the_shims(mac):
    toolchain = CcDetector().detect(mac.env())
    assert toolchain.executables == {
        name: f"{mac.tools}/{program}"
        for name, program in {
            "cc": "clang", "clang": "clang", "c++": "clang++", "clang++": "clang++",
            "ar": "ar", "ld": "ld", "libtool": "libtool", "nm": "nm",
        }.items()
    }  # fmt: skip
    assert toolchain.attributes == {
        "compiler": "clang",
        "version": "15.0.0",
        "cc": "clang",
        "cxx": "clang++",
        "honours_source_date_epoch": "no",
        "format": "mach-o",
    }


def test_the_sdk_and_the_compiler_s_own_headers_are_roots(mac):
    toolchain = CcDetector().detect(mac.env())
    assert toolchain.roots == (str(mac.sdk), str(mac.resources))
    assert toolchain.env == {"SDKROOT": str(mac.sdk), "ZERO_AR_DATE": "1"}


def test_the_identity_is_that_of_the_content_of_tools_and_sdk(mac):
    before = CcDetector().detect(mac.env()).identity
    assert CcDetector().detect(mac.env()).identity == before
    (mac.sdk / "usr/include/stdio.h").write_text("int puts(const char *s);\n")
    changed = CcDetector().detect(mac.env()).identity
    mac.program(mac.tools / "ld", "exit 1")
    assert len({before, changed, CcDetector().detect(mac.env()).identity}) == 3


def test_of_an_sdk_a_later_look_asks_for_its_own_names_only(mac):
    sentinels = CcDetector().detect(mac.env()).sentinels
    below = [path for path in sentinels if path.startswith(f"{mac.sdk}/")]
    assert below == [f"{mac.sdk}/SDKSettings.json"]
    assert {str(mac.sdk), str(mac.sdk.parent), str(mac.resources), str(mac.bin)} <= set(sentinels)


def test_a_compiler_of_somebody_s_own_is_no_shim(mac, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    mac.program(own / "clang", (mac.tools / "clang").read_text().partition("\n")[2])
    compiler = find_compiler(mac.env(CC=f"{own}/clang"))
    assert (compiler.cc, compiler.sdk) == (f"{own}/clang", str(mac.sdk))


def test_what_xcrun_says_is_told(mac):
    mac.program(mac.bin / "xcrun", "echo 'xcrun: error: invalid active developer path' >&2; exit 1")
    with pytest.raises(ToolchainError, match="invalid active developer path") as caught:
        CcDetector().detect(mac.env())
    assert "xcode-select --install" in caught.value.hint


def test_the_runtime_is_the_system(mac, monkeypatch, tmp_path):
    version = tmp_path / "SystemVersion.plist"
    version.write_text("14.5")
    monkeypatch.setattr("bldr_cc.detection.SYSTEM_VERSION", str(version))
    before = CcRuntimeDetector().detect(mac.env())
    assert before.files == (str(version),)
    version.write_text("14.6")
    assert CcRuntimeDetector().detect(mac.env()).identity != before.identity


# Command lines

MACHO = Toolchain(
    name="cc",
    executables={"clang": "/c/clang", "clang++": "/c/clang++", "ar": "/c/ar"},
    attributes={"compiler": "clang", "version": "15", "cc": "clang", "cxx": "clang++", "format": "mach-o"},
)


@pytest.fixture
def analyze(analyze_with):
    def analyze(label, table, **given):
        return analyze_with(CcHandler(), label, {"language": "c", **table}, toolchain=MACHO, **given)

    return analyze


def test_libraries_have_the_names_and_places_that_dyld_knows(analyze):
    shared = analyze("//so:words", {"type": "library", "linkage": "shared"}, files={"sources": ["so/words.c"]})
    assert shared.commands[-1] == (
        "clang -dynamiclib -Wl,-install_name,@rpath/libwords.dylib -o so/libwords.dylib so/words.objects/words.c.o"
    )
    assert [artifact.path for artifact in shared.get(CcInfo).shared_libraries] == ["so/libwords.dylib"]
    program = analyze(
        "//app:hello", {"type": "executable"}, files={"sources": ["app/main.c"]}, deps={"deps": [shared.as_dep()]}
    )
    assert program.commands[-1] == (
        "clang -Wl,-rpath,@loader_path/../so -o app/hello app/hello.objects/main.c.o so/libwords.dylib"
        " -Wl,-dead_strip_dylibs"
    )


def test_archives_are_made_without_words_that_apple_s_archiver_does_not_know(analyze):
    library = analyze("//:a", {"type": "library"}, files={"sources": [f"{'x' * 200}{n}.c" for n in range(200)]})
    archive = library.actions[-1]
    assert archive.argv[:3] == ("ar", "rcs", "liba.a")
    assert len(archive.argv) == 203
    assert archive.files == ()
