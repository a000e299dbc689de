"""What is known of bridges and leases beyond one process: files in a directory of the host's network namespace.

A record is written before what it tells of is made, and removed after that is gone: whoever finds one after a crash
knows all that may be left. Everything here happens under `locked`.
"""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from bldr_linux.network.failures import NetworkError, step

_LOCK = "lock"
_BRIDGE = ".bridge"
_LEASE = ".lease"
_FORWARDING = "forwarding"
_NEW = ".new"
_PATIENCE_S = 30.0
_POLL_S = 0.002


class Owner(msgspec.Struct, frozen=True):
    """A process, told from a later one of the same number by when it started."""

    pid: int
    start_ticks: int
    pid_namespace: int


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """One sandbox's place on a bridge: `address` with its prefix on `eth0`, `link` on the host's side.

    `warnings` say what differs from what was asked.
    """

    bridge: str
    address: str
    gateway: str
    link: str
    owner: Owner
    serial: int
    warnings: tuple[str, ...] = ()


class BridgeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A bridge that bldr makes: `asked` is the subnet of the spec, `subnet` the one in use."""

    name: str
    asked: str
    subnet: str
    nat: bool
    overlaps: str = ""


class Forwarding(msgspec.Struct, frozen=True):
    """The interfaces whose forwarding bldr turned on, and the bridges that the guard's rules were made for."""

    interfaces: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()


_Record = TypeVar("_Record", Lease, BridgeRecord, Forwarding)


def this_process() -> Owner:
    """The owner of the leases that are made here."""
    pid = os.getpid()
    return Owner(pid, _start_ticks(pid), _pid_namespace())


def is_alive(owner: Owner) -> bool:
    """Whether the process runs still, as far as can be told: those of other pid namespaces cannot be seen."""
    return owner.pid_namespace != _pid_namespace() or _start_ticks(owner.pid) == owner.start_ticks


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _start_ticks(pid: int) -> int:
    """0 where there is no such process, or only what its parent has not asked for yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in b"ZX" else int(fields[19])


def default_directory() -> str:
    """Where root keeps the state of networks, or the user who runs this."""
    if os.geteuid() == 0:
        return "/run/bldr-network"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.path.isabs(runtime):
        hint = "log in so that XDG_RUNTIME_DIR is set, or run bldr as root"
        raise NetworkError("there is no directory for the state of networks", hint)
    return os.path.join(runtime, "bldr-network")


class State:
    """The records of one network namespace; `directory` is shared by the processes of one user."""

    def __init__(self, directory: str) -> None:
        self._parent = directory
        # Records name interfaces: in another network namespace the same names mean other things.
        self._directory = os.path.join(directory, str(os.stat("/proc/thread-self/ns/net").st_ino))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else looks at or changes networks meanwhile; the directory is gone when nothing is left in it."""
        with step(f'use the directory "{self._parent}"'):
            lock = self._lock()
        try:
            yield
        finally:
            self._remove_if_empty()
            # Closing would not do: a child that was forked meanwhile holds the same open file.
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def _lock(self) -> int:
        deadline_s = time.monotonic() + _PATIENCE_S
        path = os.path.join(self._directory, _LOCK)
        while True:
            with contextlib.suppress(FileNotFoundError):
                self._make()
                lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                if _acquire(lock, path):
                    return lock
                os.close(lock)
            if time.monotonic() > deadline_s:
                hint = f'a bldr that is stopped may hold it: `fuser "{path}"`'
                raise NetworkError(f"another bldr held the lock of networks for {_PATIENCE_S:g} s", hint)
            time.sleep(_POLL_S)

    def _make(self) -> None:
        os.makedirs(self._parent, 0o700, exist_ok=True)
        found = os.lstat(self._parent)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            hint = "remove it, or take the rights of others to write to it away"
            raise NetworkError(f'"{self._parent}" is not a directory of this user alone', hint)
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)

    def _remove_if_empty(self) -> None:
        if os.listdir(self._directory) == [_LOCK]:
            os.unlink(os.path.join(self._directory, _LOCK))
            with contextlib.suppress(OSError):  # somebody waits for the lock, or uses another namespace
                os.rmdir(self._directory)
                os.rmdir(self._parent)

    def bridges(self) -> tuple[BridgeRecord, ...]:
        """All bridges that may exist."""
        return tuple(self._load(name, BridgeRecord) for name in self._names(_BRIDGE))

    def put_bridge(self, record: BridgeRecord) -> None:
        """Write before the bridge is made."""
        self._put(record.name + _BRIDGE, record)

    def remove_bridge(self, name: str) -> None:
        """When bridge and table are gone."""
        self._remove(name + _BRIDGE)

    def leases(self) -> tuple[Lease, ...]:
        """All leases, also of sandboxes and owners that are gone."""
        return tuple(self._load(name, Lease) for name in self._names(_LEASE))

    def put_lease(self, lease: Lease) -> None:
        """Write before the pair is made."""
        self._put(lease.link + _LEASE, lease)

    def remove_lease(self, lease: Lease) -> None:
        """When the pair is gone."""
        self._remove(lease.link + _LEASE)

    def forwarding(self) -> Forwarding:
        """Empty where nothing was changed."""
        try:
            return self._load(_FORWARDING, Forwarding)
        except FileNotFoundError:
            return Forwarding()

    def put_forwarding(self, record: Forwarding) -> None:
        """Write before an interface is changed; an empty one is removed."""
        if record.interfaces:
            self._put(_FORWARDING, record)
        else:
            self._remove(_FORWARDING)

    def remove_unfinished(self) -> None:
        """Whatever a killed process did not get to rename."""
        for name in self._names(_NEW):
            self._remove(name)

    def _names(self, suffix: str) -> list[str]:
        return sorted(name for name in os.listdir(self._directory) if name.endswith(suffix))

    def _load(self, name: str, kind: type[_Record]) -> _Record:
        path = os.path.join(self._directory, name)
        with open(path, "rb") as file:
            content = file.read()
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            hint = "another version of bldr may have written it: end what uses it, and remove it with what it names"
            raise NetworkError(f'cannot understand "{path}": {error}', hint) from error

    def _put(self, name: str, record: msgspec.Struct) -> None:
        path = os.path.join(self._directory, name)
        with step(f'write "{path}"'):
            descriptor = os.open(path + _NEW, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, msgspec.json.encode(record))
            finally:
                os.close(descriptor)
            os.rename(path + _NEW, path)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._directory, name))


def _acquire(lock: int, path: str) -> bool:
    """False where somebody else has it, or where it was removed, with its directory, before we had it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    found = os.fstat(lock)
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(found, os.stat(path))
    return False
