"""Several jobs at once, in threads that are gone when it ends; whoever listens hears of them in the calling thread."""

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

Job = Callable[[], None]


class _AbandonedError(BaseException):
    """Somebody else failed, or the person had enough: what is being done is of no use any more."""


class Telling:
    """Carries calls from the threads to the one that waits for them."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self.stopped = threading.Event()

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., None]:
        """A function that has the other thread call `function`; it ends a job that is of no use any more."""

        def call(*arguments: Any) -> None:
            if self.stopped.is_set():
                raise _AbandonedError
            self._calls.put(lambda: function(*arguments))

        return call

    def end(self) -> None:
        """A thread has no more to say."""
        self._calls.put(None)

    def listen(self, threads: int) -> None:
        """Make the calls until so many threads have ended."""
        while threads:
            call = self._calls.get()
            if call is None:
                threads -= 1
            else:
                call()


def run_all(make_jobs: Callable[[Telling], Sequence[Job]], at_once: int) -> None:
    """Run jobs, so many at once. Raises what the first of them in order raised, after the rest was told to stop.

    An interrupt is not kept waiting: threads that hang in the network die with the process, and what they were at is
    removed by the next one.
    """
    telling = Telling()
    waiting = list(enumerate(make_jobs(telling)))[::-1]
    errors: dict[int, BaseException] = {}

    def work() -> None:
        try:
            while not telling.stopped.is_set():
                index, job = waiting.pop()  # atomic
                try:
                    job()
                except _AbandonedError:
                    return
                except BaseException as error:
                    errors[index] = error
                    telling.stopped.set()
        except IndexError:
            return
        finally:
            telling.end()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(waiting)))]
    for thread in threads:
        thread.start()
    try:
        telling.listen(len(threads))
        for thread in threads:
            thread.join()
    finally:
        telling.stopped.set()
        with suppress(IndexError):
            while True:
                waiting.pop()
    if errors:
        raise errors[min(errors)]
