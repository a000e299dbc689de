"""Waits for somebody else's build in the workspace, and says so as a build does.

That build may make just what is asked for here, and then its snapshot says so: at once, where this process would have
to load, plan and look up everything that the other one has.
"""

import sys
from collections.abc import Sequence

from bldr.api.errors import BldrError
from bldr.api.events import Warning as WarningEvent
from bldr.execute.workspace_lock import WAITING, workspace_lock
from bldr.report.plain import PlainListener
from bldr.report.stream import EventStream


def wait_for_build(root: str, words: Sequence[str]) -> None:
    """Return when nobody builds in the workspace at `root` for a moment; `words` are the command line."""
    is_quiet = not {"-q", "--quiet"}.isdisjoint(words)
    events = EventStream([PlainListener(sys.stderr, verbosity=-1 if is_quiet else 0)])
    message, hint = WAITING
    try:
        with workspace_lock(root, lambda: events.emit(WarningEvent(kind="lock", message=message, hint=hint))):
            pass
    except BldrError:
        pass  # the whole build says what is wrong
    finally:
        events.close()
