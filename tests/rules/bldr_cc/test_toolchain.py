"""What is found of this machine's compilers, and when that counts as another toolchain."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from bldr.api import ToolchainError
from bldr_cc.compiler import find_compiler, find_program, script_files
from bldr_cc.toolchain import CcDetector, CcRuntimeDetector

ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


@pytest.fixture(scope="module")
def cc():
    return CcDetector().detect(ENV)


def test_the_parts_of_the_compiler_are_named(cc):
    assert {"cc", "ar", "as", "ld", cc.attributes["cc"]} <= set(cc.executables)
    assert all(os.path.isabs(path) and os.path.realpath(path) == path for path in cc.executables.values())
    assert "/usr/include" in cc.roots
    assert all(os.path.isdir(root) for root in cc.roots)


def test_files_are_real_and_outside_the_roots(cc):
    assert cc.files == tuple(sorted(set(cc.files)))
    for path in cc.files:
        assert os.path.realpath(path) == path
        assert os.path.isfile(path)
        assert not any(path.startswith(f"{root}/") for root in cc.roots)


def test_links_lead_to_what_is_shown(cc):
    shown = set(cc.files)
    for name, target in cc.links:
        real = os.path.normpath(os.path.join(os.path.dirname(name), target))
        assert real in shown or any(real.startswith(f"{root}/") for root in cc.roots), name
        assert not any(name.startswith(f"{root}/") for root in cc.roots), name


def test_nothing_of_a_shown_program_is_missing(cc):
    """As the machine's own loader sees it: an oracle that does not share our code."""
    names = {os.path.normpath(os.path.join("/", name)) for name, _ in cc.links} | set(cc.files)
    for program in cc.executables.values():
        listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        for line in listed.splitlines():
            path = next((word for word in line.split() if word.startswith("/")), None)
            if path is not None:
                real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
                assert real in names, f"{program} loads {path}"


def test_the_runtime_has_what_programs_load_and_no_compiler(cc):
    runtime = CcRuntimeDetector().detect(ENV)
    names = {os.path.basename(path) for path in (*runtime.files, *(name for name, _ in runtime.links))}
    assert {"libc.so.6", "libm.so.6", "libgcc_s.so.1"} <= names
    assert runtime.executables == {}
    assert runtime.roots == ()
    assert set(runtime.files) < set(cc.files)
    assert runtime.identity != cc.identity


def test_what_a_later_look_would_notice(cc):
    assert set(cc.files) <= set(cc.sentinels)
    assert set(cc.roots) <= set(cc.sentinels)
    assert {path for path in ENV["PATH"].split(":") if os.path.isabs(path)} <= set(cc.sentinels)


# A compiler of the test's own: scripts that answer as gcc does.


class Machine:
    """A directory with a bin, a compiler's own directory and headers."""

    def __init__(self, root):
        self.root = root
        self.bin, self.own, self.include = root / "bin", root / "gcc", root / "include"
        for directory in (self.bin, self.own, self.include):
            directory.mkdir()
        (self.include / "stdio.h").write_text("int puts(const char *);\n")
        (self.own / "crtbegin.o").write_bytes(b"\x7fELF object")
        self.program(self.own / "cc1", "exit 0")
        self.compiler("gcc")

    def program(self, path, body):
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def compiler(self, name, version="12"):
        self.program(
            self.bin / name,
            f"""case "$*" in
*-dM*) echo '#define __GNUC__ 12';;
*-dumpversion*) echo {version};;
*-print-search-dirs*) echo "programs: ={self.own}"; echo "libraries: ={self.own}:{self.own}/../gcc";;
*-print-prog-name=cc1*) echo {self.own}/cc1;;
*-print-prog-name*) echo "${{1##*=}}";;
*-v*) printf '#include <...> search starts here:\\n {self.include}\\n /usr/local/include\\nEnd of search list.\\n';;
esac""",
        )

    @property
    def env(self):
        return {"PATH": str(self.bin), "HOME": "/nonexistent"}

    def detect(self, **env):
        return CcDetector().detect({**self.env, **env})


@pytest.fixture
def machine(tmp_path):
    return Machine(Path(os.path.realpath(tmp_path)))


