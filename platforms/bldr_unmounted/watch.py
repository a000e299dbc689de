"""Tells that processes ended or a deadline passed, by one descriptor that becomes readable, and without SIGCHLD."""

import contextlib
import ctypes
import math
import os
import select
import threading
import time
from typing import Any, Protocol

_POLL_INTERVAL_S = 0.02
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)


class Watch(Protocol):
    """Follows children that nobody else waits for; it never reaps them."""

    def fileno(self) -> int:
        """Readable after a child ended, the deadline passed or `wake` was called, until `ended` is called."""

    def add(self, pid: int) -> None: ...

    def remove(self, pid: int) -> None: ...

    def wake(self) -> None: ...

    def set_deadline(self, deadline_s: float | None) -> None:
        """When to wake at the latest, on the clock `time.monotonic`; None: no deadline."""

    def ended(self) -> frozenset[int]:
        """The children that ended and were not removed yet; clears `wake` and a deadline that passed."""

    def close(self) -> None: ...


def open_watch() -> Watch:
    """The best that this system has."""
    if _has_pidfds():
        return PidfdWatch()
    return KqueueWatch(select) if hasattr(select, "kqueue") else PollingWatch()


def _has_pidfds() -> bool:
    descriptor = open_pidfd(os.getpid()) if hasattr(os, "eventfd") else -1
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0


def open_pidfd(pid: int) -> int:
    """A descriptor of a process; -1 where there is no such thing: an old kernel, a container's filter."""
    if not hasattr(os, "pidfd_open"):
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


class PidfdWatch:
    """Linux: process descriptors, a timer and an event counter behind one epoll (epoll(7), pidfd_open(2))."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._pids: dict[int, int] = {}  # descriptor -> pid
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._timer = _timerfd_create()
        self._epoll.register(self._event, select.EPOLLIN)
        self._epoll.register(self._timer, select.EPOLLIN)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def add(self, pid: int) -> None:
        descriptor = os.pidfd_open(pid)
        self._pids[descriptor] = pid
        self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, pid: int) -> None:
        for descriptor in [number for number, process in self._pids.items() if process == pid]:
            self._epoll.unregister(descriptor)
            os.close(descriptor)
            del self._pids[descriptor]

    def wake(self) -> None:
        os.eventfd_write(self._event, 1)

    def set_deadline(self, deadline_s: float | None) -> None:
        # A time of zero would disarm the timer; one nanosecond after the clock's start is as good as "at once".
        _timerfd_settime(self._timer, 0 if deadline_s is None else max(1, int(deadline_s * 1e9)))

    def ended(self) -> frozenset[int]:
        ready = {descriptor for descriptor, _ in self._epoll.poll(0)}
        for counter in ready & {self._event, self._timer}:
            os.read(counter, 8)
        return frozenset(self._pids[descriptor] for descriptor in ready if descriptor in self._pids)

    def close(self) -> None:
        for descriptor in (*self._pids, self._event, self._timer):
            os.close(descriptor)
        self._pids.clear()
        self._epoll.close()


class KqueueWatch:
    """macOS and the BSDs: ends of processes, a timer and a pipe behind one kqueue (kqueue(2)). `kernel` is the module
    `select`, which has no kqueue on other systems."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._kqueue = kernel.kqueue()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._ended: set[int] = set()
        self._change(self._reading, kernel.KQ_FILTER_READ, kernel.KQ_EV_ADD)

    def fileno(self) -> int:
        number: int = self._kqueue.fileno()
        return number

    def add(self, pid: int) -> None:
        kernel = self._kernel
        try:
            self._change(pid, kernel.KQ_FILTER_PROC, kernel.KQ_EV_ADD | kernel.KQ_EV_ONESHOT, kernel.KQ_NOTE_EXIT)
        except ProcessLookupError:  # so says macOS of a process that has ended and was not waited for
            self._ended.add(pid)
            self.wake()

    def remove(self, pid: int) -> None:
        self._ended.discard(pid)
        self._forget(pid, self._kernel.KQ_FILTER_PROC)

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            os.write(self._writing, b"\0")

    def set_deadline(self, deadline_s: float | None) -> None:
        kernel = self._kernel
        if deadline_s is None:
            self._forget(0, kernel.KQ_FILTER_TIMER)
            return
        left_ms = max(1, math.ceil((deadline_s - time.monotonic()) * 1000))
        self._change(0, kernel.KQ_FILTER_TIMER, kernel.KQ_EV_ADD | kernel.KQ_EV_ONESHOT, data=left_ms)

    def ended(self) -> frozenset[int]:
        while events := self._kqueue.control(None, 64, 0):
            for event in events:
                if event.filter == self._kernel.KQ_FILTER_PROC:
                    self._ended.add(event.ident)
                elif event.filter == self._kernel.KQ_FILTER_READ:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._reading, 4096)
        return frozenset(self._ended)

    def close(self) -> None:
        self._kqueue.close()
        os.close(self._reading)
        os.close(self._writing)

    def _change(self, ident: int, filter: int, flags: int, notes: int = 0, data: int = 0) -> None:
        event = self._kernel.kevent(ident, filter=filter, flags=flags, fflags=notes, data=data)
        self._kqueue.control([event], 0)

    def _forget(self, ident: int, filter: int) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # what has been told is forgotten already
            self._change(ident, filter, self._kernel.KQ_EV_DELETE)


