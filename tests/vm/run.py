"""Boots the guest, shows its console, and ends as the tests inside did.

usage: tests/vm/run.py [--results DIRECTORY] [--suite NAME] [--limit SECONDS] [--refresh] [PYTEST ARGUMENTS]
"""

import argparse
import ctypes
import importlib.metadata
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from image import CHECKOUT, ROOT, SEARCH_PATH, Image, UnableError, check_host, find_image
from suites import SUITES

SENT = ("builder", "platforms", "rules", "tests", "examples", "pyproject.toml", "README.md", "SECURITY.md")
NOT_SENT = ("__pycache__", "bldr-out", ".pytest_cache", ".hypothesis")
LIMIT_S = 720
MEMORY_MIB = 1536
RESULTS_BYTES = 64 << 20
SHOWN_LINES = 40  # of a guest that broke
PR_SET_PDEATHSIG = 1


class BrokenGuestError(Exception):
    """The guest did not come to its end."""


def parse(words: list[str]) -> argparse.Namespace:
    """What is not ours is pytest's."""
    parser = argparse.ArgumentParser(prog="tests/vm/run.py", description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--results", type=Path, metavar="DIRECTORY", help="where JUnit files and the kernel's log go")
    parser.add_argument(
        "--suite", dest="suites", action="append", choices=[suite.name for suite in SUITES], help="only this one"
    )
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="SECONDS", help="kill the guest after that")
    parser.add_argument("--refresh", action="store_true", help="make the image again, of the newest packages")
    options, options.arguments = parser.parse_known_args(words)
    return options


def cache_directory() -> Path:
    """Where images are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bldr-test-vm"


def pack_checkout(file: Path, request: dict) -> None:
    """What the guest runs: sources and tests as they are now, bldr's metadata, and what is asked of it."""
    own = importlib.metadata.distribution("bldr")
    installed = {
        f"bldr-{own.version}.dist-info/{name}": own.read_text(name) for name in ("METADATA", "entry_points.txt")
    }
    texts = {f".installed/{name}": text for name, text in installed.items()} | {"request.json": json.dumps(request)}

    def sent(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return None if Path(entry.name).name in NOT_SENT else entry

    with tarfile.open(file, "w") as archive:
        for name in SENT:
            archive.add(CHECKOUT / name, name, filter=sent)
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            entry.mtime = int(time.time())
            archive.addfile(entry, io.BytesIO(text.encode()))


def qemu_command(image: Image, checkout: Path, results: Path) -> list[str]:
    """Emulated throughout: the proof is the same with and without KVM."""
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    # Without `monitor=off` an idle processor spins.
    command += ["-accel", "tcg,thread=multi", "-cpu", "max,monitor=off,la57=off", "-smp", "2", "-m", str(MEMORY_MIB)]
    command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    for name, file, options in (
        ("root", image.disk, "snapshot=on"),
        ("checkout", checkout, ""),
        ("results", results, ""),
    ):
        words = [
            f"id={name}",
            "if=none",
            "format=raw",
            f"file={str(file).replace(',', ',,')}",
            *filter(None, [options]),
        ]
        command += ["-drive", ",".join(words), "-device", f"nvme,drive={name},serial={name}"]
    kernel = f"console=ttyS0 loglevel=3 root={ROOT} rootwait rw init=/init panic=-1 mitigations=off"
    return [*command, "-kernel", str(image.kernel), "-append", kernel]


def end_with_parent() -> None:
    """So that a killed run leaves no guest."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def boot(command: list[str], scratch: Path, limit_s: float) -> None:
    """Run the guest to its end and show its console. BrokenGuestError when it takes too long, panics or qemu fails."""
    deadline = time.monotonic() + limit_s
    lines: deque[bytes] = deque(maxlen=SHOWN_LINES)
    panic = rest = b""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": SEARCH_PATH, "TMPDIR": str(scratch)},  # where qemu keeps what the guest writes
        preexec_fn=end_with_parent,
    )
    try:
        while True:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                last = b"\n".join([*lines, rest]).decode(errors="replace")
                raise BrokenGuestError(f"the guest did not end within {limit_s:g} s; its last lines:\n{last}")
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            piece = piece.replace(b"\r\n", b"\n")
            sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            *whole, rest = (rest + piece).split(b"\n")
            lines.extend(whole)
            panic = panic or next((line for line in whole if b"Kernel panic" in line), b"")
        if code := process.wait():
            raise BrokenGuestError(f"qemu ended with {code}")
        if panic:
            raise BrokenGuestError(f"the guest's kernel gave up: {panic.decode(errors='replace')}")
    finally:
        process.kill()
        process.wait()


def read_results(disk: Path, scratch: Path) -> Path:
    """Unpack what the guest wrote before it went off. BrokenGuestError when there is nothing."""
    results = scratch / "results"
    results.mkdir()
    with suppress(tarfile.TarError), tarfile.open(disk, "r:") as archive:
        for entry in archive:
            if entry.isfile():
                (results / Path(entry.name).name).write_bytes(archive.extractfile(entry).read())
    if not (results / "exit-codes.json").exists():
        raise BrokenGuestError("the guest ended without results: see its console above")
    return results


def run(options: argparse.Namespace) -> int:
    """pytest's exit code: the first that is not 0."""
    check_host()
    began = time.monotonic()
    image = find_image(cache_directory(), refresh=options.refresh)
    made_s = time.monotonic() - began
    versions = image.versions
    print(
        f"guest: Linux {versions['kernel']}, {versions['python']}, emulated; image ready after {made_s:.0f} s",
        flush=True,
    )
    request = {
        "suites": options.suites or [suite.name for suite in SUITES],
        "arguments": options.arguments,
        "has_paths": any((CHECKOUT / word.partition("::")[0]).exists() for word in options.arguments),
    }
    with tempfile.TemporaryDirectory(prefix="bldr-test-vm.") as name:
        scratch = Path(name)
        checkout, disk = scratch / "checkout", scratch / "disk"
        pack_checkout(checkout, request)
        with open(disk, "wb") as file:
            file.truncate(RESULTS_BYTES)
        boot(qemu_command(image, checkout, disk), scratch, options.limit)
        results = read_results(disk, scratch)
        exit_codes = json.loads((results / "exit-codes.json").read_text())
        if options.results:
            options.results.mkdir(parents=True, exist_ok=True)
            for file in results.iterdir():
                shutil.copy(file, options.results)
    told = ", ".join(f"{suite} {'ok' if code == 0 else f'FAILED with {code}'}" for suite, code in exit_codes.items())
    print(f"guest: {told}; {time.monotonic() - began:.0f} s", flush=True)
    return next((code for code in exit_codes.values() if code), 0)


def main() -> int:
    """SIGTERM ends it as ^C does: the guest goes first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(parse(sys.argv[1:]))
    except (UnableError, BrokenGuestError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
