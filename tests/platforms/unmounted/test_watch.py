"""One descriptor tells of ends and deadlines, whatever the system has for it."""

import os
import select
import signal
import subprocess
import time
from types import SimpleNamespace

import psutil
import pytest

from bldr_unmounted import watch as watches
from bldr_unmounted.watch import KqueueWatch, PollingWatch, open_watch

PATIENCE_S = 30


class FakeKqueue:
    """What kqueue(2) says of the filters that are used, out of the descriptors of Linux."""

    def __init__(self):
        self._epoll = select.epoll()
        self._known = {}  # (filter, ident) -> descriptor
        self.fileno = self._epoll.fileno

    def close(self):
        for (kind, _), descriptor in self._known.items():
            if kind != "read":
                os.close(descriptor)
        self._epoll.close()

    def control(self, changes, most, timeout=None):
        for change in changes or ():
            (self._remove if change.flags & KERNEL.KQ_EV_DELETE else self._add)(change)
        told = []
        for descriptor, _ in self._epoll.poll(0) if most else ():
            kind, ident = next(key for key, known in self._known.items() if known == descriptor)
            told.append(SimpleNamespace(filter=kind, ident=ident))
            if kind != "read":  # EV_ONESHOT
                self._forget((kind, ident))
        return told

    def _add(self, change):
        key = (change.filter, change.ident)
        if key in self._known:
            self._forget(key)
        if change.filter == "proc":
            assert (change.flags, change.fflags) == (KERNEL.KQ_EV_ADD | KERNEL.KQ_EV_ONESHOT, KERNEL.KQ_NOTE_EXIT)
            self._known[key] = os.pidfd_open(change.ident)
            if select.select([self._known[key]], [], [], 0)[0]:
                os.close(self._known.pop(key))
                raise ProcessLookupError(3, "No such process")
        elif change.filter == "timer":
            assert change.data >= 1
            self._known[key] = watches._timerfd_create()
            watches._timerfd_settime(self._known[key], int((time.monotonic() + change.data / 1000) * 1e9))
        else:
            self._known[key] = change.ident
        self._epoll.register(self._known[key], select.EPOLLIN)

    def _remove(self, change):
        if (change.filter, change.ident) not in self._known:
            raise FileNotFoundError(2, "No such file or directory")
        self._forget((change.filter, change.ident))

    def _forget(self, key):
        self._epoll.unregister(self._known[key])
        os.close(self._known.pop(key))


def _kevent(ident, filter, flags, fflags, data):
    return SimpleNamespace(ident=ident, filter=filter, flags=flags, fflags=fflags, data=data)


KERNEL = SimpleNamespace(
    kqueue=FakeKqueue, kevent=_kevent,
    KQ_FILTER_READ="read", KQ_FILTER_PROC="proc", KQ_FILTER_TIMER="timer",
    KQ_EV_ADD=1, KQ_EV_DELETE=2, KQ_EV_ONESHOT=16, KQ_NOTE_EXIT=1 << 31,
)  # fmt: skip


@pytest.fixture(params=["best", "kqueue", "polling"])
def watch(request):
    made = {
        "best": open_watch,
        "kqueue": lambda: KqueueWatch(select if hasattr(select, "kqueue") else KERNEL),
        "polling": PollingWatch,
    }[request.param]()
    yield made
    made.close()


@pytest.fixture
def child():
    children = []

    def start(*argv):
        children.append(subprocess.Popen(argv))
        return children[-1].pid

    yield start
    for process in children:
        process.kill()
        process.wait()


def wait_for_end(pid):
    """Without taking the news from anybody."""
    until_s = time.monotonic() + PATIENCE_S
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until_s
        time.sleep(0.01)


def tells(watch, timeout_s=PATIENCE_S):
    return bool(select.select([watch.fileno()], [], [], timeout_s)[0])


def test_it_is_quiet_where_nothing_happens(watch, child):
    watch.add(child("sleep", "1000"))
    watch.set_deadline(time.monotonic() + 1000)
    assert not tells(watch, 0)
    assert watch.ended() == frozenset()


def test_ends_are_told_until_they_are_removed(watch, child):
    one, other = child("sleep", "1000"), child("sleep", "1000")
    watch.add(one)
    watch.add(other)
    os.kill(one, signal.SIGKILL)
    assert tells(watch)
    assert watch.ended() == {one}
    assert watch.ended() == {one}, "who has not been removed is told again"
    watch.remove(one)
    assert watch.ended() == frozenset()
    os.kill(other, signal.SIGKILL)
    assert tells(watch)
    assert watch.ended() == {other}


def test_who_ended_before_is_told_too(watch, child):
    pid = child("true")
    wait_for_end(pid)
    watch.add(pid)
    assert tells(watch)
    assert watch.ended() == {pid}


def test_who_was_removed_is_not_told(watch, child):
    pid = child("sleep", "1000")
    watch.add(pid)
    watch.remove(pid)
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert watch.ended() == frozenset()


def test_waking_is_told_once(watch):
    watch.wake()
    watch.wake()
    assert tells(watch)
    watch.ended()
    assert not tells(watch, 0)


def test_deadlines_are_told_and_may_be_changed(watch):
    watch.set_deadline(time.monotonic() + 1000)
    watch.set_deadline(time.monotonic() + 0.01)
    assert tells(watch)
    watch.ended()
    watch.set_deadline(time.monotonic() - 5)
    assert tells(watch), "one that has passed is told at once"
    watch.ended()
    watch.set_deadline(time.monotonic() + 1000)
    watch.set_deadline(None)
    watch.set_deadline(None)
    assert not tells(watch, 0)


def test_the_system_s_own_way_is_used(monkeypatch):
    monkeypatch.setattr(watches, "_has_pidfds", lambda: False)
    for name, value in vars(KERNEL).items():
        monkeypatch.setattr(watches.select, name, value, raising=False)
    opened = open_watch()
    assert isinstance(opened, KqueueWatch)
    opened.close()
    monkeypatch.delattr(watches.select, "kqueue")
    opened = open_watch()
    assert isinstance(opened, PollingWatch)
    opened.close()


def test_a_child_that_has_been_waited_for_has_ended():
    child = subprocess.Popen(["true"])
    child.wait()
    watch = PollingWatch()
    try:
        watch.add(child.pid)
        assert select.select([watch.fileno()], [], [], 10)[0]
        assert watch.ended() == {child.pid}
        watch.remove(child.pid)
        watch.add(os.getpid())  # the thread lives, whatever it saw
        watch.set_deadline(time.monotonic())
        assert select.select([watch.fileno()], [], [], 10)[0]
    finally:
        watch.close()


def test_descriptors_of_processes_that_a_filter_denies_are_done_without(monkeypatch):
    def denied(pid):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", denied, raising=False)
    assert watches.open_pidfd(os.getpid()) == -1
    following = open_watch()
    assert not isinstance(following, watches.PidfdWatch)
    following.close()
