"""Thousands of launches: what is left behind by each is found in the sum.

`BLDR_SOAK=10` makes it ten times as long (10,000 launches in sequence, 2,000 over eight threads).
"""

import asyncio
import concurrent.futures
import contextlib
import os
import random
import signal
import subprocess
import time

import pytest

from bldr.api import ResourceLimits
from bldr.hermetic import HermeticExecutor, HermeticSpecBuilder

TIMES = int(os.environ.get("BLDR_SOAK", "1"))
IN_SEQUENCE, OVER_THREADS, THREADS = 1000 * TIMES, 200 * TIMES, 8


def descendants(pid):
    """The processes below `pid`, itself included."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as file:
                    found += map(int, file.read().split())
        except OSError:
            continue
    return found


def count_groups():
    """Control groups of this process's own, in every hierarchy that can be seen."""
    ran = subprocess.run(
        ["find", "/sys/fs/cgroup", "-type", "d", "-name", f"bldr-{os.getpid()}-*"], capture_output=True
    )
    tops = ran.stdout.decode().split()
    return sum(len(directories) for top in tops for _, directories, _ in os.walk(top)) + len(tops)


def count_descriptors(pid):
    """How many a process has open; -1 where the kernel hides it from an ordinary user, because it changed who it is.

    -2 where it has ended meanwhile.
    """
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        assert os.geteuid() != 0
        return -1
    except (FileNotFoundError, ProcessLookupError):
        return -2


def world(box):
    """What could grow: descriptors, mounts, network links, processes, control groups, files."""
    ours = descendants(os.getpid())
    with open("/proc/self/mountinfo") as file:
        mounts = len(file.readlines())
    return {
        "descriptors": sorted(map(count_descriptors, ours)),
        "mounts": mounts,
        "links": len(os.listdir("/sys/class/net")),
        "processes": len(ours),
        "groups": count_groups(),
        "files": len(os.listdir(box.root)),
    }


def settled(box):
    """The world when nothing in it has changed for a while: cells make the next launch's sandbox ahead."""
    found = [world(box)]
    while len(found) < 10 or found[-1] != found[-10]:
        time.sleep(0.02)
        found.append(world(box))
    return found[-1]


@pytest.mark.full
def test_launches_in_sequence(box):
    limits = ResourceLimits(memory_bytes=256 << 20, processes=20, cpu_time_s=60.0, wall_time_s=60.0)
    commands = (["true"], ["sh", "-c", "exit 3"], ["sh", "-c", "kill -9 $$"], ["no-such-command"])
    for command in commands * 3:  # enough for a spare cell
        box.run(*command, resources=limits)
    before = settled(box)
    for number in range(IN_SEQUENCE):
        ended = box.run(*commands[number % len(commands)], resources=limits)
        assert ended.exit.failure is None, ended
    assert settled(box) == before


@pytest.mark.full
def test_launches_over_the_threads_of_an_asyncio_host(sandbox, tmp_path):
    os.mkdir(tmp_path / "src")
    spec = HermeticSpecBuilder.for_build([str(tmp_path / "src")], []).build()

    async def main():
        loop = asyncio.get_running_loop()
        executor = HermeticExecutor.create(spec, isolation="best", sandboxes=[sandbox])
        with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:

            async def rounds(count):
                words = [["sh", "-c", f"echo {number}; exit {number % 3}"] for number in range(count)]
                tasks = [loop.run_in_executor(threads, executor.execute, argv) for argv in words]
                for number, result in enumerate(await asyncio.gather(*tasks)):
                    assert (result.stdout, result.exit_code) == (f"{number}\n", number % 3)

            await rounds(2 * THREADS)
            before = len(os.listdir("/proc/self/fd")), len(descendants(os.getpid()))
            await rounds(OVER_THREADS)
            assert (len(os.listdir("/proc/self/fd")), len(descendants(os.getpid()))) == before
        executor.close()
        return len(descendants(os.getpid()))

    before = len(descendants(os.getpid()))
    assert asyncio.run(main()) == before


def test_nothing_is_left_of_a_launcher_that_was_closed(make_box):
    box = make_box()
    box.run("true", resources=ResourceLimits(memory_bytes=1 << 30))
    box.launcher.close()
    assert count_groups() == 0


@pytest.mark.full
def test_a_random_process_of_the_launcher_killed_at_a_random_instant(make_box, is_alive, mark):
    """Whoever it is: every launch is answered, none as a success that it was not, and nothing is left."""
    rng = random.Random(20261122)
    failures = 0
    for _ in range(40):
        box = make_box()
        script = f"(setsid sleep {mark} &); sleep 0.01{rng.randrange(9)}; echo whole"
        launches = [box.start("sh", "-c", script) for _ in range(4)]
        time.sleep(rng.uniform(0.0, 0.04))
        victims = [pid for pid in descendants(box.launcher._pid) if pid > 0]
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(victims), signal.SIGKILL)
        for launch in launches:
            ended = box.wait(launch)
            assert ended.exit_code != 0 or ended.out == "whole\n", ended
            failures += ended.exit_code != 0
        assert not is_alive(mark)
        box.launcher.close()
        assert count_groups() == 0
    assert failures > 10, "the kills hit nothing"
