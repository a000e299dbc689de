"""Peers: the programs to compare with, found by name; one that is absent is named with what to do to have it.

`python bench/peers.py` lists them, `python bench/peers.py --install` installs what can be (`make bench-peers`).
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

from measure import Contender, Sample, Skipped

_VERSION = re.compile(r"\d+(\.\d+){1,2}")


class Peer(NamedTuple):
    """A program: where it comes from (`apt` and `pip` are names of packages), and the words that print its version."""

    program: str
    apt: str = ""
    pip: str = ""
    version: tuple[str, ...] = ("--version",)

    @property
    def install(self) -> str:
        """What a person types to have it."""
        ways = [f"apt-get install {self.apt}"] * bool(self.apt) + [f"pip install {self.pip}"] * bool(self.pip)
        return f"make bench-peers, or {', or '.join(ways)}" if ways else "build it from source: nobody packages it"


PEERS = (
    Peer("ninja", "ninja-build", "ninja"),
    Peer("make", "make"),
    Peer("tup", "tup fuse3"),
    Peer("doit", pip="doit"),
    Peer("scons", pip="scons"),
    Peer("bazel", "bazel-bootstrap"),
    Peer("bwrap", "bubblewrap"),
    Peer("nsjail", version=()),
    Peer("firejail", "firejail"),
    Peer("unshare", "util-linux"),
    Peer("strace", "strace"),
)


def own_directory() -> str:
    """Where the benchmark keeps what is not worth making anew every time: peers from PyPI, built graphs."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("BLDR_BENCH_DIR") or os.path.join(home, "bldr-bench")


def find(program: str) -> str:
    """The path of a program, "" where it is not there. What was installed for the benchmark goes first."""
    places = [os.path.join(own_directory(), "peers", "bin"), os.path.dirname(sys.executable)]
    return shutil.which(program, path=os.pathsep.join([*places, os.environ.get("PATH", os.defpath)])) or ""


def contender(
    name: str, program: str, run: Callable[[str], Sample], prepare: Callable[[], object] = lambda: None
) -> Contender | Skipped:
    """Somebody who needs `program`, whose path `run` is given."""
    path = find(program)
    return Contender(name, lambda: run(path), prepare) if path else absent(name, program)


def absent(name: str, program: str) -> Skipped:
    """A contender whose program is not here."""
    return Skipped(name, next(peer.install for peer in PEERS if peer.program == program))


def bldr() -> str:
    """The command that belongs to the interpreter that runs us."""
    path = os.path.join(os.path.dirname(sys.executable), "bldr")
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing: run `make bench`, which installs it")
    return path


def versions() -> list[str]:
    """`ninja 1.11.1` and so on, of those that are here."""
    return [f"{peer.program} {version_of(peer)}".rstrip() for peer in PEERS if find(peer.program)]


def version_of(peer: Peer) -> str:
    """What looks most like a version in what the program prints, or else in what Debian knows of its package."""
    asked = [[find(peer.program), *peer.version]]
    if peer.apt and shutil.which("dpkg-query"):
        asked.append(["dpkg-query", "--show", "--showformat=${Version}", *peer.apt.split()[:1]])
    for argv in asked:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd="/", check=False)
        found = _VERSION.search(f"{done.stdout} {done.stderr}")
        if found:
            return found[0]
    return ""


def _install() -> int:
    """Debian's packages as root, PyPI's into an environment of their own: beside ours they would slow our start."""
    failed = []
    wanted = [peer for peer in PEERS if not find(peer.program)]
    packages = [package for peer in wanted for package in peer.apt.split()]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=env, check=False)
        for package in packages:  # one by one: a distribution that lacks one has the others
            argv = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", package]
            subprocess.run(argv, env=env, check=False)
    place = os.path.join(own_directory(), "peers")
    modules = [peer.pip for peer in PEERS if peer.pip and not os.path.exists(os.path.join(place, "bin", peer.program))]
    if modules:
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        argv = [os.path.join(place, "bin", "python"), "-m", "pip", "install", "--quiet", *modules]
        if subprocess.run(argv, check=False).returncode:
            failed.append("pip")
    return 1 if failed else 0


def main() -> int:
    """List, or install and list."""
    code = _install() if "--install" in sys.argv[1:] else 0
    for peer in PEERS:
        path = find(peer.program)
        print(
            f"{peer.program:<9} {version_of(peer):<18} {path}" if path else f"{peer.program:<9} absent: {peer.install}"
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
