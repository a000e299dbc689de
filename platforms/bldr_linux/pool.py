"""The cells of a launcher, as the engine knows them: which of them a launch gets, and how many there are."""

import contextlib
import select
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bldr.api import Isolation, Launch
from bldr_linux import wire
from bldr_linux.mounted import Mounts
from bldr_linux.reuse import Compiled

if TYPE_CHECKING:
    from bldr_linux.network import Lease
    from bldr_linux.plan import Plan

_IDLE_AT_MOST = 16  # cells that keep something and have nothing to do
_SPARE_AFTER = 8  # launches of a kind: a cell takes as long to make as some of them


class Cell:
    """One process of the launcher that runs launches, and what it runs now."""

    def __init__(self, sock: socket.socket, key: bytes | None, generation: int) -> None:
        self.sock = sock
        self.key = key  # of what it keeps, b"" for nothing; None: that will be seen
        self.generation = generation  # of the machine's mounts, when it was made
        self.receiver = wire.Receiver(sock)
        self.plan: Plan | None = None  # of which it knows everything: it is only told what differs from that
        self.launch: Launch | None = None
        self.launches = 0
        self.isolation: Isolation = {}
        self.lease: Lease | None = None
        self.measured: dict[str, Any] = {}

    def send(self, message: tuple[Any, ...], fds: tuple[int, ...] = ()) -> None:
        """Say something. A socket that is closed is for whoever reads it: the last message may say why."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            wire.send(self.sock, message, fds)


class Pool:
    """Owns the cells; `launcher` is the socket by which they are asked for, `epoll` hears what they say."""

    def __init__(self, launcher: socket.socket, epoll: select.epoll) -> None:
        self._launcher = launcher
        self._epoll = epoll
        self._cells: dict[int, Cell] = {}  # by descriptor
        self._made = 0
        self._idle: list[Cell] = []  # the one that has been idle for longest is the first
        self._mounts = Mounts()
        self._generation = 0

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells.values())

    def __len__(self) -> int:
        return len(self._cells)

    def by_descriptor(self, fd: int) -> Cell | None:
        """The cell whose socket this is."""
        return self._cells.get(fd)

    def running(self, launch_id: int) -> Cell | None:
        """The cell that runs a launch."""
        return next((cell for cell in self if cell.launch and cell.launch.launch_id == launch_id), None)

    def add(self, number: int) -> None:
        """Make some cells now, while there are other things to do."""
        self._idle += [self._make() for _ in range(number)]

    def take(self, compiled: Compiled | None = None) -> Cell:
        """An idle cell that keeps what the launch needs, or a new one."""
        if self._mounts.changed():
            # It is not so in the copies that cells have: those that are idle go now, the others when they are.
            self._generation += 1
        for outdated in [cell for cell in self._idle if cell.key and cell.generation != self._generation]:
            self.remove(outdated)
        key = compiled.key if compiled else b""
        found = [cell for cell in self._idle if cell.key == key] or [cell for cell in self._idle if cell.key is None]
        if found:
            cell = found[0]  # idle for longest: its next sandbox is ready
            self._idle.remove(cell)
        else:
            if len(self._idle) >= _IDLE_AT_MOST:
                self.remove(self._idle[0])
            cell = self._make()
        if cell.key is None:
            self._furnish(cell, key, compiled)
        return cell

    def give_back(self, cell: Cell) -> None:
        """It has nothing to do any more."""
        cell.launch = None
        self._idle.append(cell)

    def keep_spare(self, compiled: Compiled) -> None:
        """Have one cell more than launches of a kind run at once: its sandbox is ready while another cell, whose launch
        has just ended, makes its next one."""
        alike = [cell for cell in self if cell.key == compiled.key]
        if all(cell.launch for cell in alike) and sum(cell.launches for cell in alike) >= _SPARE_AFTER:
            cell = self._make()
            self._furnish(cell, compiled.key, compiled)
            self._idle.append(cell)

    def remove(self, cell: Cell) -> None:
        """Let it go; it ends when its socket does."""
        if cell in self._idle:
            self._idle.remove(cell)
        self._epoll.unregister(cell.sock.fileno())
        del self._cells[cell.sock.fileno()]
        cell.sock.close()
        cell.receiver.close()

    def hang_up(self) -> None:
        """Close what all of them hear us by, which ends them."""
        for cell in self:
            cell.sock.close()

    def close(self) -> None:
        """Forget all of them."""
        self.hang_up()
        for cell in self:
            cell.receiver.close()
        self._cells.clear()
        self._idle.clear()
        self._mounts.close()

    def _furnish(self, cell: Cell, key: bytes, compiled: Compiled | None) -> None:
        cell.key, cell.generation = key, self._generation
        if compiled and compiled.base:
            cell.plan = compiled.plan
            cell.send(("keep", compiled.base, compiled.plan))

    def _make(self) -> Cell:
        ours, theirs = socket.socketpair()
        cell = Cell(ours, None, self._generation)
        self._cells[ours.fileno()] = cell
        self._epoll.register(ours.fileno(), select.EPOLLIN)
        self._made += 1
        with theirs, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._launcher.sendmsg([wire.frame(("cell", self._made))], wire.descriptors((theirs.fileno(),)))
        return cell
