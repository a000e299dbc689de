"""What a build says: shown as always, and kept as whoever reads a log or a pipe gets it."""

from io import StringIO
from typing import Any, TextIO


class Recorded:
    """Stands for a standard stream. Displays may write to each of `streams` in the form that is right for it; whatever
    else is written goes to both."""

    def __init__(self, shown: TextIO) -> None:
        self.kept = StringIO()
        self.streams: tuple[TextIO, ...] = (shown, self.kept)

    def write(self, text: str) -> int:
        """To both."""
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it is of what is shown."""
        return getattr(self.streams[0], name)
