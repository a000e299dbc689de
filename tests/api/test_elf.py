"""What programs load, found without running them."""

import os
import shutil
import subprocess

import pytest

from bldr.api.elf import HostFiles, runtime_files, standing
from bldr.api.errors import ToolchainError


@pytest.fixture
def compile(tmp_path):
    """Function: (output name, text, flags) -> path. Skips nothing: a C compiler is a condition of this repository."""

    def build(name, text, *flags):
        source = tmp_path / f"{name.replace('/', '_')}.c"
        source.write_text(text)
        output = tmp_path / name
        output.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", str(source), "-o", str(output), *flags], check=True)
        return str(output)

    return build


def test_the_loader_and_the_libraries_of_libraries_are_found_by_every_way_of_writing_origin(compile, tmp_path):
    compile("lib/libdeep.so", "int deep(void) { return 1; }", "-shared", "-fPIC", "-Wl,-soname,libdeep.so")
    compile(
        "lib/libnear.so", "int deep(void); int near(void) { return deep(); }", "-shared", "-fPIC",
        f"-L{tmp_path}/lib", "-ldeep", "-Wl,-rpath,${ORIGIN}", "-Wl,-soname,libnear.so",
    )  # fmt: skip
    program = compile(
        "bin/program", "int near(void); int main(void) { return near(); }",
        f"-L{tmp_path}/lib", f"-Wl,-rpath-link,{tmp_path}/lib", "-lnear", "-Wl,-rpath,$ORIGIN/../lib",
    )  # fmt: skip
    found = runtime_files([program])
    names = {os.path.basename(path) for path in found.files}
    assert {"program", "libnear.so", "libdeep.so", "libc.so.6"} <= names
    assert any(name.startswith("ld-") for name in names)
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for word in listed.split():
        if word.startswith("/"):
            assert os.path.realpath(word) in found.files


def test_a_static_program_needs_nothing_else(compile):
    program = compile("static", "int main(void) { return 0; }", "-static")
    assert runtime_files([program]) == HostFiles((program,), ())


def test_a_script_needs_its_interpreter(tmp_path):
    script = tmp_path / "script"
    script.write_text("#! /bin/sh -e\n")
    found = runtime_files([str(script)])
    assert str(script) in found.files
    assert os.path.realpath("/bin/sh") in found.files


def test_what_is_neither_is_itself(tmp_path):
    text = tmp_path / "text"
    text.write_text("nothing to load")
    assert runtime_files([str(text)]).files == (str(text),)


def test_a_missing_library_is_named(compile, tmp_path):
    library = compile("gone/libgone.so", "int gone(void) { return 1; }", "-shared", "-fPIC", "-Wl,-soname,libgone.so")
    program = compile("program", "int gone(void); int main(void) { return gone(); }", f"-L{tmp_path}/gone", "-lgone")
    os.unlink(library)
    with pytest.raises(ToolchainError, match=r'program" needs "libgone.so"') as caught:
        runtime_files([program])
    assert "/usr/lib" in caught.value.hint


def test_a_namesake_for_another_machine_is_passed_over(compile, tmp_path):
    """The loader skips a file of another class and looks on."""
    good = compile("good/libx.so", "int x(void) { return 1; }", "-shared", "-fPIC", "-Wl,-soname,libx.so")
    program = compile(
        "program", "int x(void); int main(void) { return x(); }",
        f"-L{tmp_path}/good", "-lx", "-Wl,-rpath,$ORIGIN/bad:$ORIGIN/good",
    )  # fmt: skip
    bad = tmp_path / "bad" / "libx.so"
    bad.parent.mkdir()
    shutil.copy(good, bad)
    image = bytearray(bad.read_bytes())
    image[4] = 1  # EI_CLASS: 32 bits
    bad.write_bytes(image)
    assert good in runtime_files([program]).files
    assert str(bad) not in runtime_files([program]).files


def test_links_are_kept_by_every_name_that_programs_use(tmp_path):
    root = os.path.realpath(tmp_path)
    os.makedirs(f"{root}/real")
    with open(f"{root}/real/libz.so.1.2", "w"):
        pass
    os.symlink("libz.so.1.2", f"{root}/real/libz.so.1")
    os.symlink("libz.so.1", f"{root}/real/libz.so")
    os.symlink("real", f"{root}/lib")
    os.symlink(f"{root}/lib/libz.so", f"{root}/elsewhere.so")
    assert standing([f"{root}/lib/libz.so"]) == HostFiles(
        (f"{root}/real/libz.so.1.2",),
        (
            (f"{root}/lib", "real"),
            (f"{root}/real/libz.so", "libz.so.1.2"),
            (f"{root}/real/libz.so.1", "libz.so.1.2"),
        ),
    )
    assert (f"{root}/elsewhere.so", "real/libz.so.1.2") in standing([f"{root}/elsewhere.so"]).links
