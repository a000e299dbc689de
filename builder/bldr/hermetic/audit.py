"""Says what a spec has to do with a path, and what a run had to do with its spec.

What an action tried and was refused cannot be seen yet: a sandbox shows it as a file that is not there. So a path that
a command complains about is classified after the fact, and the violations of a run are those that the platform saw.
"""

import os
from collections.abc import Iterable
from typing import Literal

import msgspec

from bldr.api import Exit, Isolation, NetworkPolicy, SandboxSpec, Usage, Verdict
from bldr.hermetic.check import below
from bldr.hermetic.policy import Demand, is_hermetic, missing

Role = Literal["input", "output", "temp", "made", "device", "undeclared"]


class Access(msgspec.Struct, frozen=True):
    """What a spec says of one path: its role, the declaration that covers it ("" for none), and a remedy."""

    path: str
    role: Role
    declared: str = ""
    hint: str = ""

    @property
    def readable(self) -> bool:
        return self.role != "undeclared"

    @property
    def writable(self) -> bool:
        return self.role in ("output", "temp", "device")


class Violation(msgspec.Struct, frozen=True):
    """Something that went past the spec: a limit that was passed, or a guarantee that was not given."""

    kind: Literal["limit", "isolation"]
    subject: str
    detail: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as it is worth keeping: what was run, under which isolation and limits, and how it ended."""

    argv: tuple[str, ...]
    exit_code: int
    hermetic: bool
    isolation: Isolation
    usage: Usage
    limits: dict[str, float]
    network: NetworkPolicy
    verdict: Verdict | None = None
    violations: tuple[Violation, ...] = ()

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()


def access(spec: SandboxSpec, path: str) -> Access:
    """The role of an absolute path in the sandbox, by the deepest declaration above it. Pure."""
    path = os.path.normpath(path)
    roles: tuple[tuple[Role, Iterable[str]], ...] = (
        ("input", (place.path for place in spec.inputs)),
        ("output", (place.path for place in spec.outputs)),
        ("temp", (temp.path for temp in spec.temps)),
        ("made", (file.path for file in spec.files)),
        ("made", (link.path for link in spec.links)),
        ("made", ("/sys",) if spec.sysfs else ()),
        ("device", spec.devices),
    )
    covering = [(declared, role) for role, paths in roles for declared in paths if below(path, declared) is not None]
    if not covering:
        return Access(path, "undeclared", "", f'declare it: `.input("{path}")`, or `.output("{path}")` to write it')
    declared, role = max(covering, key=lambda pair: len(pair[0]))
    return Access(path, role, declared)


def violations(spec: SandboxSpec, demand: Demand, end: Exit) -> tuple[Violation, ...]:
    """What the platform saw: the limit that ended the run, and what was demanded or set and not reached."""
    found = [Violation("limit", end.verdict.limit, str(end.verdict))] if end.verdict else []
    wanted = dict.fromkeys((*demand.required, *sorted(spec.resources.required)))
    for name in missing(wanted, end.isolation):
        found.append(Violation("isolation", name, "not enforced in this run"))
    return tuple(found)


def record(spec: SandboxSpec, demand: Demand, argv: Iterable[str], end: Exit) -> Record:
    """The run as one value."""
    return Record(
        argv=tuple(argv),
        exit_code=end.exit_code,
        hermetic=is_hermetic(end.isolation, spec.network, spec.resources.required),
        isolation=end.isolation,
        usage=end.usage,
        limits=spec.resources.by_name(),
        network=spec.network,
        verdict=end.verdict,
        violations=violations(spec, demand, end),
    )
