"""A question as whoever answers reads it: who asks, for what, and whether a snapshot or a build is meant for him."""

import time
from collections.abc import Mapping
from typing import Any

from bldr.watch import client

_FIXED = 9  # fields before those of the path
_DAY_NS = 86_400_000_000_000


class Question:
    """The fields that `client.question` writes. Raises ValueError for what is none, or of another version."""

    __slots__ = ("_variables", "begun_ns", "cache", "installation", "key", "namespace")

    def __init__(self, asked: bytes) -> None:
        fields = asked.decode("utf-8", "surrogateescape").split("\0")
        if len(fields) < _FIXED or fields[0] != client.PROTOCOL:
            raise ValueError(fields[0])
        self.key, self.cache, self.namespace = fields[1:4]
        self.begun_ns = int(fields[4])
        variables_at = _FIXED + int(fields[_FIXED - 1])
        self.installation = fields[5:variables_at]
        self._variables = dict(field.split("=", 1) for field in fields[variables_at:] if "=" in field)

    def fits(self, head: Mapping[str, Any]) -> bool:
        """Whether a snapshot was made by the installation that asks, for its environment, and not too long ago."""
        executable, version, path = head["python"]
        if self.installation != [head["bldr"], executable, version, str(len(path)), *path]:
            return False
        if head["cache"] != self.cache or not 0 <= time.time_ns() - head["written_ns"] < _DAY_NS:
            return False
        return self.has(head["passed_on"])

    def has(self, passed_on: Mapping[str, str | None]) -> bool:
        """Whether who asks has these variables with these values, None for those that it must not have."""
        return all(self._variables.get(name) == value for name, value in passed_on.items())
