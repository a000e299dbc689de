"""Start-up: what a command costs before it has done anything."""

import os
import sys
from collections.abc import Iterator

import peers
from measure import Contender, Race, race, run_command

_BUILDERFILE = """\
[workspace]
name = "tiny"

[target.hello]
type = "command"
outputs = ["hello.txt"]
command = "echo hello > $OUT"
"""


def run(directory: str, *, runs: int) -> Iterator[Race]:
    """The interpreter alone, the program alone, and a build that has nothing to do."""
    workspace = os.path.join(directory, "tiny")
    os.makedirs(workspace)
    with open(os.path.join(workspace, "Builderfile"), "w", encoding="utf-8") as file:
        file.write(_BUILDERFILE)
    build = [peers.bldr(), "build", "--hermetic", "--cache-dir", os.path.join(directory, "tiny-cache"), "//..."]
    contenders = [
        Contender("python -c pass", lambda: run_command([sys.executable, "-c", "pass"])),
        Contender("bldr --version", lambda: run_command([peers.bldr(), "--version"])),
        Contender("null build, one target", lambda: run_command(build, workspace, os.path.join(directory, "output"))),
    ]
    yield race("start-up", contenders, runs * 2, warm_up=2)
