"""Sessions that find what the session before them loaded, as far as it still holds."""

import gc
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence

from bldr.api.events import Listener
from bldr.api.labels import Label
from bldr.execute.building import BuildOutcome, Plan
from bldr.graph.targets import TargetGraph
from bldr.load.workspace import Workspace, load_workspace
from bldr.session import BuildRequest, Session


class Kept:
    """What stays in the process that builds: the workspace as it was read, and what was made of it alone.

    Only a watcher that knows of every change may say that it still holds.
    """

    def __init__(self) -> None:
        self.workspace: Workspace | None = None
        self.graph: TargetGraph | None = None
        self.as_of_ns = 0
        """When all that is kept was known to be as it is on the disk."""
        self.plan: Plan | None = None
        """What the last session was to build, if it came so far."""
        self.outcome: BuildOutcome | None = None
        self.remembers = False
        """Whether a build that succeeds is to leave a snapshot."""
        self.reported = False
        """Whether the watcher knows what the workspace and the plan depend on."""
        self.snapshot: tuple[int, int] | None = None
        """Which snapshot says the same as what was reported: its inode and time."""
        self.passed_on: dict[str, str | None] | None = None
        """What the last session's environment passed on that no request's key has in it; None where nobody else may be
        told what is built here."""

        self.get_ready: Callable[[], None] | None = None
        """Of the platform that is used: has what takes time wait for the next build."""

    def hold(self, changed: Iterable[str], listed: Iterable[str], as_of_ns: int) -> None:
        """Forget what these changes may concern; what remains was true at `as_of_ns`."""
        self.plan = self.outcome = None
        workspace = self.workspace
        if workspace is None:
            return
        files, directories = set(workspace.files_read), set(workspace.directories_read)
        if (
            workspace.externals  # are looked up in the cache again and again
            or any(path in files or path in directories for path in changed)
            or any(path in files or path.rpartition("/")[0] in directories for path in listed)
        ):
            self.forget()
        else:
            self.as_of_ns = as_of_ns

    def forget(self) -> None:
        """Keep nothing."""
        self.workspace = self.graph = self.plan = self.outcome = None


class WarmSession(Session):
    """A session that takes from `kept` what it can, and leaves there what the next one can."""

    def __init__(self, kept: Kept, request: BuildRequest, listeners: Sequence[Listener] = ()) -> None:
        super().__init__(request, listeners)
        self._kept = kept
        kept.remembers = request.snapshot is not None
        self._workspace, self._graph = kept.workspace, kept.graph

    @property
    def workspace(self) -> Workspace:
        """The parsed workspace: that of the session before, unless something in it changed."""
        if self._workspace is None:
            self._kept.as_of_ns = time.time_ns()
            self._workspace = self._kept.workspace = load_workspace(self.root, self.registry, external=self.bringing)
            gc.freeze()
        return self._workspace

    def build(self) -> BuildOutcome:
        """As every session does; and the outcome is kept."""
        try:
            self._kept.outcome = super().build()
            used = next((one for one in self.registry.sandboxes if one.name == self.platforms.name), None)
            self._kept.get_ready = getattr(used, "get_ready", None)
            return self._kept.outcome
        finally:
            self._kept.passed_on = self._passed_on()

    def plan(self, labels: Sequence[Label], *, tests: bool) -> Plan:
        """As every session does; and the graph of targets is kept."""
        if not self._repositories:
            self._kept.graph = self.graph
        self._kept.plan = super().plan(labels, tests=tests)
        return self._kept.plan

    def _passed_on(self) -> dict[str, str | None] | None:
        """Only requests that may have a snapshot say all that there is to be said, and say it on standard streams."""
        from bldr.snapshot.modules import are_older
        from bldr.snapshot.write import inherited

        wanted, workspace = self.request.snapshot, self._workspace
        if wanted is None or workspace is None or workspace.externals or self._is_followed:
            return None
        return inherited(workspace, self.toolchains) if are_older(wanted.started_ns) else None


def files_of(plan: Plan, workspace: Workspace) -> list[str]:
    """Every file of the workspace that a plan reads, as paths below its root; of a link, what it leads to as well."""
    found = dict.fromkeys(workspace.files_read)
    for node in plan.nodes:
        for artifact in (*node.action.inputs, *node.action.tools):
            if artifact.is_source:
                found[artifact.path] = None
    root = f"{os.path.realpath(workspace.root)}/"
    for path in list(found):
        host = root + path
        try:
            is_link = stat.S_ISLNK(os.lstat(host).st_mode)
        except OSError:
            continue
        real = os.path.realpath(host) if is_link else host
        if real.startswith(root):
            found[real[len(root) :]] = None
    above = {path.rpartition("/")[0] for path in found}
    linked = {path for path in above if path and os.path.realpath(root + path) != root + path}
    for path in [path for path in found if path.rpartition("/")[0] in linked]:
        real = os.path.realpath(root + path)
        if real.startswith(root):
            found[real[len(root) :]] = None
    return list(found)
