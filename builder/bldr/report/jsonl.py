"""The listener behind `--events FILE`: one JSON object a line, written as it happens."""

import os
from typing import Any

import msgspec

from bldr.api.errors import BldrError
from bldr.api.events import ActionFinished, Event
from bldr.api.sandbox import Level
from bldr.printable import escaped


def as_json(event: Event) -> dict[str, Any]:
    """The event as JSON holds it; the levels of `isolation` go by their names (none, supervised, kernel)."""
    fields: dict[str, Any] = msgspec.to_builtins(event)
    if isinstance(event, ActionFinished):
        fields["isolation"] = {name: Level(level).name.lower() for name, level in sorted(event.isolation.items())}
    return fields


class JsonLinesListener:
    """Owns the file. Each event is one `write`, so that a reader that follows the file sees whole lines."""

    def __init__(self, path: str) -> None:
        """Open `path` ("-" is standard output). Raises BldrError where that is impossible."""
        try:
            self._descriptor = os.dup(1) if path == "-" else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise BldrError(
                f'cannot write events to "{escaped(path)}": {error.strerror}', "name a file in a directory that exists"
            ) from error
        self._encoder = msgspec.json.Encoder()

    def on_event(self, event: Event) -> None:
        """Append one line."""
        line = self._encoder.encode(as_json(event)) + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
