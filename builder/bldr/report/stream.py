"""The one ordered event stream of a build: stamps every event and hands it to every listener."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from bldr.api.events import Event, Listener
from bldr.api.events import Warning as WarningEvent


class EventStream:
    """Owns the listeners of one build. Used by one thread.

    An event that a listener emits while it handles another waits its turn, so that all listeners see one order. A
    listener that raises is switched off with a warning that names it: a build never fails for how it is reported.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        clock: Callable[[], float] = time.monotonic,
        *,
        origins: Mapping[type, object] | None = None,
    ) -> None:
        self._listeners = list(listeners)
        self._origins = origins or {}  # of those that plugins brought
        self._clock = clock
        self._start_s = clock()
        self._waiting: deque[Event] = deque()
        self._delivering = False
        self._following: dict[type[Event], list[Listener]] = {}

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens for events of this kind: what nobody hears need not be made."""
        return bool(self._followers(kind))

    def now_s(self) -> float:
        """Seconds since the stream began: the clock of every `time_s` and `started_s`."""
        return self._clock() - self._start_s

    def emit(self, event: Event) -> None:
        """Stamp an event and deliver it, with whatever it gives rise to, before this returns."""
        self._waiting.append(msgspec.structs.replace(event, time_s=round(self.now_s(), 6)))
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._waiting:
                self._deliver(self._waiting.popleft())
        finally:
            self._delivering = False

    def tick(self) -> None:
        """Let listeners that draw show that time passes; called a few times a second while actions run."""
        for listener in list(self._listeners):
            draw = getattr(listener, "tick", None)
            if draw is None:
                continue
            try:
                draw()
            except (Exception, SystemExit) as error:
                self._switch_off(listener, error)

    def close(self) -> None:
        """End the stream. The first listener is closed last, so that it can show what happened to the others."""
        while self._listeners:
            listener = self._listeners.pop()
            self._following = {}
            try:
                listener.close()
            except (Exception, SystemExit) as error:
                self._switch_off(listener, error)

    def _deliver(self, event: Event) -> None:
        for listener in self._followers(type(event)):
            try:
                listener.on_event(event)
            except (Exception, SystemExit) as error:
                self._switch_off(listener, error)

    def _followers(self, kind: type[Event]) -> list[Listener]:
        """The listeners that are told of this kind, in order."""
        following = self._following.get(kind)
        if following is None:
            following = [listener for listener in list(self._listeners) if self._is_told(listener, kind)]
            self._following[kind] = following
        return following

    def _is_told(self, listener: Listener, kind: type[Event]) -> bool:
        try:
            kinds = getattr(listener, "kinds", None)
            return kinds is None or kind in kinds
        except Exception as error:
            self._switch_off(listener, error)
            return False

    def _switch_off(self, listener: Listener, error: BaseException) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._following = {}  # what is being delivered goes on with the list that it has
        kind = type(listener)
        reason = str(error) or type(error).__name__
        origin = f" of {self._origins[kind]}" if kind in self._origins else ""
        self.emit(
            WarningEvent(
                kind="listener",
                message=f"listener {kind.__module__}.{kind.__qualname__}{origin} failed and was switched off: {reason}",
                hint="the build goes on without it; what it writes is incomplete",
            )
        )
