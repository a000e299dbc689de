"""As many files as 100,000 targets have, in 1,000 targets: what a null build has to look at, without 100,000 sandboxes.

Every target reads a hundred sources and writes a hundred outputs, for ninja and for bldr alike. This is another graph
than that of `graphs.py`, and has a bar of its own.
"""

import os
from collections.abc import Iterator

from graphs import OURS
from measure import Contender, Race, race
from tools import Bldr, Ninja, write

TARGETS = 1000
FILES = 100
"""Sources of a target, and outputs."""


class _Wide:
    """The sources of either tool."""

    directory: str

    def write_sources(self) -> None:
        for target in range(TARGETS):
            os.makedirs(f"{self.directory}/p{target}")
            for file in range(FILES):
                write(f"{self.directory}/p{target}/f{file}.txt", f"{target} {file}\n")


class WideNinja(_Wide, Ninja):
    """Its command is one shell that starts nothing."""

    def write(self) -> None:
        self.write_sources()
        lines = ["rule touch", "  command = for file in $out; do echo > $$file; done"]
        for target in range(TARGETS):
            sources = " ".join(f"p{target}/f{file}.txt" for file in range(FILES))
            outputs = " ".join(f"out/p{target}/f{file}" for file in range(FILES))
            lines.append(f"build {outputs}: touch {sources}")
        write(self.path("build.ninja"), "\n".join([*lines, ""]))


class WideBldr(_Wide, Bldr):
    """The same command, hermetically."""

    def write(self) -> None:
        self.write_sources()
        write(self.path("Builderfile"), '[workspace]\nname = "wide"\n')
        outputs = ", ".join(f'"f{file}"' for file in range(FILES))
        for target in range(TARGETS):
            lines = [
                "[target.files]",
                'type = "command"',
                'sources = ["*.txt"]',
                f"outputs = [{outputs}]",
                'command = "for file in $OUTS; do echo > $file; done"',
                "",
            ]
            write(self.path(f"p{target}/Builderfile"), "\n".join(lines))
        self.warm_up()


def run(directory: str, *, runs: int) -> Iterator[Race]:
    """Null builds; the clean ones before are not timed."""
    ninja, bldr = WideNinja(directory, TARGETS), WideBldr(directory, TARGETS)
    for tool in (ninja, bldr):
        tool.write()
        tool.build()
    contenders = [Contender("ninja", ninja.build), Contender(OURS, bldr.build)]
    found = race(f"null build of {TARGETS * FILES:,} sources and as many outputs", contenders, runs, warm_up=2)
    yield found.read(found.reading("null-files", OURS, "ninja"))
