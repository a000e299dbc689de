"""Launches: one `true` after the other, plain, in the sandboxes of this machine and in ours, with few inputs and with
many, from small processes and from a large one, by one launcher and by two."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Self

import peers
from measure import Contender, Race, Reading, Sample, Skipped, race, run_command, timed_env

_TRUE = "/usr/bin/true"
_TREE = "/build"
_UNSHARE = ("--user", "--map-root-user", "--mount", "--pid", "--fork", "--ipc", "--uts", "--cgroup", "--net")
_USR_LINKS = tuple(path for path in ("/bin", "/lib", "/lib64", "/sbin") if os.path.islink(path))
SPAWN, BWRAP, OURS = "posix_spawn", "bwrap --unshare-all", "bldr"
BINDS, NEW, AGAIN = "bwrap, a bind for each", "bldr, inputs that no action had", "bldr, inputs of the action before"
SMALL, LARGE = "a process of 30 MB", "a process of 500 MB with 8 threads"
ONE, TWO = "one launcher", "two launchers at once, half of the launches each"
_BURST = 24
"""Launches that are timed together where the launches per second of a launcher count."""


class Worker:
    """A `worker.py` that runs until the end of the `with` block."""

    def __init__(self, how: str, directory: str, *options: str, under: Sequence[str] = ()) -> None:
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
        self._process = subprocess.Popen(
            [*under, sys.executable, script, how, os.path.join(directory, "launch-cache"), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=timed_env(),
            text=True,
        )

    def __enter__(self) -> Self:
        if self._answer() != "ready":
            raise SystemExit("the worker does not launch anything: see its message above")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()

    def answer(self) -> Sample:
        return Sample(float(self._answer() or "nan"))

    def do(self, words: str) -> Sample:
        """One command, and the seconds that the worker says it took."""
        self.ask(words)
        return self.answer()

    def steps(self, number: int) -> list[float]:
        """Median seconds of handing a launch over, and of waiting for its end."""
        self.ask(f"steps {number}")
        return [float(step) for step in json.loads(self._answer())]

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise SystemExit("a worker ended: see its message above")
        return line


def run(directory: str, *, runs: int) -> Iterator[Race]:
    """All races of launches."""
    with Worker("direct", directory) as worker:
        yield plain(worker, runs * 12)
        for inputs in (200, 2000):
            yield staged(directory, worker, inputs, runs * 3 if inputs <= 200 else max(3, runs // 3))
    yield hosts(directory, runs * 4)
    yield two(directory, runs * 2)
    if peers.find("taskset") and len(os.sched_getaffinity(0)) > 1:
        yield two(directory, runs * 2, held=True)


def plain(worker: Worker, runs: int) -> Race:
    """Nothing but `true`; Bazel's sandbox and firejail for comparison."""
    contenders: list[Contender | Skipped] = [
        Contender(SPAWN, lambda: run_command([_TRUE])),
        peers.contender("unshare, seven namespaces", "unshare", lambda path: run_command([path, *_UNSHARE, _TRUE])),
        peers.contender(BWRAP, "bwrap", lambda path: run_command(_bwrap(path))),
        peers.contender("nsjail", "nsjail", lambda path: run_command([path, *_NSJAIL, "--", _TRUE])),
        peers.contender("firejail", "firejail", lambda path: run_command([path, *_FIREJAIL, _TRUE])),
        Contender(OURS, lambda: worker.do("launch 1")),
    ]
    found = race("launch of `true`", contenders, runs, warm_up=3)
    return found.read(found.reading("launch", OURS, BWRAP, above=SPAWN))


def staged(directory: str, worker: Worker, inputs: int, runs: int) -> Race:
    """`true` beside so many inputs."""
    paths = _files(os.path.join(directory, f"inputs-{inputs}"), inputs)
    contenders: list[Contender | Skipped] = [
        Contender(SPAWN, lambda: run_command([_TRUE])),
        peers.contender(BINDS, "bwrap", lambda path: run_command(_bwrap(path, paths))),
        Contender(NEW, lambda: worker.do(f"staged {inputs} new")),
        Contender(AGAIN, lambda: worker.do(f"staged {inputs} again")),
    ]
    found = race(f"launch of `true` with {inputs:,} inputs", contenders, runs, warm_up=1)
    return found.read(found.reading(f"launch-{inputs}", NEW, BINDS, above=SPAWN))


def hosts(directory: str, runs: int) -> Race:
    """By the library, from a process that is small and from one that is not."""
    with ExitStack() as opened:
        small = opened.enter_context(Worker("library", directory))
        large = opened.enter_context(Worker("library", directory, "--heap-mb", "500", "--threads", "8"))
        contenders = [Contender(SMALL, partial(small.do, "launch 1")), Contender(LARGE, partial(large.do, "launch 1"))]
        found = race("launch of `true` from a host process, by `HermeticExecutor`", contenders, runs, warm_up=3)
    return found.read(found.reading("launch-big-host", LARGE, SMALL))


def two(directory: str, runs: int, *, held: bool = False) -> Race:
    """The same number of launches by one launcher and by two at once; `held`: each on one processor of its own.

    One that is not held uses two: while a launch runs on one, its next sandbox is made on the other.
    """
    with ExitStack() as opened:
        processors = sorted(os.sched_getaffinity(0))
        unders = [("taskset", "-c", str(processors[index])) if held else () for index in range(2)]
        workers = [opened.enter_context(Worker("direct", directory, under=under)) for under in unders]

        def both() -> Sample:
            start_s = time.perf_counter()
            for worker in workers:
                worker.ask(f"launch {_BURST // 2}")
            for worker in workers:
                worker.answer()
            return Sample(time.perf_counter() - start_s)

        contenders = [Contender(ONE, partial(workers[0].do, f"launch {_BURST}")), Contender(TWO, both)]
        where = ", each launcher held on one processor" if held else ""
        found = race(f"{_BURST} launches of `true`{where}", contenders, runs, warm_up=1)
    name = "launch-two-held" if held else "launch-two"
    if (os.cpu_count() or 1) < 2:
        return found.read(Reading(name, None, None, "one core"))
    return found.read(found.reading(name, ONE, TWO))


_NSJAIL = ("-Mo", "--quiet", "--chroot", "/", "--disable_clone_newcgroup")
_FIREJAIL = ("--quiet", "--noprofile", "--net=none", "--private-dev", "--private-tmp", "--seccomp")


def _files(directory: str, count: int) -> list[str]:
    os.makedirs(directory)
    paths = [os.path.join(directory, f"input-{index}") for index in range(count)]
    for path in paths:
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{path}\n")
    return paths


def _bwrap(path: str, inputs: Sequence[str] = ()) -> list[str]:
    links = [word for link in _USR_LINKS for word in ("--symlink", os.readlink(link), link)]
    binds = [word for path in inputs for word in ("--ro-bind", path, f"{_TREE}/{os.path.basename(path)}")]
    system = ["--ro-bind", "/usr", "/usr", *links, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    return [path, "--unshare-all", *system, *binds, _TRUE]
