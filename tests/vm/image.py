"""The guest's kernel and root disk, made of the distribution's packages without any privilege and kept in a cache.

The packages are downloaded by apt-get and only unpacked, never installed. An image is found again, also without a
network, as long as this file and the versions of the Python packages are the same.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
KERNEL_PACKAGE = "linux-image-cloud-amd64"  # NVMe, ext4 and the serial console are built in: it needs no initrd
PACKAGES = (KERNEL_PACKAGE, "bash", "coreutils", "dash", "findutils", "grep", "kmod", "mount", "procps", "sed", "tar")
PACKAGES += ("util-linux",)
TEST_REQUIREMENTS = ("pytest", "pytest-timeout", "hypothesis")
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mke2fs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}
SEARCH_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
FREE_BYTES = 512 << 20
PARTITION_START_BYTES = 1 << 20
DISK_SIGNATURE = 0x626C6472
ROOT = f"PARTUUID={DISK_SIGNATURE:08x}-01"  # names of NVMe disks depend on which answers first
MERGED = ("bin", "lib", "lib64", "sbin")
DIRECTORIES = ("checkout", "dev", "home/user", "proc", "results", "root", "run", "sys", "tmp", "var/tmp")

# Finds the disk with the checkout, unpacks it and goes on with what stands there.
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
while :; do
    for disk in /sys/block/nvme*; do
        read -r serial <"$disk/device/serial"
        if [ "$serial" = checkout ]; then
            tar -xf "/dev/${disk##*/}" -C /checkout
            exec python3 -B -S /checkout/tests/vm/init.py
        fi
    done
    sleep 0.1
done
"""
PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n"
)
GROUP = "root:x:0:\ntty:x:5:\nuser:x:1000:\nnogroup:x:65534:\n"


class UnableError(Exception):
    """The machine cannot make or run the guest; the message says why, and what to do."""


@dataclass(frozen=True)
class Image:
    """What a guest boots from. Never written to again."""

    kernel: Path
    disk: Path
    versions: dict[str, str]


def check_host() -> None:
    """Raises UnableError where a guest cannot run, with the command that helps."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise UnableError(
            f"the virtual machine is an x86_64 one and this is {platform.machine()} {sys.platform}\n"
            "hint: run it on x86_64 Linux; it needs no KVM there"
        )
    missing = {name: package for name, package in PROGRAMS.items() if not shutil.which(name, path=SEARCH_PATH)}
    if {"apt-get", "dpkg-deb"} & set(missing):
        raise UnableError("the guest is made of Debian packages\nhint: run it on Debian (a container will do)")
    if missing:
        raise UnableError(
            f"not installed: {', '.join(missing)}\n"
            f"hint: apt-get install --no-install-recommends {' '.join(sorted(missing.values()))}"
        )


def find_image(cache: Path, *, refresh: bool = False) -> Image:
    """The image, made when it is not there. With `refresh` made again, of the packages' newest versions."""
    requirements = python_requirements()
    recipe = json.dumps([Path(__file__).read_text(), requirements, distribution()])
    place = cache / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    with locked(cache):
        if refresh and place.exists():
            shutil.rmtree(place)
        if not (place / "versions.json").exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="new-") as name:
                make_image(Path(name), cache / "packages", requirements)
                shutil.rmtree(place, ignore_errors=True)
                os.rename(Path(name) / "image", place)
            for other in cache.iterdir():  # of older recipes; a guest that runs from one has it open
                if (other / "versions.json").exists() and other != place:
                    shutil.rmtree(other)
    return Image(place / "vmlinuz", place / "disk", json.loads((place / "versions.json").read_text()))


@contextmanager
def locked(cache: Path):
    """Only one at a time makes an image; the others find it made."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as file:
        flock(file, LOCK_EX)
        yield


def distribution() -> str:
    """The system whose packages apt-get would bring."""
    return " ".join(re.findall(r"^(?:ID|VERSION_ID)=.*", Path("/etc/os-release").read_text(), re.MULTILINE))


def python_requirements() -> list[str]:
    """All that is installed here and needed inside, in this environment's very versions."""
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["dependencies"]
    here = {item.name.lower().replace("_", "-"): item.version for item in importlib.metadata.distributions()}
    names = [re.match(r"[\w.-]+", line).group().lower() for line in (*declared, *TEST_REQUIREMENTS)]
    return [f"{name}=={here[name]}" for name in names if name in here]


def run(*command: object, **options) -> str:
    """What a command prints; UnableError with its complaint when it fails."""
    environment = {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", **options.pop("env", {})}
    options = {"stdin": subprocess.DEVNULL, **options}
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, **options)
    if done.returncode:
        raise UnableError(f"{' '.join(map(str, command[:6]))} ...: exit code {done.returncode}\n{done.stderr.strip()}")
    return done.stdout


