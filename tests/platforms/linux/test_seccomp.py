"""The system call filter, judged by an interpreter of our own for every call and both machines."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from bldr_linux import seccomp

ALLOW, EPERM, ENOSYS, EAFNOSUPPORT, EBUSY, NOTIFY = 0x7FFF0000, 0x50001, 0x50026, 0x50061, 0x50010, 0x7FC00000
NEWEST = 469  # file_setattr, of Linux 6.17
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
NATIVE = {"x86_64": X86_64, "aarch64": AARCH64}
FOREIGN = {"x86_64": I386, "aarch64": ARM}
machines = pytest.mark.parametrize("machine", seccomp.MACHINES)


def verdict(machine, number, *arguments, architecture=None, on_violation="deny"):
    """Run the filter as the kernel does."""
    return run(machine, number, *arguments, architecture=architecture, on_violation=on_violation)[0]


def run(machine, number, *arguments, architecture=None, on_violation="deny", program=None):
    """(verdict, instructions that it took); an index error where a jump leads out of the program."""
    words = {0: number, 4: NATIVE[machine] if architecture is None else architecture}
    for index, argument in enumerate(arguments):
        words[16 + 8 * index] = argument & 0xFFFFFFFF
        words[20 + 8 * index] = argument >> 32
    program = program or seccomp.program(machine, on_violation)
    accumulator, at, steps = 0, 0, 0
    while True:
        steps += 1
        code, if_true, if_false = int.from_bytes(program[at : at + 2], "little"), program[at + 2], program[at + 3]
        value = int.from_bytes(program[at + 4 : at + 8], "little")
        at += 8
        if code == 0x20:
            accumulator = words.get(value, 0)
        elif code == 0x06:
            return value, steps
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: accumulator & value}[code]
            at += 8 * (if_true if holds else if_false)


@machines
def test_the_listed_calls_are_denied_and_no_others(machine):
    denied, special = seccomp.denied(machine), seccomp.special(machine)
    by_verdict = {EPERM: set(), ENOSYS: set(), EAFNOSUPPORT: set(), ALLOW: set()}
    for number in range(NEWEST + 1):
        by_verdict[verdict(machine, number, 1, 0)].add(number)
    absent = {425, 426, 427, 435}
    of_others = special.pop("prlimit64")  # whose first argument is a process
    assert by_verdict[ENOSYS] == absent
    assert by_verdict[EPERM] == {*denied.values(), of_others} - absent
    assert by_verdict[EAFNOSUPPORT] == set()
    assert set(special.values()) <= by_verdict[ALLOW]


@machines
def test_calls_that_nobody_has_judged_do_not_exist(machine):
    """What a newer kernel adds: programs fall back as they would on this one, and results do not depend on it."""
    for number in (*range(NEWEST + 1, 700), 0x3FFFFFFF):
        assert verdict(machine, number) == verdict(machine, number, on_violation="kill") == ENOSYS


@machines
def test_to_kill_changes_what_was_forbidden_and_nothing_else(machine):
    numbers = seccomp.special(machine)
    calls = [(number, 1, 0) for number in range(NEWEST + 10) if number != numbers["prlimit64"]]
    calls += [(numbers["clone"], 0x10000011), (numbers["unshare"], 0x80), (numbers["unshare"], 0x20000)]
    calls += [(numbers["ioctl"], 0, 0x5412), (numbers["ioctl"], 0, 1 << 32 | 0x541C), (numbers["socket"], 40)]
    for call in calls:
        harmless = verdict(machine, *call)
        assert verdict(machine, *call, on_violation="kill") == (NOTIFY if harmless == EPERM else harmless)
    for architecture_call in (20, 310, 288):
        assert verdict(machine, architecture_call, architecture=FOREIGN[machine], on_violation="kill") == ENOSYS


@machines
def test_no_other_listener_is_asked(machine):
    """A filter that comes later would otherwise answer in place of ours."""
    number = seccomp.special(machine)["seccomp"]
    for flags in (8, 9, 1 << 5 | 8, 1 << 32 | 8):
        assert verdict(machine, number, 1, flags, on_violation="kill") == EBUSY
        assert verdict(machine, number, 1, flags) == ALLOW
    assert verdict(machine, number, 1, 0, on_violation="kill") == ALLOW


@machines
def test_forbidden_calls_have_names(machine):
    numbers = seccomp.special(machine)
    for call, number in seccomp.denied(machine).items():
        expected = call if verdict(machine, number) == EPERM else f"number {number}"
        assert seccomp.name(machine, number, (0,) * 6) == expected
    assert seccomp.name(machine, numbers["ioctl"], (0, 0xFF << 32 | 0x5412, 0, 0, 0, 0)) == "ioctl(TIOCSTI)"
    assert seccomp.name(machine, numbers["ioctl"], (0, 0x541C, 0, 0, 0, 0)) == "ioctl(TIOCLINUX)"
    assert seccomp.name(machine, numbers["clone"], (0x10000011, 0, 0, 0, 0, 0)) == "clone(CLONE_NEWUSER)"
    both = "unshare(CLONE_NEWNS|CLONE_NEWUSER)"
    assert seccomp.name(machine, numbers["unshare"], (0x10020000, 0, 0, 0, 0, 0)) == both


@machines
def test_calls_of_other_architectures_do_not_exist(machine):
    for number in (0, 20, 39, 310, 425):
        assert verdict(machine, number, architecture=FOREIGN[machine]) == ENOSYS
    assert verdict("x86_64", 0x40000000 | 39) == ENOSYS


@machines
def test_new_namespaces(machine):
    numbers = seccomp.special(machine)
    flags = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]
    for flag in flags:
        for extra in (0, 17, 1 << 32, 0xFFFF << 48):
            assert verdict(machine, numbers["clone"], flag | extra) == EPERM
            assert verdict(machine, numbers["unshare"], flag | extra) == EPERM
    threads = 0x3D0F00
    assert verdict(machine, numbers["clone"], threads) == ALLOW
    assert verdict(machine, numbers["clone"], 0x4111) == ALLOW  # vfork
    assert verdict(machine, numbers["unshare"], 0x400) == ALLOW
    assert verdict(machine, numbers["unshare"], 0x80) == EPERM


@machines
def test_terminal_input_also_with_high_bits(machine):
    number = seccomp.special(machine)["ioctl"]
    for request in (0x5412, 0x541C):
        for high in (0, 1, 0x80000000, 0xFFFFFFFF):
            assert verdict(machine, number, 0, high << 32 | request) == EPERM
    for request in (0x5401, 0x5413, 0x541B):
        assert verdict(machine, number, 0, request) == ALLOW


@machines
def test_socket_families(machine):
    for name in ("socket", "socketpair"):
        number = seccomp.special(machine)[name]
        allowed = {family for family in range(64) if verdict(machine, number, family) == ALLOW}
        assert allowed == {1, 2, 10, 16}
        assert verdict(machine, number, 40 | 1 << 32) == EAFNOSUPPORT


@machines
def test_without_sockets_there_are_pairs_only(machine):
    numbers, program = seccomp.special(machine), seccomp.without_sockets(machine)
    for family in (1, 2, 10, 16, 40):
        assert run(machine, numbers["socket"], family, program=program)[0] == EAFNOSUPPORT
    others = [number for number in range(NEWEST) if number != numbers["socket"]]
    assert {run(machine, number, 1, program=program)[0] for number in others} == {ALLOW}


def test_numbers_are_those_of_this_machine_s_headers(tmp_path):
    machine = os.uname().machine
    calls = {**seccomp.denied(machine), **seccomp.special(machine)}
    lines = "".join(f"#ifdef __NR_{name}\n{name} __NR_{name}\n#endif\n" for name in calls)
    (tmp_path / "numbers.c").write_text(f"#include <sys/syscall.h>\n{lines}")
    try:
        found = subprocess.run(["gcc", "-E", "-P", tmp_path / "numbers.c"], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("there is no gcc to ask for the headers")
    known = {name: int(number) for name, number in re.findall(r"^(\w+) (\d+)$", found.stdout, re.MULTILINE)}
    assert len(known) > 40
    assert {name: calls[name] for name in known} == known


def test_numbers_of_aarch64_are_the_generic_ones():
    header = Path("/usr/include/asm-generic/unistd.h")
    if not header.exists():
        pytest.skip("there is no <asm-generic/unistd.h>")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)\b", header.read_text()))
    calls = {**seccomp.denied("aarch64"), **seccomp.special("aarch64")}
    compared = {name: number for name, number in calls.items() if name in known}
    assert len(compared) > 40
    assert compared == {name: int(known[name]) for name in compared}


@machines
def test_the_filter_is_short_for_every_call(machine):
    """The kernel runs it once for each of its calls whenever it is installed: it must not be a list."""
    assert max(run(machine, number, 0, 0)[1] for number in range(NEWEST + 10)) < 20
    assert len(seccomp.program(machine)) // 8 < 110


def test_a_machine_that_nobody_wrote_down_has_no_filter():
    with pytest.raises(KeyError):
        seccomp.program("riscv64")


@machines
@pytest.mark.parametrize("on_violation", ["deny", "kill"])
def test_limits_of_other_processes(machine, on_violation):
    number = seccomp.special(machine)["prlimit64"]
    assert verdict(machine, number, 0, 7, on_violation=on_violation) == ALLOW
    for pid in (1, 2, 0x80000000):
        assert verdict(machine, number, pid, 7, on_violation=on_violation) == EPERM
