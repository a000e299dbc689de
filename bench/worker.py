"""Launches in a process of its own, driven by lines on standard input: one size of host process, one launcher.

    bench/worker.py library|direct CACHE [--heap-mb N] [--threads N]

`launch N` and `staged COUNT new|again` are answered with the seconds that it took, `steps N` with the median seconds of
handing a launch over and of waiting for its end; anything that fails ends the process.
"""

import argparse
import json
import os
import select
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import cast

from bldr.api import Input, Launch, Link, ResourceLimits, SandboxSpec, StagedTree, Temp
from bldr.api.actions import Action
from bldr.api.labels import Label
from bldr.api.sandbox import GUARANTEES, Launcher, Sandbox
from bldr.api.toolchains import Toolchain
from bldr.execute.runners import Outcome, Work
from bldr.execute.sandboxed import Sandboxed
from bldr.execute.sources import Sources
from bldr.execute.sysroot import Sysroot, Sysroots
from bldr.graph.actions import ActionNode, Permissions
from bldr.hermetic.builder import made_etc
from bldr.hermetic.executor import HermeticExecutor
from bldr.plan.entries import Entry
from bldr.plugins import load_plugins
from bldr.store.store import Store, open_store

TRUE = "/usr/bin/true"


def spec() -> SandboxSpec:
    """What an action of a build gets: `/usr`, a made-up `/etc`, `/tmp` of its own, no network, the default limits."""
    links = [path for path in ("/bin", "/lib", "/lib64", "/sbin") if os.path.islink(path)]
    plain = SandboxSpec(
        inputs=(Input("/usr"),),
        links=tuple(Link(path, os.readlink(path)) for path in links),
        temps=(Temp("/tmp"),),
        resources=ResourceLimits.hermetic(),
    )
    return SandboxSpec(
        inputs=plain.inputs,
        links=plain.links,
        temps=plain.temps,
        resources=plain.resources,
        files=made_etc(plain.process, plain.network),
    )


class Library:
    """Launches as a program that embeds `bldr.hermetic` does them."""

    def __init__(self) -> None:
        self._executor = HermeticExecutor.create(spec())

    def launch(self) -> None:
        result = self._executor.execute([TRUE])
        if not result.success or not result.hermetic:
            raise SystemExit(f"the launch failed: {result}")

    def close(self) -> None:
        self._executor.close()


