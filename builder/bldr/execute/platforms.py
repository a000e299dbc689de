"""The platforms of one build: which sandbox an action gets, what it must reach, and launchers that are opened once."""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from bldr.api.errors import BldrError, IsolationError, Problem
from bldr.api.events import Warning as WarningEvent
from bldr.api.sandbox import GUARANTEES, Isolation, Launcher, Level, Probe, Sandbox
from bldr.api.spec import NetworkPolicy
from bldr.graph.actions import ActionNode, Permissions
from bldr.hermetic.policy import Mode, decide, in_order, missing, probe, select_sandbox
from bldr.report.stream import EventStream
from bldr.store.memo import Memo

if TYPE_CHECKING:
    from bldr.graph.targets import TargetGraph


class Platforms:
    """Chooses between the sandbox of the build and, for actions that are to run without, the weakest there is.

    Nothing is probed or opened before an action needs it, or is likely to: until then, what the last probe found is
    believed. That errs on the strict side only, because a probe is kept only where it found everything: should the
    machine give less now, then an action that must run finds it out, and a result that is served has reached it all.
    """

    def __init__(self, sandboxes: Sequence[Sandbox], mode: Mode, root: str, memo: Memo) -> None:
        self.mode = mode
        self._memo = memo
        self._sandboxes = sandboxes
        self._root = root
        self._selected: dict[Mode, tuple[Sandbox, Probe]] = {}
        self._remembered: dict[Mode, Probe] = {}
        self._launchers: dict[str, Launcher] = {}
        self._opened: Callable[[Launcher], None] = lambda _: None
        self._events: EventStream | None = None
        self._lacking: set[str] = set()
        self._chosen: dict[
            int, tuple[Permissions, tuple[Sandbox, Launcher]]
        ] = {}  # by identity: many actions share one
        self._floors: dict[frozenset[str], Isolation] = {}  # by the limits that somebody set on purpose

    @property
    def name(self) -> str:
        """The sandbox of the build."""
        return self._expected(self.mode).sandbox

    @property
    def starter(self) -> str:
        """The module by which the sandbox of the build can be begun early; "" where it has none."""
        used = next((sandbox for sandbox in self._sandboxes if sandbox.name == self.name), None)
        starter: str = getattr(used, "starter", "")
        return starter

    def on_open(self, opened: Callable[[Launcher], None], events: EventStream) -> None:
        """Tell the loop of every launcher, and people of what the machine cannot give."""
        self._opened = opened
        self._events = events
        for launcher in self._launchers.values():
            opened(launcher)

    def check(self, nodes: Sequence[ActionNode], graph: "TargetGraph") -> None:
        """With `require`: refuse targets that ask for less isolation. Raises IsolationError that names them."""
        if self.mode != "require":
            return
        refused: dict[str, None] = {}
        for node in nodes:
            permissions = node.permissions
            if not permissions.sandboxed:
                what = "runs without a sandbox (enabled = false)"
            elif permissions.network != NetworkPolicy():
                what = "may use the network"
            else:
                continue
            place = graph.target(node.label).place("hermetic")
            refused[str(Problem(*place, f'target "{node.label}" {what}, which --hermetic does not allow'))] = None
        if refused:
            raise IsolationError("\n".join(refused), "take it out of the target, or build with --isolation=best")

    def floor(self, node: ActionNode) -> Isolation:
        """What a stored result of `node` must have reached to be served."""
        mode = self._mode_of(node)
        if mode == "require":
            required = node.permissions.resources.required
            floor = self._floors.get(required)
            if floor is None:
                floor = self._floors[required] = dict.fromkeys((*GUARANTEES, *sorted(required)), Level.SUPERVISED)
            return floor
        if mode == "none":
            return {}
        reached = self._expected(mode).isolation
        network = node.permissions.network
        skipped = {"network"} if network != NetworkPolicy() else set()
        return {name: reached[name] for name in GUARANTEES if name in reached and name not in skipped}

    def missing(self, node: ActionNode, isolation: Isolation) -> list[str]:
        """What `node` had to reach and did not."""
        if self._mode_of(node) != "require":
            return []
        return missing((*GUARANTEES, *self._required_limits(node)), isolation)

    def choose(self, node: ActionNode) -> tuple[Sandbox, Launcher]:
        """The sandbox and launcher for an action that must run. Raises IsolationError where too little is reached."""
        chosen = self._chosen.get(id(node.permissions))
        if chosen is not None and chosen[0] is node.permissions:
            return chosen[1]
        mode = self._mode_of(node)
        sandbox, probe = self._select(mode)
        if sandbox.name not in self._launchers:
            self._open(sandbox, probe, mode)
        self._demand(node, probe, mode)
        answer = (sandbox, self._launchers[sandbox.name])
        self._chosen[id(node.permissions)] = (node.permissions, answer)
        return answer

    def prepare(self) -> None:
        """Something is likely to run: what takes time before it can may begin."""
        for sandbox in self._sandboxes:
            if sandbox.name == self.name and _prepares(sandbox):
                sandbox.prepare()  # type: ignore[attr-defined]

    def open_early(self, nodes: Sequence[ActionNode]) -> None:
        """Open the launcher that most of `nodes` need, if what was prepared for it is there, and do not wait for it: it
        gets ready while the caller does other things. Where that cannot be, it is opened when an action starts."""
        prepared = next((sandbox for sandbox in self._sandboxes if sandbox.name == self.name), None)
        first = next((node for node in nodes if node.permissions.sandboxed), None)
        if first is None or not getattr(prepared, "is_prepared", False):
            return
        mode = self._mode_of(first)
        with contextlib.suppress(BldrError, OSError):
            sandbox, probe = self._select(mode)
            if sandbox is prepared and not decide(probe, mode).shortfalls:  # of which is told when something runs
                self._launchers[sandbox.name] = sandbox.open(self._root, waits=False)  # type: ignore[call-arg]

    def probes(self) -> list[Probe]:
        """What every platform can give here, the strongest first."""
        return [probe(sandbox) for sandbox in in_order(self._sandboxes)]

    def close(self) -> None:
        """End everything that still runs."""
        try:
            for launcher in self._launchers.values():
                launcher.close()
        finally:
            for sandbox in self._sandboxes:
                if _prepares(sandbox):
                    sandbox.dismiss()  # type: ignore[attr-defined]
        self._launchers.clear()
        self._chosen.clear()

    def _open(self, sandbox: Sandbox, probe: Probe, mode: Mode) -> None:
        demand = decide(probe, mode)
        if demand.shortfalls:
            names = ", ".join(shortfall.guarantee for shortfall in demand.shortfalls)
            first = demand.shortfalls[0]
            self._warn(f'the sandbox "{probe.sandbox}" does not give {names} here: {first.why}', first.remedy)
        launcher = sandbox.open(self._root)
        self._launchers[sandbox.name] = launcher
        self._opened(launcher)

    def _demand(self, node: ActionNode, probe: Probe, mode: Mode) -> None:
        """Limits that somebody set on purpose and nobody can enforce: an error, or a warning for each target."""
        lacking = missing(self._required_limits(node), probe.isolation)
        if not lacking or mode == "none":
            return
        decide(probe, mode, lacking)
        known = {shortfall.guarantee: shortfall for shortfall in probe.shortfalls}
        for name in lacking:
            if name in self._lacking:
                continue
            self._lacking.add(name)
            why = known[name].why if name in known else "the sandbox does not give it"
            remedy = known[name].remedy if name in known else ""
            self._warn(f'limits of {name}, as "{node.label}" has one, are not enforced: {why}', remedy)

    def _required_limits(self, node: ActionNode) -> list[str]:
        return sorted(node.permissions.resources.required)

    def _mode_of(self, node: ActionNode) -> Mode:
        return self.mode if node.permissions.sandboxed or self.mode == "require" else "none"

    def _select(self, mode: Mode) -> tuple[Sandbox, Probe]:
        if mode not in self._selected:
            self._selected[mode] = select_sandbox(self._sandboxes, mode)
            probe = self._selected[mode][1]
            kept = msgspec.msgpack.encode(probe) if not missing(GUARANTEES, probe.isolation) else b""
            if kept != (self._memo.get(self._memo_key(mode)) or b""):
                self._memo.put(self._memo_key(mode), kept)
            found = getattr(self._selected[mode][0], "found", None)
            if kept and found is not None:  # of a sandbox that can believe an earlier probe
                self._memo.put(f"{self._memo_key(mode)}/found", found())
        return self._selected[mode]

    def _expected(self, mode: Mode) -> Probe:
        """What an action would get, as far as that is known without trying."""
        if mode not in self._selected:
            if mode not in self._remembered:
                data = self._memo.get(self._memo_key(mode))
                self._remembered[mode] = msgspec.msgpack.decode(data, type=Probe) if data else self._select(mode)[1]
            return self._remembered[mode]
        return self._selected[mode][1]

    def _memo_key(self, mode: Mode) -> str:
        kernel = os.uname()[2:4] if hasattr(os, "uname") else ()
        user = os.geteuid() if hasattr(os, "geteuid") else ""
        names = sorted(sandbox.name for sandbox in self._sandboxes)
        return "/".join(("probe", mode, *kernel, str(user), *names))

    def _warn(self, message: str, hint: str) -> None:
        if self._events is not None:
            self._events.emit(WarningEvent(kind="isolation", message=message, hint=hint))


def _prepares(sandbox: Sandbox) -> bool:
    """Whether it has the two methods that a platform may have besides."""
    return hasattr(sandbox, "prepare") and hasattr(sandbox, "dismiss")