class PollingWatch:
    """Any POSIX system: while there is something to wait for, a thread looks again and again and writes to a pipe."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._pids: set[int] = set()
        self._deadline_s: float | None = None
        self._busy = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        return self._reading

    def add(self, pid: int) -> None:
        self._pids.add(pid)
        self._update()

    def remove(self, pid: int) -> None:
        self._pids.discard(pid)
        self._update()

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            os.write(self._writing, b"\0")

    def set_deadline(self, deadline_s: float | None) -> None:
        self._deadline_s = deadline_s
        self._update()

    def ended(self) -> frozenset[int]:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reading, 4096):
                pass
        if self._deadline_s is not None and self._deadline_s <= time.monotonic():
            self.set_deadline(None)
        return frozenset(pid for pid in self._pids if _is_zombie(pid))

    def close(self) -> None:
        self._closed = True
        self._busy.set()
        if self._thread is not None:
            self._thread.join()
        os.close(self._reading)
        os.close(self._writing)

    def _update(self) -> None:
        if not self._pids and self._deadline_s is None:
            self._busy.clear()
            return
        self._busy.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._poll, name="bldr-watch-children", daemon=True)
            self._thread.start()

    def _poll(self) -> None:
        while self._busy.wait() and not self._closed:
            deadline_s = self._deadline_s
            late = deadline_s is not None and deadline_s <= time.monotonic()
            if late or any(_is_zombie(pid) for pid in tuple(self._pids)):
                self.wake()
            time.sleep(_POLL_INTERVAL_S)


def _is_zombie(pid: int) -> bool:
    if hasattr(os, "waitid"):
        try:
            return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # it has been waited for meanwhile
            return True
    import psutil  # costs more than the rest

    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _timerfd_create() -> int:
    """timerfd_create(2); Python has it from 3.13 on."""
    descriptor: int = ctypes.CDLL(None, use_errno=True).timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
    if descriptor < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"timerfd_create: {os.strerror(error)}")
    return descriptor


def _timerfd_settime(descriptor: int, deadline_ns: int) -> None:
    """timerfd_settime(2) with an absolute time; 0 disarms."""
    value = (ctypes.c_long * 4)(0, 0, deadline_ns // 1_000_000_000, deadline_ns % 1_000_000_000)  # struct itimerspec
    absolute = 1
    if ctypes.CDLL(None, use_errno=True).timerfd_settime(descriptor, absolute, value, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"timerfd_settime: {os.strerror(error)}")
