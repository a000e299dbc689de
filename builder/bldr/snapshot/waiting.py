"""Waits for whoever else is at work in the workspace, and says so as a build does.

That one may build just what is asked for here, and then its snapshot says so: at once, where this process would have
to load, plan and look up everything that the other one has.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing

from bldr.api.errors import BldrError
from bldr.api.events import Warning as WarningEvent
from bldr.execute.workspace_lock import WAITING, workspace_lock
from bldr.report.plain import PlainListener
from bldr.report.stream import EventStream


def when_free(root: str, words: Sequence[str], answer: Callable[[], int | None]) -> int | None:
    """What `answer` returns, asked while the workspace at `root` is held; None where it cannot be, and the whole build
    says why. `words` are the command line."""
    is_quiet = not {"-q", "--quiet"}.isdisjoint(words)
    message, hint = WAITING
    with ExitStack() as held:
        with closing(EventStream([PlainListener(sys.stderr, verbosity=-1 if is_quiet else 0)])) as events:

            def say() -> None:
                events.emit(WarningEvent(kind="lock", message=message, hint=hint))

            try:
                held.enter_context(workspace_lock(root, say))
            except (BldrError, OSError):
                return None
        return answer()