class Direct:
    """Launches as the engine does them, with the first platform that isolates."""

    def __init__(self, store: Store) -> None:
        self._store = store
        sandbox: Sandbox = next(sandbox for sandbox in load_plugins().sandboxes if sandbox.name == "linux")
        self._launcher: Launcher = sandbox.open(store.root)
        self._null = os.open(os.devnull, os.O_RDWR)
        self._spec = spec()
        self._launches = 0
        self._sets = 0
        self._kept: dict[int, tuple[Entry, ...]] = {}
        self._runner = Sandboxed(
            store,
            cast(Sources, None),  # asked only where the store loses something
            cast(Sysroots, _Usr()),
            lambda _node: (sandbox, self._launcher),
            lambda _node, isolation: [name for name in GUARANTEES if not isolation.get(name)],
            lambda _work: None,
        )
        self._node = ActionNode(
            index=0,
            label=Label("", "", "bench"),
            action=Action(argv=(TRUE,), inputs=(), outputs=(), mnemonic="Bench"),
            handler="",
            toolchains=(),
            env=(),
            permissions=Permissions(resources=ResourceLimits.hermetic()),
            deps=(),
        )

    def launch(self, tree: StagedTree | None = None) -> None:
        """Start and wait. Every guarantee must have been reached, or the time would mean nothing."""
        self._start(tree)
        self._end()

    def steps(self, number: int) -> list[float]:
        """Median seconds of the parts of a launch."""
        steps: tuple[Callable[[], None], ...] = (self._start, self._end)
        taken: list[list[float]] = [[] for _ in steps]
        for _ in range(number):
            for index, step in enumerate(steps):
                start_s = time.perf_counter()
                step()
                taken[index].append(time.perf_counter() - start_s)
        return [statistics.median(found) for found in taken]

    def _start(self, tree: StagedTree | None = None) -> None:
        self._launches += 1
        self._launcher.start(
            Launch(
                launch_id=self._launches,
                spec=self._spec,
                argv=(TRUE,),
                cwd="/",
                stdin=self._null,
                stdout=self._null,
                stderr=self._null,
                tree=tree,
            )
        )

    def _end(self) -> None:
        while not (exits := self._launcher.reap()):
            select.select([self._launcher.fileno()], [], [])
        if exits[0].exit_code or exits[0].failure or not all(map(exits[0].isolation.get, GUARANTEES)):
            raise SystemExit(f"the launch failed: {exits[0]}")

    def staged(self, count: int, *, again: bool) -> float:
        """Seconds of an action with so many inputs, by the engine's own runner: staging, launch, looking at what was
        changed, and tidying. Another set of inputs every time, or (`again`) the one of the action before.

        Making the files and putting them into the store is not timed.
        """
        entries = self._kept.get(count) if again else None
        if entries is None:
            entries = self._files(count, "kept" if again else f"new-{self._sets}")
            if again:
                self._kept[count] = entries
                self.staged(count, again=True)  # the action before
        outcomes: list[Outcome] = []
        start_s = time.perf_counter()
        self._runner.run(Work(self._node, entries, ()), lambda _work, outcome: outcomes.append(outcome))
        while not outcomes:
            if self._runner.tidy():  # as the loop does while something runs
                continue
            select.select([self._launcher.fileno()], [], [])
            self._runner.reap(self._launcher)
            self._runner.collect()
        while self._runner.tidy():
            pass
        wall_s = time.perf_counter() - start_s
        if outcomes[0].result.status != "ok":
            raise SystemExit(f"the action failed: {outcomes[0].result}")
        return wall_s

    def close(self) -> None:
        self._runner.close()
        self._launcher.close()
        os.close(self._null)

    def _files(self, count: int, directory: str) -> tuple[Entry, ...]:
        self._sets += 1
        entries = []
        for index in range(count):
            digest = self._store.blobs.put_bytes(f"input {index} of {count} in {directory}\n".encode())
            entries.append(Entry(f"{directory}/input-{index}", digest.hash, digest.size_bytes))
        return tuple(sorted(entries))


class _Usr:
    """Stands for the staged toolchains, which are known as theirs are: all of `/usr`, as the launches without inputs
    have it."""

    def __init__(self) -> None:
        self._sysroot = Sysroot(spec().inputs, spec().links)

    def stage(self, _toolchains: Sequence[Toolchain]) -> Sysroot:
        return self._sysroot


def main() -> None:
    """Answer until standard input ends."""
    arguments = _arguments()
    with open_store(arguments.cache) as store:
        launches = Library() if arguments.how == "library" else Direct(store)  # before there is any thread
        launches.launch()
        ballast = [bytes([index % 256]) * (1 << 20) for index in range(arguments.heap_mb)]
        stop = threading.Event()
        threads = [threading.Thread(target=stop.wait) for _ in range(arguments.threads)]
        for thread in threads:
            thread.start()
        try:
            print("ready", flush=True)
            for line in sys.stdin:
                print(json.dumps(_answer(launches, line.split())), flush=True)
        finally:
            stop.set()
            launches.close()
            ballast.clear()


def _answer(launches: Library | Direct, words: list[str]) -> float | list[float]:
    if words[0] in ("staged", "steps"):
        assert isinstance(launches, Direct)
        if words[0] == "steps":
            return launches.steps(int(words[1]))
        return launches.staged(int(words[1]), again=words[2] == "again")
    start_s = time.perf_counter()
    for _ in range(int(words[1])):
        launches.launch()
    return time.perf_counter() - start_s


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=("library", "direct"))
    parser.add_argument("cache")
    parser.add_argument("--heap-mb", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
