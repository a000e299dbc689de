"""A workspace for one test: files, edits, and commands of bldr in a process of their own, as a person runs them."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bldr.load.syntax import BUILDERFILE
from bldr.testing.outcome import Outcome

if TYPE_CHECKING:
    from bldr.testing.eject import Ejected

_WITH_EVENTS = ("build", "test", "run")
_SET_FOR_BLDR = ("BLDR_", "BUILDER_")
_SET_BY_CI = ("GITHUB_ACTIONS", "GITLAB_CI", "XML_OUTPUT_FILE")
_TIMEOUT_S = 600


def clean_env(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without anything that is meant for another bldr than that of the test."""
    return {
        name: value for name, value in environ.items() if not name.startswith(_SET_FOR_BLDR) and name not in _SET_BY_CI
    }


class Project:
    """A workspace in `root` with a cache in `cache`. `env` is the environment of its commands and may be changed.

    Made by the fixture `project`. Nothing of it is shared with another test, so what runs and what is cached is what
    the test itself has caused.
    """

    def __init__(self, root: Path, cache: Path, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.root = root
        self.cache = cache
        self.env = clean_env(os.environ)
        self.timeout_s = timeout_s
        root.mkdir(parents=True, exist_ok=True)
        if not (root / BUILDERFILE).exists():
            self.write(BUILDERFILE, "")

    def write(self, files: str | Mapping[str, str | bytes], text: str | bytes | None = None) -> "Project":
        """Write one file (`write("lib/a.txt", "...")`) or several (`write({"a.txt": "...", ...})`).

        Texts lose their common indentation. The root's Builderfile gets a table `workspace` where it has none.
        """
        if isinstance(files, str):
            if text is None:
                raise TypeError(f'what is to be written to "{files}"?')
            files = {files: text}
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                content = textwrap.dedent(content).removeprefix("\n")
                if name == BUILDERFILE and "[workspace]" not in content:
                    content = f'[workspace]\nname = "{self.root.name}"\n\n{content}'
                content = content.encode()
            path.write_bytes(content)
        return self

    def edit(self, name: str, old: str, new: str) -> "Project":
        """Replace the only occurrence of `old` in a file. Raises ValueError where there is none, or another one."""
        text = self.read(name)
        if text.count(old) != 1:
            raise ValueError(f"{name} holds {old!r} {text.count(old)} times, and an edit replaces one")
        (self.root / name).write_text(text.replace(old, new))
        return self

    def read(self, name: str) -> str:
        """The text of a file of the workspace, as `"bldr-out/hello"`."""
        return (self.root / name).read_text()

    def build(self, *words: str) -> Outcome:
        """`bldr build` with targets and options; everything, where no target is named."""
        return self.bldr("build", *words)

    def test(self, *words: str) -> Outcome:
        """`bldr test`, as `build`."""
        return self.bldr("test", *words)

    def run(self, *words: str) -> Outcome:
        """`bldr run`: the exit code and what was printed are the program's."""
        return self.bldr("run", *words)

    def explain(self, *labels: str) -> dict[str, tuple[str, ...]]:
        """For every action of these targets, `"Mnemonic //label"` to why it would run now, or that it would not."""
        outcome = self.bldr("explain", "--format", "json", *labels).assert_ok()
        found: dict[str, tuple[str, ...]] = {}
        for part in json.loads(outcome.stdout):
            name = f"{part['mnemonic'].partition(' ')[0]} {part['label']}"
            found[name] = (*found.get(name, ()), *part["lines"])
        return found

    def eject(self, action: str, directory: Path | None = None) -> "Ejected":
        """Write one action out, so that a person can run it by hand: its tree, its tools and a script `run.sh` with its
        command and environment, outside any sandbox.

        `action` is `"Mnemonic //label"`, or a label: of its actions the last that failed, or else the last. What it
        needs is built before. `directory` must not exist. Raises BldrError where there is no such action.
        """
        from bldr.testing.eject import eject

        return eject(self, action, directory or self.root.parent / f"ejected-{len(list(self.root.parent.iterdir()))}")

    def bldr(self, command: str, *words: str) -> Outcome:
        """Any command of bldr, in the workspace's root, with the cache and the environment of the project."""
        events = self.cache.parent / f"{self.cache.name}.events"
        events.unlink(missing_ok=True)
        options = ("--events", str(events)) if command in _WITH_EVENTS else ()
        argv = [sys.executable, "-m", "bldr", command, *options, *words]
        done = subprocess.run(
            argv,
            cwd=self.root,
            env={**self.env, "BLDR_CACHE_DIR": str(self.cache)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=self.timeout_s,
            check=False,
        )
        return Outcome(
            command=("bldr", command, *words),
            root=str(self.root),
            exit_code=done.returncode,
            stdout=done.stdout.decode(errors="replace"),
            stderr=done.stderr.decode(errors="replace"),
            events=_events(events),
        )

    def run_program(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of `bldr-out`, outside any sandbox, and return what it printed and its exit code."""
        argv: Sequence[str] = (str(self.root / "bldr-out" / name), *arguments)
        return subprocess.run(
            argv,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.timeout_s,
            check=False,
        )


def _events(path: Path) -> tuple[dict[str, object], ...]:
    if not path.exists():
        return ()
    return tuple(json.loads(line) for line in path.read_text().splitlines())


def copy_cache(cache: Path | None, destination: Path) -> None:
    """A copy with the hard links of its own that a cache has between blobs and staged toolchains; nothing of None."""
    if cache is not None:
        subprocess.run(["cp", "-a", str(cache), str(destination)], check=True)
