"""The words of `bldr doctor`."""

from bldr.api.sandbox import GUARANTEES, Level, Probe, Shortfall
from bldr.inspection import DoctorReport, ToolchainReport
from bldr.report.doctor import CacheSize, as_text, is_complete, measure, sandbox_lines

FULL = Probe(
    "linux", True, {**dict.fromkeys(GUARANTEES, Level.KERNEL), "wall-time": Level.SUPERVISED, "cpu": Level.KERNEL}
)
PARTIAL = Probe(
    "plain",
    True,
    {"env": Level.SUPERVISED},
    (
        Shortfall("network", "nothing is isolated", "use another system"),
        Shortfall("pids", "nothing is isolated", "use another system"),
        Shortfall("", "this platform is for development", ""),
    ),
)
UNUSABLE = Probe(
    "jail", False, {}, (Shortfall("", "user namespaces are off", "sysctl kernel.unprivileged_userns_clone=1"),)
)


def test_the_sandbox_of_another_system_says_so_in_two_lines():
    missing = tuple(Shortfall(name, "it is a part of macOS", "use another one") for name in GUARANTEES)
    lines = sandbox_lines(Probe("macos", False, {}, missing, foreign=True))
    assert lines == ["sandbox macos: is another system's", "  it is a part of macOS"]


def test_what_is_enough_for_hermetic():
    assert is_complete(FULL)
    assert not is_complete(PARTIAL)
    assert not is_complete(Probe("linux", False, FULL.isolation))


def test_the_report_for_people():
    report = DoctorReport(
        probes=(FULL, PARTIAL, UNUSABLE),
        toolchains=(
            ToolchainReport(name="cc", found=True, description="cc=gcc", version="12", identity="0123456789abcdef"),
            ToolchainReport(name="zig", found=True, description="zig", identity="ab" * 32, pinned="ziglang"),
            ToolchainReport(name="shell", found=True, description="word " * 40),
            ToolchainReport(name="rust", found=False, description="no rustc", hint="install rustc"),
            ToolchainReport(name="go", found=False, description="not fetched", hint="fetch", pinned="golang"),
        ),
        cache_dir="/cache",
        problems=("plugin x: broken",),
    )
    assert (
        as_text(report, CacheSize(3, 2048))
        == """\
tiers of isolation, the strongest first
  -> linux     is what builds get, with --hermetic too
     plain     works here, and gives less
     jail      does not work here: user namespaces are off

sandbox linux: gives every guarantee of --hermetic
  guarantees  by the kernel       fs-read fs-write paths network pids ipc hostname env users devices
                                  syscalls privileges
  guarantees  by supervision      wall-time
  limits      by the kernel       cpu
  limits      not enforced        memory processes output disk file-size log memory-high cpu-share
                                  io

sandbox plain: no --hermetic, for 12 of 13 guarantees cannot be given
  guarantees  by supervision      env
  guarantees  not enforced        fs-read fs-write paths network pids ipc hostname users devices
                                  syscalls privileges wall-time
  limits      not enforced        memory cpu processes output disk file-size log memory-high
                                  cpu-share io
  network, pids: nothing is isolated
      hint: use another system
  this platform is for development

sandbox jail: does not work on this machine
  guarantees  not enforced        fs-read fs-write paths network pids ipc hostname env users devices
                                  syscalls privileges wall-time
  limits      not enforced        memory cpu processes output disk file-size log memory-high
                                  cpu-share io
  user namespaces are off
      hint: sysctl kernel.unprivileged_userns_clone=1

toolchains
  cc          12, detected, 0123456789ab: cc=gcc
  zig         pinned to @ziglang, abababababab: zig
  shell       detected: word word word word word word word word word word word word word word word word word word ...
  rust        not found: no rustc
      hint: install rustc
  go          pinned, not found: not fetched
      hint: fetch

cache
  /cache: 2.0 KiB in 3 files

problems
  plugin x: broken
"""
    )


def test_measuring_follows_no_links_and_forgives_what_is_gone(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b").write_bytes(b"x" * 10)
    (tmp_path / "loop").symlink_to(tmp_path)
    link = (tmp_path / "loop").lstat().st_size
    assert measure(str(tmp_path)) == CacheSize(3, 110 + link)
    assert measure(str(tmp_path / "none")) == CacheSize(0, 0)
