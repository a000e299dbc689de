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


def select_sandbox(sandboxes: Sequence[Sandbox], mode: Mode) -> tuple[Sandbox, Probe]:
    """The supported platform with the most to give, or with the least where no isolation is wanted.

    Where a platform does not work, the answer's shortfalls say why not: that is what people can do something about.
    Raises IsolationError where no platform is supported.
    """
    probed = [(sandbox, probe(sandbox)) for sandbox in sandboxes]
    usable = [pair for pair in probed if pair[1].supported]
    if not usable:
        shortfalls = tuple(shortfall for _, probe in probed if not probe.foreign for shortfall in probe.shortfalls)
        raise _error("no sandbox works on this machine", shortfalls or (_NOT_SAID,))
    ordered = sorted(usable, key=lambda pair: (_strength(pair[1].isolation), pair[1].sandbox))
    if mode == "none":
        return ordered[0]
    sandbox, best = ordered[-1]
    return sandbox, _with_reasons_of(best, [other for _, other in probed if not other.supported and not other.foreign])


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


def _with_reasons_of(probe: Probe, unsupported: Sequence[Probe]) -> Probe:
    reasons = {
        shortfall.guarantee: msgspec.structs.replace(
            shortfall, why=f'the sandbox "{other.sandbox}" does not work here: {shortfall.why}'
        )
        for other in unsupported
        for shortfall in other.shortfalls
    }
    shortfalls = tuple(reasons.get(shortfall.guarantee, shortfall) for shortfall in probe.shortfalls)
    return msgspec.structs.replace(probe, shortfalls=shortfalls)


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
    lines = [f"  {', '.join(which)}: {why}" for why, which in names.items()]
    remedies = dict.fromkeys(shortfall.remedy for shortfall in shortfalls if shortfall.remedy)
    return IsolationError("\n".join([message, *lines]), "; ".join(remedies))
