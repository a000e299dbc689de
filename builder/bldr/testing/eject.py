"""Ejects an action: writes its command, environment and tree to a directory where a person can run it by hand."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bldr.api.actions import TREE_ROOT
from bldr.api.errors import BldrError
from bldr.execute.building import Plan
from bldr.execute.history import History
from bldr.execute.records import load_record
from bldr.execute.runners import Cached, Done, Work
from bldr.execute.sources import Sources
from bldr.graph.actions import ActionNode
from bldr.plan.entries import Entry, expand
from bldr.session import Session
from bldr.store.digest import Digest
from bldr.testing.planning import open_project

if TYPE_CHECKING:
    from bldr.testing.project import Project

_PLACES = ("/tools/", "/toolchain/", "/tmp/")  # noqa: S108  # the sandbox's own


class Ejected(msgspec.Struct, frozen=True):
    """An action on disk. `directory` holds `tree`, where it runs, `tools`, `toolchain`, `tmp` and the script `run.sh`,
    which gives it `argv` and `env`."""

    name: str
    directory: Path
    argv: tuple[str, ...]
    env: dict[str, str]

    @property
    def tree(self) -> Path:
        """Where it runs, and where its outputs will be."""
        return self.directory / "tree"

    def run(self, timeout_s: float = 600) -> "subprocess.CompletedProcess[str]":
        """Run the script; what it printed, and its exit code."""
        return subprocess.run(
            [self.directory / "run.sh"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def eject(project: "Project", action: str, directory: Path) -> Ejected:
    """Build what the action needs, and write it out. Raises BldrError where there is no such action."""
    label = action.rpartition(" ")[2]
    # Its own failure does not matter: that is what it is ejected for.
    project.bldr("build", "--keep-going", label)
    with open_project(project) as (session, plan):
        node = _chosen(session, plan, action)
        sources = Sources(session.workspace, session.store)
        entries = _entries(session, plan, node, sources)
        directory.mkdir(parents=True)
        for top, artifacts in (("tree", node.action.inputs), ("tools", node.action.tools)):
            _fill(directory / top, expand(artifacts, entries), session)
    for path, text in node.action.files:
        _place(directory / "tree" / path).write_text(text)
    for output in node.action.outputs:
        _place(directory / "tree" / output.path)
    for toolchain in node.toolchains:
        for command, host in toolchain.executables.items():
            program = _place(directory / "toolchain" / toolchain.name / "bin" / command)
            program.symlink_to(_moved(host, directory))
        for path, target in toolchain.links:
            if path.startswith("/toolchain/"):
                _place(Path(f"{directory}{path}")).symlink_to(target)
        for path, host in toolchain.trees:
            _place(Path(f"{directory}{path}")).symlink_to(host)
    (directory / "tmp").mkdir()
    argv = tuple(_moved(word, directory) for word in node.action.argv)
    env = {name: ":".join(_moved(part, directory) for part in value.split(":")) for name, value in node.env}
    env["BLDR_ROOT"] = str(directory / "tree")
    ejected = Ejected(f"{node.action.mnemonic} {node.label}", directory, argv, env)
    _write_script(ejected)
    return ejected


def _chosen(session: Session, plan: Plan, action: str) -> ActionNode:
    """The action that a person named; of several the last that failed, else the last."""
    mnemonic, _, label = action.rpartition(" ")
    named = [node for node in plan.graph.nodes if str(node.label) == label and mnemonic in ("", node.action.mnemonic)]
    if not named:
        there = sorted({f"{node.action.mnemonic} {node.label}" for node in plan.graph.nodes})
        raise BldrError(f'no action is called "{action}"', f"the actions are: {', '.join(there) or 'none'}")
    failed = []
    for node in named:
        record = load_record(session.store, session.root, node.name)
        if record is not None and not record.result.is_ok:
            failed.append(node)
    return (failed or named)[-1]


class _NoRunner:
    def run(self, work: Work, done: Done) -> None:  # noqa: ARG002  # the protocol's
        raise AssertionError(f"nothing is to run, and {work.node.name} was asked for")


def _entries(session: Session, plan: Plan, node: ActionNode, sources: Sources) -> dict[str, tuple[Entry, ...]]:
    """What stands at every input of `node`: sources, and outputs that the store has of the actions before it."""
    history = History(session.store, session.root)
    cached = Cached(_NoRunner(), session.store, history, session.platform, session.platforms.floor)
    entries: dict[str, tuple[Entry, ...]] = {}
    for needed in (*plan.graph.needed(node.deps), node):
        for artifact in (*needed.action.inputs, *needed.action.tools):
            if artifact.is_source:
                entries[artifact.path] = (sources.entry(artifact.path),)
        if needed is node:
            break
        inputs, tools = (tuple(expand(some, entries)) for some in (needed.action.inputs, needed.action.tools))
        work = Work(needed, inputs, tools)
        result, reason = cached.find(work)
        if result is None:
            raise BldrError(f"{needed.name} was not made: {reason}", f"mend {needed.label} first, or eject that")
        for output in needed.action.outputs:
            entries[output.path] = result.entries_of(output)
    return entries


def _fill(top: Path, entries: Iterable[Entry], session: Session) -> None:
    top.mkdir()
    for entry in entries:
        path = _place(top / entry.path)
        if entry.link:
            path.symlink_to(entry.link)
        elif entry.hash:
            path.write_bytes(session.store.blobs.read(Digest(entry.hash, entry.size_bytes)))
            path.chmod(0o755 if entry.executable else 0o644)
        else:
            path.mkdir(exist_ok=True)


def _place(path: Path) -> Path:
    """The path, after its directory was made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _moved(text: str, directory: Path) -> str:
    """A word of the sandbox as one of this machine: the tree, tools and programs stand below `directory` now."""
    if f"{text}/".startswith(_PLACES):
        return f"{directory}{text}"
    return text.replace(TREE_ROOT, str(directory / "tree"))


def _write_script(ejected: Ejected) -> None:
    script = ejected.directory / "run.sh"
    env = [f"{name}={shlex.quote(value)}" for name, value in sorted(ejected.env.items())]
    words = " ".join(["env -i", *env, *map(shlex.quote, ejected.argv)])
    script.write_text(
        "#!/bin/sh\n"
        f"# {ejected.name}, as bldr runs it, but outside its sandbox: the whole machine is in reach.\n"
        f"cd {shlex.quote(str(ejected.tree))} && exec {words}\n"
    )
    os.chmod(script, 0o755)  # noqa: S103  # a program
