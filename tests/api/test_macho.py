"""What programs of macOS load, read from files that are made here as <mach-o/loader.h> says."""

import os
import struct

import pytest

from bldr.api.elf import runtime_files
from bldr.api.errors import ToolchainError
from bldr.api.macho import SYSTEM_VERSION, closure, is_macho

DYLIB, WEAK, REEXPORT, RPATH, UUID = 0xC, 0x80000018, 0x8000001F, 0x8000001C, 0x1B


def command(kind, text="", offset=24):
    """A load command that names `text`; those of libraries have versions before it."""
    body = text.encode() + b"\0"
    size = (offset + len(body) + 7) // 8 * 8
    return struct.pack("<3I", kind, size, offset).ljust(offset, b"\0") + body.ljust(size - offset, b"\0")


def image(*commands, bits=64):
    data = b"".join(commands)
    magic = 0xFEEDFACF if bits == 64 else 0xFEEDFACE
    head = struct.pack("<7I", magic, 0x0100000C, 0, 2, len(commands), len(data), 0)
    return head + (b"\0" * 4 if bits == 64 else b"") + data


def universal(*images, wide=False):
    layout, magic = (">2I2Q2I", 0xCAFEBABF) if wide else (">5I", 0xCAFEBABE)
    offset, table, body = 4096, b"", b""
    for one in images:
        entry = (0, 0, offset + len(body), len(one), 12, 0)
        table += struct.pack(layout, *(entry if wide else entry[:5]))
        body += one
    return (struct.pack(">2I", magic, len(images)) + table).ljust(offset, b"\0") + body


@pytest.fixture
def mac(tmp_path):
    """Function: (path, image) -> path, below a directory that stands for a place of tools."""
    top = os.path.realpath(tmp_path)

    def write(name, content=b""):
        path = f"{top}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content or image())
        return path

    write.top = top
    return write


def names(mac, program, **more):
    return sorted(path.removeprefix(f"{mac.top}/") for path in closure(program, **more))


def test_libraries_are_found_by_every_way_of_writing_where(mac):
    mac("lib/libdeep.dylib")
    mac("lib/libown.dylib", image(command(DYLIB, "@loader_path/libdeep.dylib")))
    mac("lib/libpath.dylib")
    mac("Frameworks/Some.framework/Versions/A/Some")
    program = mac(
        "bin/tool",
        image(
            command(UUID),
            command(RPATH, "@executable_path/../lib/", 12),
            command(DYLIB, "@rpath/libpath.dylib"),
            command(DYLIB, f"{mac.top}/lib/libown.dylib"),
            command(REEXPORT, "@loader_path/../Frameworks/Some.framework/Versions/A/Some"),
        ),
    )
    assert names(mac, program) == [
        "Frameworks/Some.framework/Versions/A/Some",
        "bin/tool",
        "lib/libdeep.dylib",
        "lib/libown.dylib",
        "lib/libpath.dylib",
    ]


def test_search_paths_are_those_of_all_that_led_there(mac):
    mac("lib/liba.dylib", image(command(DYLIB, "@rpath/libb.dylib")))
    mac("lib/libb.dylib")
    program = mac("bin/tool", image(command(RPATH, "@loader_path/../lib", 12), command(DYLIB, "@rpath/liba.dylib")))
    assert names(mac, program) == ["bin/tool", "lib/liba.dylib", "lib/libb.dylib"]


def test_for_the_system_s_own_libraries_stands_its_version(mac):
    libraries = (
        command(DYLIB, "/usr/lib/libSystem.B.dylib"),
        command(DYLIB, "/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation"),
        command(RPATH, "/usr/lib/swift", 12),
        command(DYLIB, "@rpath/libswiftCore.dylib"),
    )
    program = mac("bin/tool", image(*libraries))
    assert closure(program, lambda path: path == SYSTEM_VERSION) == {program, SYSTEM_VERSION}
    assert closure(program, lambda path: False) == {program}


def test_every_architecture_counts(mac):
    for name in ("liba", "libb"):
        mac(f"bin/{name}.dylib")
    one, other = (image(command(DYLIB, f"@loader_path/{name}.dylib")) for name in ("liba", "libb"))
    for wide in (False, True):
        program = mac("bin/tool", universal(one, b"\xfe\xed\xfa\xce old" + b"\0" * 40, other, wide=wide))
        assert names(mac, program) == ["bin/liba.dylib", "bin/libb.dylib", "bin/tool"]
    program = mac("bin/small", image(command(DYLIB, "@loader_path/liba.dylib"), bits=32))
    assert names(mac, program) == ["bin/liba.dylib", "bin/small"]


def test_a_weak_library_may_be_missing_and_another_one_may_not(mac):
    program = mac("bin/tool", image(command(WEAK, "@rpath/none.dylib")))
    assert names(mac, program) == ["bin/tool"]
    program = mac("bin/tool", image(command(RPATH, "/opt/lib", 12), command(DYLIB, "@rpath/none.dylib")))
    with pytest.raises(ToolchainError, match="@rpath/none") as caught:
        closure(program)
    assert "/opt/lib" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        image(command(DYLIB, "/a"))[:40],
        image(struct.pack("<2I", DYLIB, 4)),
        image(struct.pack("<2I", DYLIB, 4000)),
        universal(image())[:20],
        struct.pack("<7I", 0xFEEDFACF, 0, 0, 2, 1 << 30, 8, 0) + b"\0" * 12,
    ],
)
def test_a_damaged_file_is_an_error(mac, content):
    with pytest.raises(ToolchainError, match="is damaged"):
        closure(mac("bin/tool", content))


def test_classes_of_java_begin_with_the_same_bytes():
    assert not is_macho(b"\xca\xfe\xba\xbe\0\0\0\x34")
    assert is_macho(b"\xca\xfe\xba\xbe\0\0\0\x02")
    assert not is_macho(b"\x7fELF\2\1\1\0")
    assert not is_macho(b"\xca\xfe")


def test_detectors_get_them_by_the_function_that_they_ask(mac):
    mac("lib/libreal.1.dylib")
    os.symlink("libreal.1.dylib", f"{mac.top}/lib/libreal.dylib")
    program = mac("bin/tool", image(command(DYLIB, "@loader_path/../lib/libreal.dylib")))
    script = mac("bin/script", b"#!" + program.encode() + b" -x\n")
    found = runtime_files([script])
    assert set(found.files) == {script, program, f"{mac.top}/lib/libreal.1.dylib"}
    assert (f"{mac.top}/lib/libreal.dylib", "libreal.1.dylib") in found.links