def make_image(place: Path, packages: Path, requirements: list[str]) -> None:
    """Make `image/` below a directory of its own."""
    root, image = place / "root", place / "image"
    image.mkdir()
    root.mkdir(mode=0o755)
    print("making the guest's disk (once)", flush=True)
    python, files = download(packages)
    unpack(files, root)
    (kernel,) = root.glob("boot/vmlinuz-*")
    shutil.move(kernel, image / "vmlinuz")
    release = kernel.name.removeprefix("vmlinuz-")
    install_python(root, python, requirements)
    guest(root, "usr/bin/kmod", "-b", root, release, argv0="depmod")
    configure(root)
    write_disk(root, image / "disk")
    versions = {"kernel": release, "python": python}
    versions |= {name: version for name, version, _ in (file.stem.split("_", 2) for file in files)}
    (image / "versions.json").write_text(json.dumps(versions, indent=1))


def download(place: Path) -> tuple[str, list[Path]]:
    """Which Python the guest has, and the packages with all that they depend on: as if nothing were installed here."""
    for name in ("lists/partial", "archives/partial", "none/partial"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "status").write_text("")
    settings = {
        "Dir::State::lists": place / "lists",
        "Dir::State::status": place / "status",
        "Dir::Cache": place,
        "Dir::Cache::archives": place / "archives",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run("apt-get", *options, "-q", "update")
    offered = run("apt-cache", *options, "--names-only", "search", r"^python3\.[0-9]+$").splitlines()
    minors = sorted(int(line.split()[0].partition(".")[2]) for line in offered)
    own = sys.version_info.minor
    if not minors or not run("apt-cache", *options, "--names-only", "search", f"^{KERNEL_PACKAGE}$"):
        raise UnableError(f"apt-get knows no {KERNEL_PACKAGE} here\nhint: it is Debian's; run this on Debian")
    python = f"python3.{own if own in minors else minors[-1]}"
    install = ["apt-get", *options, "-qq", "-y", "--no-install-recommends", "install", python, *PACKAGES]
    unseen = ["-o", f"Dir::Cache::archives={place / 'none'}"]  # it lists only what it would have to download
    wanted = {line.split()[1] for line in run(*install, *unseen, "--print-uris").splitlines()}
    run(*install, "--download-only")
    for old in place.glob("archives/*.deb"):
        if old.name not in wanted:
            old.unlink()
    return python, sorted(place / "archives" / name for name in wanted)


def unpack(files: list[Path], root: Path) -> None:
    """All packages into one tree, whose /bin and /lib are those of /usr, as on a real system."""
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    # Not by `dpkg-deb --extract`, which puts directories in the place of these links.
    tar = ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--directory", str(root)]
    for file in files:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE) as package:
            run(*tar, stdin=package.stdout)
        if package.returncode:
            raise UnableError(f"{file.name} cannot be unpacked\nhint: remove it, it is downloaded again: {file}")


def guest(root: Path, program: str, *arguments: object, argv0: str = "", env: dict[str, str] | None = None) -> None:
    """Run a program of the guest here, by the guest's own loader."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    loader = [libraries / "ld-linux-x86-64.so.2", "--argv0", argv0 or program, "--library-path", libraries]
    run(*loader, root / program, *arguments, env=env or {})


def install_python(root: Path, python: str, requirements: list[str]) -> None:
    """The test environment's packages and the checkout's source roots, for every user; all compiled."""
    packages = root / f"usr/local/lib/{python}/dist-packages"
    version = python.removeprefix("python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    pip += ["--target", packages, "--python-version", version, "--only-binary", ":all:"]
    run(*pip, *requirements)
    roots = [f"/checkout/{name}" for name in ("builder", "platforms", "rules", ".installed")]
    (packages / "bldr-checkout.pth").write_text("\n".join(roots) + "\n")
    for name in ("python", "python3"):
        (root / "usr/bin" / name).unlink(missing_ok=True)
        (root / "usr/bin" / name).symlink_to(python)
    folders = [root / "usr/lib" / python, packages]
    home = {"PYTHONHOME": str(root / "usr"), "PYTHONDONTWRITEBYTECODE": ""}
    guest(root, f"usr/bin/{python}", "-S", "-m", "compileall", "-qq", "-s", root, *folders, env=home)


def configure(root: Path) -> None:
    """The few files and directories that the packages' scripts would have made."""
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in {
        "passwd": PASSWD,
        "group": GROUP,
        "hostname": "guest\n",
        "hosts": "127.0.0.1 localhost\n",
    }.items():
        (root / "etc" / name).write_text(text)
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)


def write_disk(root: Path, disk: Path) -> None:
    """One partition with ext4, so that the kernel finds it by its identifier."""
    used = sum(path.lstat().st_blocks * 512 for path in root.rglob("*"))
    size_kib = (used * 5 // 4 + FREE_BYTES) >> 10
    start = PARTITION_START_BYTES // 512
    with open(disk, "wb") as file:
        file.truncate(PARTITION_START_BYTES + size_kib * 1024)
        file.seek(440)
        file.write(struct.pack("<IH4B4BII", DISK_SIGNATURE, 0, 0, 0, 0, 0, 0x83, 0, 0, 0, start, size_kib * 2))
        file.seek(510)
        file.write(b"\x55\xaa")
    offset = f"offset={PARTITION_START_BYTES},root_owner=0:0"
    run(
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-O",
        "^has_journal",
        "-m",
        0,
        "-E",
        offset,
        "-d",
        root,
        disk,
        f"{size_kib}k",
    )
