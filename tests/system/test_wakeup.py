"""Wake-ups: both kinds, whatever this system's is."""

import os
import selectors
import signal
import threading

import pytest

from bldr.system.wakeup import PipeWakeup, SocketWakeup, open_wakeup


@pytest.fixture(params=[PipeWakeup, SocketWakeup, open_wakeup])
def wakeup(request):
    if request.param is PipeWakeup and not hasattr(os, "fork"):
        pytest.skip("nothing waits for pipes here")
    made = request.param()
    yield made
    made.close()


def is_readable(wakeup, timeout_s=0.0):
    with selectors.DefaultSelector() as selector:
        selector.register(wakeup, selectors.EVENT_READ)
        return bool(selector.select(timeout_s))


def test_a_thread_wakes_the_loop(wakeup):
    assert not is_readable(wakeup)
    thread = threading.Thread(target=wakeup.wake)
    thread.start()
    assert is_readable(wakeup, 60)
    thread.join()
    wakeup.clear()
    assert not is_readable(wakeup)
    wakeup.clear()  # once more takes no time


def test_more_wake_ups_than_it_holds_are_one(wakeup):
    for _ in range(100_000):
        wakeup.wake()
    assert is_readable(wakeup)


def test_a_signal_wakes_the_loop(wakeup):
    handler = signal.signal(signal.SIGINT, lambda *_: None)
    before = signal.set_wakeup_fd(wakeup.writer, warn_on_full_buffer=False)
    try:
        signal.raise_signal(signal.SIGINT)
        assert is_readable(wakeup, 60)
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGINT, handler)