def test_a_made_up_compiler_is_found_with_its_directories(machine):
    toolchain = machine.detect()
    assert toolchain.roots == (str(machine.own), str(machine.include))  # and not /usr/local/include
    assert toolchain.executables == {"gcc": f"{machine.bin}/gcc", "cc": f"{machine.bin}/gcc"}
    assert toolchain.attributes == {
        "compiler": "gcc", "version": "12", "cc": "gcc", "cxx": "", "honours_source_date_epoch": "yes",
    }  # fmt: skip


def test_time_stamps_and_inodes_are_not_part_of_the_identity(machine):
    before = machine.detect().identity
    for path in [machine.include / "stdio.h", machine.own / "cc1", machine.bin / "gcc"]:
        data, mode = path.read_bytes(), path.stat().st_mode
        path.unlink()
        path.write_bytes(data)
        path.chmod(stat.S_IMODE(mode))
        os.utime(path, (1, 1))
    assert machine.detect().identity == before


@pytest.mark.parametrize(
    "change",
    [
        lambda machine: (machine.include / "stdio.h").write_text("int puts(const char *s);\n"),
        lambda machine: (machine.include / "new.h").write_text(""),
        lambda machine: (machine.include / "stdio.h").rename(machine.include / "stdlib.h"),
        lambda machine: machine.program(machine.own / "cc1", "exit 1"),
        lambda machine: (machine.own / "cc1").chmod(0o644),
        lambda machine: machine.compiler("gcc", version="13"),
        lambda machine: (machine.include / "link.h").symlink_to("stdio.h"),
        lambda machine: machine.program(machine.bin / "ar", "exit 0"),
    ],
    ids=["header", "new header", "renamed", "cc1", "mode", "driver", "link", "new program"],
)
def test_another_content_is_another_toolchain(machine, change):
    before = machine.detect().identity
    change(machine)
    assert machine.detect().identity != before


def test_cc_and_cxx_choose(machine):
    for name in ("gcc-13", "g++-13", "special"):
        machine.compiler(name)
    assert machine.detect(CC="gcc-13").attributes["cxx"] == "g++-13"
    assert machine.detect(CC=f"{machine.bin}/gcc-13").attributes["cc"] == "gcc-13"
    assert machine.detect(CC="gcc-13", CXX="special").attributes["cxx"] == "special"
    assert machine.detect(CC="special").attributes["cxx"] == ""


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"CC": "icc"}, 'CC names "icc", which is no program'),
        ({"CC": "gcc -O2"}, "is no program"),
        ({"CXX": "icpc"}, 'CXX names "icpc", which is no program'),
        ({"PATH": "/nonexistent"}, "no C compiler is on the PATH"),
    ],
)
def test_a_compiler_that_is_not_there_is_named(machine, env, message):
    with pytest.raises(ToolchainError, match=message):
        machine.detect(**env)


def test_a_compiler_that_does_not_work_says_what_it_said(machine):
    machine.program(machine.bin / "gcc", "echo 'cc1 is gone' >&2; exit 3")
    with pytest.raises(ToolchainError, match=r"gcc -dM -E -x c /dev/null\" failed: cc1 is gone"):
        find_compiler(machine.env)


def test_compiler_caches_and_what_lies_at_home_are_passed_over(machine, tmp_path):
    front = tmp_path / "front"
    front.mkdir()
    machine.program(front / "ccache", "exit 1")
    (front / "gcc").symlink_to("ccache")
    path = f"{front}:{machine.bin}"
    assert find_program("gcc", {"PATH": path}) == f"{machine.bin}/gcc"
    assert find_program("gcc", {"PATH": f"relative:{path}", "HOME": str(machine.root)}) == ""
    assert find_program("bin/gcc", {"PATH": path}) == ""


def test_the_files_that_a_linker_script_names(machine, tmp_path):
    (machine.own / "libhelp.so.1").write_bytes(b"\x7fELF")
    named = tmp_path / "libnamed.a"
    named.write_bytes(b"!<arch>\n")
    script = tmp_path / "libc.so"
    script.write_text(
        f"/* GNU ld script {named}.not */\nOUTPUT_FORMAT(elf64-x86-64)\n"
        f"GROUP ( {named} AS_NEEDED ( libhelp.so.1 ) -lc /nonexistent/lib.so )\n"
    )
    compiler = find_compiler(machine.env)
    assert script_files(str(script), compiler) == [str(named), f"{machine.own}/libhelp.so.1"]
    assert script_files(str(named), compiler) == []
