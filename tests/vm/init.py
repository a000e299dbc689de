"""The guest's first process: makes the system that the tests need, runs them, hands the results out and powers off."""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import termios
import time
import traceback
from contextlib import suppress
from pathlib import Path

from suites import ALL, SUITES, USER_ID, Suite

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = Path("/results")
GROUPS = Path("/sys/fs/cgroup")
MOUNTS = (
    ("tmpfs", "/tmp", "mode=1777"),
    ("tmpfs", "/run", "mode=755"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("devpts", "/dev/pts", "mode=620,gid=5,ptmxmode=666"),
    ("mqueue", "/dev/mqueue", ""),
    ("cgroup2", str(GROUPS), ""),
)
RB_POWER_OFF = 0x4321FEDC
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
PATIENCE_S = 5  # for processes that are already dying when pytest ends
LEFTOVERS = 100  # exit code of a suite that left processes or groups behind


def say(message: str) -> None:
    """A line that the host can tell from pytest's."""
    print(f"guest: {message}", flush=True)


def mount_all() -> None:
    """The file systems and links in /dev that no package brings; / and what is below it belong to root."""
    libc = ctypes.CDLL(None, use_errno=True)
    for kind, path, options in MOUNTS:
        os.makedirs(path, exist_ok=True)
        if libc.mount(kind.encode(), path.encode(), kind.encode(), 0, options.encode() or None):
            raise OSError(ctypes.get_errno(), f"cannot mount {kind}", path)
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(f"/proc/self/{target}", f"/dev/{name}")
    if os.stat("/usr").st_uid != 0:  # the image was made by an ordinary user
        subprocess.run(["chown", "-Rh", "0:0", "/bin", "/boot", "/checkout", "/etc", "/usr", "/var"], check=True)
    os.chmod("/var/tmp", 0o1777)
    os.chmod(RESULTS, 0o1777)
    for path in ("/home/user", "/run/user", f"/run/user/{USER_ID}"):
        os.makedirs(path, exist_ok=True)
    for path in ("/home/user", f"/run/user/{USER_ID}"):
        os.chown(path, USER_ID, USER_ID)
        os.chmod(path, 0o700)


def raise_loopback() -> None:
    """As every system does it at its start."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(probe, SIOCGIFFLAGS, request))
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def write(path: Path, text: str) -> None:
    """By one system call, whose error is not lost."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def make_group(suite: Suite) -> Path:
    """The suite's group; all above it hand their controllers down, those of the user belong to it."""
    group = GROUPS
    for name in suite.group.split("/"):
        inherited = (group / "cgroup.controllers").read_text().split()
        wanted = [item for item in (suite.controllers if group != GROUPS else ALL) if item in inherited]
        write(group / "cgroup.subtree_control", " ".join(f"+{item}" for item in wanted))
        group = group / name
        group.mkdir(exist_ok=True)
        if suite.delegated and group.relative_to(GROUPS).is_relative_to(suite.delegated):
            for path in (group, *(group / f"cgroup.{file}" for file in ("procs", "subtree_control", "threads"))):
                os.chown(path, suite.user_id, suite.user_id)
    return group


def start(suite: Suite, group: Path, arguments: list[str]) -> int:
    """pytest as the suite's user and in its group. Its process id."""
    process_id = os.fork()
    if process_id:
        return process_id
    try:
        home, user = ("/root", "root") if suite.user_id == 0 else ("/home/user", "user")
        environment = {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin", "HOME": home, "USER": user, "LOGNAME": user}
        environment |= {"LANG": "C.UTF-8", "COLUMNS": "120", "BLDR_VM_SUITE": suite.name}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DEBUG_TEMPROOT": "/var/tmp"}  # on the disk
        if suite.user_id:
            environment["XDG_RUNTIME_DIR"] = f"/run/user/{suite.user_id}"
        write(group / "cgroup.procs", "0")
        os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.setgroups([])
        os.setgid(suite.user_id)
        os.setuid(suite.user_id)
        os.chdir(CHECKOUT)
        os.execve("/usr/bin/python3", ["python3", "-m", "pytest", *arguments], environment)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(127)


def wait(process_id: int) -> int:
    """The exit code of one child, while orphans are reaped."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == process_id:
            return os.waitstatus_to_exitcode(status)


def reap() -> None:
    """Orphans that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def leftovers(top: Path, known: set[Path]) -> list[str]:
    """What is still in or below groups that should be empty: groups that were not there before, and processes."""
    reap()
    found = [path for path in (top, *top.rglob("*")) if path.is_dir()]
    left = [f"group {path}" for path in found if path not in known]
    for path in found:
        try:
            for process_id in (path / "cgroup.procs").read_text().split():
                command = Path(f"/proc/{process_id}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                left.append(f"process {process_id} {command}")
        except OSError:  # it went away meanwhile
            continue
    return left


def run_suite(suite: Suite, arguments: list[str]) -> int:
    """pytest's exit code, or LEFTOVERS."""
    group = make_group(suite)
    top = GROUPS / (suite.delegated or suite.group)
    known = {top, *top.rglob("*")}
    say(f"suite {suite.name} begins")
    began = time.monotonic()
    common = ["--junitxml", str(RESULTS / f"vm.{suite.name}.xml"), "-p", "no:cacheprovider", "--color=no", "-m", ""]
    exit_code = wait(start(suite, group, [*common, *arguments]))
    deadline = time.monotonic() + PATIENCE_S
    while (left := leftovers(top, known)) and time.monotonic() < deadline:
        time.sleep(0.1)
    write(top / "cgroup.kill", "1")
    for line in left:
        say(f"suite {suite.name} left behind: {line}")
    say(f"suite {suite.name} ends with {exit_code} after {time.monotonic() - began:.0f} s")
    return exit_code or (LEFTOVERS if left else 0)


def hand_out(exit_codes: dict[str, int]) -> None:
    """The results as an archive on the disk that the host reads when the guest is off."""
    (RESULTS / "exit-codes.json").write_text(json.dumps(exit_codes))
    with open(RESULTS / "kernel.log", "wb") as log:
        subprocess.run(["dmesg"], stdout=log, check=True)
    (disk,) = (path for path in Path("/sys/block").glob("nvme*") if "results" in (path / "device/serial").read_text())
    subprocess.run(["tar", "-C", "/", "-cf", f"/dev/{disk.name}", "results"], check=True)
    os.sync()


def main() -> None:
    """Everything in order; the host takes a guest that ends without results for broken."""
    mount_all()
    raise_loopback()
    request = json.loads((CHECKOUT / "request.json").read_text())
    say(f"Linux {os.uname().release} is up after {time.monotonic():.0f} s")
    exit_codes = {}
    for suite in SUITES:
        if suite.name in request["suites"]:
            tests = [] if request["has_paths"] else list(suite.tests)
            exit_codes[suite.name] = run_suite(suite, [*request["arguments"], *tests])
    hand_out(exit_codes)


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc()
        say("broken")
    finally:
        os.sync()
        termios.tcdrain(1)  # or the end of the console is lost
        ctypes.CDLL(None).reboot(RB_POWER_OFF)
