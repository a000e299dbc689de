"""Decides which sandbox is used, what isolation is demanded of it, and whether it was reached."""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec

from bldr.api import (
    GUARANTEES,
    LIMITS,
    Isolation,
    IsolationError,
    Level,
    NetworkPolicy,
    Probe,
    Sandbox,
    Shortfall,
    covers,
)

Mode = Literal["require", "best", "none"]
__all__ = ["Demand", "Mode", "check_reached", "covers", "decide", "is_hermetic", "missing", "select_sandbox"]
_ALL = (*GUARANTEES, *LIMITS)
_NOT_SAID = Shortfall("", "the sandbox does not give it", "run `bldr doctor`")
_PINNED = "take the network away, or pin the outputs by hash"


class Demand(msgspec.Struct, frozen=True):
    """What a launch must reach (`required`), and what it will lack, to be told loudly (`shortfalls`)."""

    mode: Mode
    required: tuple[str, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()


def missing(required: Iterable[str], isolation: Isolation) -> list[str]:
    """The names that are not given at all, in the order asked."""
    return [name for name in required if isolation.get(name, Level.NONE) == Level.NONE]


def probe(sandbox: Sandbox) -> Probe:
    """What a platform says of itself; one whose probe fails, or answers nonsense, does not work here."""
    try:
        answer = sandbox.probe()
        if not isinstance(answer, Probe):
            raise TypeError(f"it answered a value of {type(answer).__name__}")
    except (Exception, SystemExit) as error:  # a stranger's code
        why = f"the plugin's probe failed: {type(error).__name__}: {error}"
        remedy = f"report it to the authors of the plugin, {type(sandbox).__module__}"
        return Probe(sandbox.name, supported=False, isolation={}, shortfalls=(Shortfall("", why, remedy),))
    return answer


def promised(sandbox: Sandbox) -> Isolation:
    """The most that a platform gives anywhere; one that does not say so may give everything."""
    known: Isolation | None = getattr(sandbox, "promised", None)
    return dict.fromkeys(_ALL, Level.KERNEL) if known is None else known


def in_order(sandboxes: Iterable[Sandbox]) -> list[Sandbox]:
    """The tiers of this machine: by what each promises, the strongest first."""
    return sorted(sandboxes, key=lambda sandbox: (_strength(promised(sandbox)), sandbox.name), reverse=True)


def strongest(probes: Iterable[Probe]) -> Probe | None:
    """The one that a build gets, unless it wants no isolation."""
    usable = [probe for probe in probes if probe.supported]
    return max(usable, key=lambda probe: _strength(probe.isolation), default=None)


def select_sandbox(sandboxes: Sequence[Sandbox], mode: Mode) -> tuple[Sandbox, Probe]:
    """The supported platform with the most to give, or with the least where no isolation is wanted.

    Platforms are probed in that order, but for those that promise no more than what was found already. Where one does
    not work, the answer's shortfalls say why not: that is what people can do something about. Raises IsolationError
    where no platform is supported.
    """
    order = in_order(sandboxes)
    if mode == "none":
        order.reverse()
    unusable: list[tuple[Sandbox, Probe]] = []
    best: tuple[Sandbox, Probe] | None = None
    for sandbox in order:
        if best is not None and not _may_be_better(sandbox, best[1], mode):
            continue
        answer = probe(sandbox)
        if not answer.supported:
            unusable += [] if answer.foreign else [(sandbox, answer)]
        elif best is None or _is_better(answer.isolation, best[1], mode):
            best = sandbox, answer
    if best is None:
        shortfalls = tuple(shortfall for _, answer in unusable for shortfall in answer.shortfalls)
        raise _error("no sandbox works on this machine", shortfalls or (_NOT_SAID,))
    return best if mode == "none" else (best[0], _with_reasons_of(best[1], unusable))


def _may_be_better(sandbox: Sandbox, best: Probe, mode: Mode) -> bool:
    """Whether it is worth probing: what a platform that promises nothing gives is known only then."""
    known = getattr(sandbox, "promised", None)
    return known is None or _is_better(known, best, mode)


def _is_better(isolation: Isolation, best: Probe, mode: Mode) -> bool:
    one, other = _strength(isolation), _strength(best.isolation)
    return one < other if mode == "none" else one > other


def decide(
    probe: Probe,
    mode: Mode,
    required_limits: Collection[str] = (),
    network: NetworkPolicy = NetworkPolicy(),  # noqa: B008  # frozen
    *,
    pinned: bool = False,
) -> Demand:
    """What to demand of the platform. `required_limits`: those that somebody set on purpose.

    With `require`, raises IsolationError naming every guarantee that is missing, why, and the remedy. `pinned` says
    that the outputs are checked against a hash, which is what makes a network acceptable there.
    """
    if mode == "none":
        return Demand(mode)
    wanted = (*GUARANTEES, *(name for name in LIMITS if name in required_limits))
    shortfalls = _shortfalls(probe, missing(wanted, probe.isolation))
    reached = _reach(network)
    if reached and not pinned:
        shortfalls += (Shortfall("network", f"the action may reach {reached}", _PINNED),)
    if mode == "require" and shortfalls:
        raise _error(f'the sandbox "{probe.sandbox}" cannot give the isolation that was asked for', shortfalls)
    return Demand(mode, wanted if mode == "require" else (), shortfalls)


def check_reached(demand: Demand, isolation: Isolation) -> None:
    """Fail closed after the run as well: raises IsolationError where less was reached than was demanded."""
    lacking = missing(demand.required, isolation)
    if lacking:
        why = "the sandbox promised it and did not reach it"
        raise _error(
            "the isolation that was asked for was not reached",
            tuple(Shortfall(name, why, "run `bldr doctor`") for name in lacking),
        )


def is_hermetic(isolation: Isolation, network: NetworkPolicy, required_limits: Collection[str] = ()) -> bool:
    """Whether a run with this isolation counts as hermetic: everything of the first list, and no network."""
    return not (missing((*GUARANTEES, *required_limits), isolation) or _reach(network))


def _reach(network: NetworkPolicy) -> str:
    """Whom the action may reach besides itself; "" for nobody."""
    if network.host:
        return "the machine's own network"
    if network.bridge is not None:
        return f'the bridge "{network.bridge.name}"'
    return ", ".join(network.hosts)


def _with_reasons_of(answer: Probe, unusable: Sequence[tuple[Sandbox, Probe]]) -> Probe:
    """What the strongest platform that would have given a guarantee says about it."""
    reasons: dict[str, Shortfall] = {}
    for sandbox, other in unusable:
        for shortfall in other.shortfalls:
            why = f'the sandbox "{other.sandbox}" does not work here: {shortfall.why}'
            for name in (shortfall.guarantee,) if shortfall.guarantee else _ALL:
                if promised(sandbox).get(name, Level.NONE) > Level.NONE:
                    reasons.setdefault(name, Shortfall(name, why, shortfall.remedy))
    shortfalls = tuple(reasons.get(shortfall.guarantee, shortfall) for shortfall in answer.shortfalls)
    return msgspec.structs.replace(answer, shortfalls=shortfalls)


def _strength(isolation: Isolation) -> tuple[int, int]:
    given = [isolation.get(name, Level.NONE) for name in _ALL]
    return sum(level > Level.NONE for level in given), sum(given)


def _shortfalls(probe: Probe, names: list[str]) -> tuple[Shortfall, ...]:
    known = {shortfall.guarantee: shortfall for shortfall in probe.shortfalls}
    return tuple(known.get(name, msgspec.structs.replace(_NOT_SAID, guarantee=name)) for name in names)


def _error(message: str, shortfalls: tuple[Shortfall, ...]) -> IsolationError:
    """Guarantees that are missing for one reason share a line."""
    names: dict[str, list[str]] = {}
    for shortfall in shortfalls:
        names.setdefault(shortfall.why, []).append(shortfall.guarantee)
    named = {why: ", ".join(filter(None, which)) for why, which in names.items()}
    lines = [f"  {which}: {why}" if which else f"  {why}" for why, which in named.items()]
    remedies = dict.fromkeys(shortfall.remedy for shortfall in shortfalls if shortfall.remedy)
    return IsolationError("\n".join([message, *lines]), "; ".join(remedies))
