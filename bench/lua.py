"""Lua: what a person really builds. make gets the compile lines of bldr's own plan, one file an action."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import peers
from measure import Contender, Race, Reading, Skipped, race, run_command, timed_env
from tools import JOBS, warm_up, write

_EXAMPLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "examples", "lua")
_TARGET = "@lua//:lua"
_PLAN = """
import json, sys
from bldr.session import BuildRequest, Session
with Session(BuildRequest(patterns=(sys.argv[1],), cache_dir=sys.argv[2], isolation="require")) as session:
    plan = session.plan(session.labels(), tests=False)
    found = [[list(node.action.argv), [artifact.path for artifact in node.action.inputs],
              [artifact.path for artifact in node.action.outputs]] for node in plan.nodes]
    paths = {path: session.workspace.host_path(path) for _, inputs, _ in found for path in inputs}
    print(json.dumps([found, {path: place for path, place in paths.items() if path.startswith("external/")}]))
"""
OURS = "bldr --hermetic"


class Command(NamedTuple):
    """One action of bldr's plan, as make runs it."""

    argv: list[str]
    inputs: list[str]
    outputs: list[str]


def run(directory: str, *, runs: int) -> Iterator[Race]:
    """Clean builds of the interpreter."""
    title = "Lua, clean: one action a file"
    workspace = os.path.join(directory, "lua")
    shutil.copytree(_EXAMPLE, workspace, ignore=shutil.ignore_patterns("bldr-out"))
    cache, warm = os.path.join(directory, "lua-cache"), os.path.join(directory, "lua-warm")
    argv = [peers.bldr(), "build", "--hermetic", JOBS, "--cache-dir", cache, _TARGET]
    output = os.path.join(directory, "lua.output")
    warm_up(warm, c=True)  # the toolchain of C is found once on a machine, not in every clean build
    fetch = [peers.bldr(), "fetch", "--cache-dir", warm, "lua"]
    fetched = subprocess.run(fetch, cwd=workspace, env=timed_env(), capture_output=True, text=True, check=False)
    if fetched.returncode:
        reason = f"the sources cannot be fetched: {fetched.stderr.strip().splitlines()[:1]}"
        skipped = Skipped("Lua", f"a network that reaches PyPI; {reason}")
        yield Race(title, (), (skipped,), (Reading("lua", None, None, "the sources cannot be fetched"),))
        return

    def forget() -> None:
        shutil.rmtree(os.path.join(workspace, "bldr-out"), ignore_errors=True)
        shutil.rmtree(cache, ignore_errors=True)
        subprocess.run(["cp", "-a", warm, cache], check=True)

    found = subprocess.run(
        [sys.executable, "-c", _PLAN, _TARGET, warm], cwd=workspace, env=timed_env(), capture_output=True, text=True
    )
    if found.returncode:
        raise SystemExit(found.stderr)
    commands, places = json.loads(found.stdout)
    made = os.path.join(directory, "lua-make")
    for path, place in places.items():
        if os.path.isfile(place):
            os.makedirs(os.path.dirname(os.path.join(made, path)), exist_ok=True)
            shutil.copy(place, os.path.join(made, path))
    write(os.path.join(made, "Makefile"), makefile([Command(*command) for command in commands]))
    contenders = [
        peers.contender(
            f"make {JOBS}",
            "make",
            lambda path: run_command([path, "-s", JOBS], made, f"{made}.output"),
            lambda: run_command([peers.find("make"), "clean"], made, f"{made}.output"),
        ),
        Contender(OURS, lambda: run_command(argv, workspace, output), forget),
    ]
    result = race(title, contenders, max(3, runs // 2), warm_up=1)
    yield result.read(result.reading("lua", OURS, f"make {JOBS}"))


def makefile(commands: list[Command]) -> str:
    """The same commands for make; what they see is the directory that they run in."""
    outputs = [output for command in commands for output in command.outputs]
    directories = sorted({os.path.dirname(output) for output in outputs})
    lines = ["MAKEFLAGS += -rR", f"all: {' '.join(outputs)}", f"$(shell mkdir -p {' '.join(directories)})"]
    for command in commands:
        words = [word.replace("${BLDR_ROOT}", ".") for word in command.argv]
        line = " ".join(shlex.quote(word).replace("$", "$$") for word in words)
        lines += [f"{' '.join(command.outputs)}: {' '.join(command.inputs)}", f"\t{line}"]
    lines += ["clean:", f"\trm -f {' '.join(outputs)}", ".PHONY: all clean", ""]
    return "\n".join(lines)
