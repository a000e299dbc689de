"""Runs tests of this checkout on a Windows, which is Wine with a real CPython 3.12 and pywin32 in it.

usage: tests/wine/run.py [--limit SECONDS] [--keep] [--python] [ARGUMENTS]

    make test-wine                                        what is meant for it: the paths of PATHS below
    .venv/bin/python tests/wine/run.py tests/store -k blobs            the arguments are pytest's
    .venv/bin/python tests/wine/run.py --python -m bldr doctor         Python itself, with its arguments
    .venv/bin/python tests/wine/run.py --python -c 'import sys; print(sys.platform)'

Needs x86_64 Linux with Debian's wine, wine64 and gcc-mingw-w64-x86-64-posix, and no privileges. The first run makes a
Windows below ~/.cache/bldr-test-wine (a minute); each run gets a copy of its own, so that several may run at once, and
nothing that it starts is alive afterwards. There this checkout is drive W: and the directory that Python starts in;
the sources are in Python's path, also of processes that it starts, with bldr's entry points. Temporary files are on
drive C:, which goes after the run unless --keep says otherwise; drive Z: is the whole of this machine.
"""

import argparse
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import time

from prefix import CHECKOUT, PYTHON_FOLDER, UnableError, Wine, cache_directory, find_prefix, find_wine, lent_prefix

PATHS = ("tests/platforms/windows", "tests/wine", "tests/system", "tests/load", "tests/graph", "tests/store")
LIMIT_S = 1200
PR_SET_PDEATHSIG = 1
TIMED_OUT = 124

# What pytest keeps is out of the checkout, and there for a second try.
OPTIONS = ("-o", r"cache_dir=P:\pytest-cache", "-m", "not windows and not vm and not full")
VARIABLES = {"PYTHONPYCACHEPREFIX": "P:\\", "HYPOTHESIS_STORAGE_DIRECTORY": r"C:\hypothesis", "BLDR_UNDER_WINE": "1"}


def parse(words: list[str]) -> argparse.Namespace:
    """What is not ours is pytest's, or Python's."""
    usage = "tests/wine/run.py [--limit SECONDS] [--keep] [--python] [ARGUMENTS]"
    parser = argparse.ArgumentParser(prog="tests/wine/run.py", usage=usage, allow_abbrev=False)
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="SECONDS", help="end everything after that")
    parser.add_argument("--keep", action="store_true", help="leave the run's Windows, and say where it is")
    parser.add_argument("--python", action="store_true", help="run Python itself rather than pytest")
    first = next((at for at, word in enumerate(words) if word == "--python"), len(words)) + 1
    options, rest = parser.parse_known_args(words[:first])
    options.arguments = rest + words[first:]
    return options


def python_arguments(options: argparse.Namespace) -> list[str]:
    """pytest gets what is meant for Windows where no path is named."""
    if options.python:
        return options.arguments
    has_paths = any((CHECKOUT / word.partition("::")[0]).exists() for word in options.arguments)
    paths = [] if has_paths else [path for path in PATHS if (CHECKOUT / path).exists()]
    arguments = [re.sub(r"^(--junit-?xml=)/", r"\1Z:/", word) for word in options.arguments]
    return ["-m", "pytest", *OPTIONS, *arguments, *paths]


def end_with_parent() -> None:
    """So that a killed run leaves no Windows."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def follow(command: list[str], environment: dict[str, str], limit_s: float) -> int:
    """Run it to its end and show what it prints; its exit code, or that of timeout(1)."""
    deadline = time.monotonic() + limit_s
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # Python under Wine needs one
        stderr=subprocess.STDOUT,
        env=environment,
        preexec_fn=end_with_parent,
    )
    pipe = process.stdout.fileno()
    try:
        while process.poll() is None or select.select([pipe], [], [], 0)[0]:
            # What it leaves running holds the pipe too: its end says nothing of the program's.
            if select.select([pipe], [], [], 0.2)[0]:
                piece = os.read(pipe, 65536)
                if not piece:
                    break
                sys.stdout.buffer.write(piece.replace(b"\r", b""))
                sys.stdout.flush()
            if time.monotonic() > deadline:
                print(f"\nerror: it did not end within {limit_s:g} s", file=sys.stderr)
                return TIMED_OUT
        return process.wait()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def run(options: argparse.Namespace) -> int:
    """The exit code of pytest, or of Python."""
    wine: Wine = find_wine()
    cache = cache_directory()
    began = time.monotonic()
    base = find_prefix(wine, cache)
    with lent_prefix(wine, base, cache, keep=options.keep) as prefix:
        ready_s = time.monotonic() - began
        if not options.python:
            print(f"Windows: {wine.version}, CPython 3.12; ready after {ready_s:.0f} s", flush=True)
        python = f"C:\\{PYTHON_FOLDER}\\python.exe"
        environment = wine.environment(prefix) | VARIABLES
        return follow([wine.loader, python, *python_arguments(options)], environment, options.limit)


def main() -> int:
    """SIGTERM ends it as ^C does: Windows goes first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(parse(sys.argv[1:]))
    except UnableError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
