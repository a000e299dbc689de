"""Golden keys: what the keys of a workspace's actions are made of, in a text file beside the test."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bldr.api.actions import Artifact, Platform
from bldr.api.toolchains import Toolchain
from bldr.execute.sources import Sources
from bldr.graph.actions import ActionNode
from bldr.plan.explain import differences
from bldr.plan.key import key_of, walk
from bldr.session import Session
from bldr.testing.planning import open_project
from bldr.testing.project import Project

PLATFORM = Platform("linux", "x86_64")
_HEAD = "# What the keys of these actions are made of. Written by pytest --bldr-update-golden; do not edit.\n"
_DECIDED = ("argument ", "variable ", "toolchain ", "parameter file ", "output ", "depfile")
"""Fields that a handler decides, by how they begin."""

_SECTION = re.compile(r"\[(.+)\]")

Keys = dict[str, dict[str, str]]
"""By action, all fields that its key covers; the first is the key itself."""


class GoldenKeys:
    """The fixture `golden_keys`: call it with a project. `path` is the file, `update` whether to write it."""

    def __init__(self, path: Path, test: str, *, update: bool) -> None:
        self.path = path
        self.update = update
        self._test = test

    def __call__(self, project: Project, *toolchains: Toolchain) -> None:
        """Compare the keys of all actions of all targets with those of the file.

        What differs from machine to machine is left out: the platform, and the identities of toolchains. `toolchains`
        stand for those of the machine (see `fake_toolchain`), where their attributes decide what a handler does. Fails
        with every entry that changed.
        """
        __tracebackhide__ = True
        now = keys_of(project, toolchains)
        if self.update:
            self.path.write_text(written(now))
            return
        again = f"pytest --bldr-update-golden {self._test}"
        if not self.path.exists():
            raise AssertionError(f"there are no golden keys yet: {self.path} is written by\n    {again}")
        complaint = compared(read(self.path.read_text()), now)
        if complaint:
            raise AssertionError(
                f"{complaint}\nif this is meant, look at it, and write {self.path.name} again:\n    {again}"
            )


def keys_of(project: Project, toolchains: Sequence[Toolchain] = ()) -> Keys:
    """The fields of every action. Raises BldrError as a build would."""
    given = {toolchain.name: toolchain for toolchain in toolchains}

    def replace_toolchains(session: Session) -> None:
        session.platform = PLATFORM
        find = session.toolchains

        def find_or_given(name: str) -> Toolchain:
            return given[name] if name in given else find(name)

        session.toolchains = find_or_given  # type: ignore[assignment]  # it is called, and nothing else, by a plan

    with open_project(project, replace_toolchains) as (session, plan):
        sources = Sources(session.workspace, session.store)
        found: Keys = {}
        for node in plan.nodes:
            fields = _fields(node, sources)
            found[f"{node.label} {node.action.mnemonic} {node.name}"] = {"key": key_of(list(fields.items())), **fields}
        return found


def _fields(node: ActionNode, sources: Sources) -> dict[str, str]:
    """The walk of the key, with sources by content and all else by the name of who makes it."""
    known = tuple(
        msgspec.structs.replace(toolchain, identity=f"the {toolchain.name} of this machine")
        for toolchain in node.toolchains
    )
    fields = dict(walk(msgspec.structs.replace(node, toolchains=known), PLATFORM))
    for kind, artifacts in (("tool", node.action.tools), ("input", node.action.inputs)):
        for artifact in artifacts:
            fields[f"{kind} {artifact.path}"] = _content(artifact, sources)
    return fields


def _content(artifact: Artifact, sources: Sources) -> str:
    return f"made by {artifact.owner}" if artifact.owner is not None else sources.entry(artifact.path).hash


def written(keys: Keys) -> str:
    """As text, a line for each field: names as they are, values as JSON where they hold more than plain characters."""
    parts = [_HEAD]
    for action, fields in sorted(keys.items()):
        parts.append(f"\n[{action}]\n")
        parts += [f"{_escaped(name)} = {_escaped(value)}\n" for name, value in fields.items()]
    return "".join(parts)


def read(text: str) -> Keys:
    """What `written` wrote. Raises ValueError for anything else."""
    keys: Keys = {}
    fields: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        section = _SECTION.fullmatch(line)
        name, separator, value = line.partition(" = ")
        if section:
            fields = keys.setdefault(section[1], {})
        elif separator:
            fields[_unescaped(name)] = _unescaped(value)
        elif line and not line.startswith("#"):
            raise ValueError(f"line {number} of the golden keys is damaged: {line}")
    return keys


def compared(before: Keys, now: Keys) -> str:
    """What changed, for people, and what follows from it; "" where nothing did."""
    lines = [f"{action} is new" for action in now if action not in before]
    lines += [f"{action} is gone" for action in before if action not in now]
    silent: set[str] = set()
    for action, fields in now.items():
        old = before.get(action)
        if old is None or old == fields:
            continue
        reasons = differences(_without_key(old), _without_key(fields))
        lines += [action, *(f"    {reason}" for reason in reasons or ("another order of the same",))]
        if old.get("handler") == fields.get("handler") and _is_the_handlers(old, fields):
            silent.add(fields["handler"])
    if not lines:
        return ""
    told = "the keys changed:\n" + "\n".join(f"    {line}" for line in lines)
    return told + "".join(f"\n{_remedy(handler)}" for handler in sorted(silent))


def _remedy(handler: str) -> str:
    distribution, name, version = handler.split(":")
    return (
        f'the handler "{name}" of {distribution} makes something else of the same targets: '
        f"raise its semantics_version, which is {version}"
    )


def _without_key(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name != "key"}


def _is_the_handlers(old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    """Whether something is different that a handler decides: not the key's own form, and not what sources hold."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return any(
        name.startswith(_DECIDED) or (name.startswith(("input ", "tool ")) and (name not in old or name not in new))
        for name in names
    ) or not any(name != "key" for name in names)


_PLAIN = re.compile(r"[!-~]([ -~]*[!-~])?")


def _escaped(text: str) -> str:
    """The text where it is plain, else JSON without an equals sign, so that the first one ends a name."""
    plain = _PLAIN.fullmatch(text) and not text.startswith(('"', "[", "#")) and " = " not in text
    return text if plain else json.dumps(text).replace("=", "\\u003d")


def _unescaped(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text


def file_name(module: str, test: str) -> str:
    """The golden file of one test, next to its module."""
    return f"{module}.{re.sub('[^A-Za-z0-9_.-]+', '_', test)}.golden"
