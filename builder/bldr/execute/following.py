"""What tests print, told while they run."""

import codecs
import re
from collections.abc import Callable

from bldr.api.events import TestOutput
from bldr.execute.runners import Work
from bldr.report.text import sanitize
from bldr.system import os

_CHUNK_BYTES = 1 << 16
_HELD = re.compile("[\x1b\x80-\x9f\r]")
"""Characters with which something may begin that means another thing once it is complete."""


class Following:
    """The logs of the tests that run; what is new in them is told at every `tick`, and the rest at the end.

    Lines are told whole. The beginning of one is told as well, so that one can see dots come, unless control characters
    in it could be the half of a sequence.
    """

    def __init__(self, tell: Callable[[TestOutput], None]) -> None:
        self._tell = tell
        self._followed: dict[int, _Log] = {}

    def begin(self, work: Work, path: str) -> None:
        """Follow the log at `path`, which is there; nothing but tests is followed."""
        if work.node.test is not None:
            self._followed[work.node.index] = _Log(str(work.node.label), path)

    def tick(self) -> None:
        """Tell what is new."""
        for log in self._followed.values():
            self._tell_text(log.label, log.more(is_last=False))

    def end(self, work: Work) -> None:
        """Tell the rest, wherever the file is now."""
        log = self._followed.pop(work.node.index, None)
        if log is not None:
            self._tell_text(log.label, log.more(is_last=True))
            log.close()

    def close(self) -> None:
        for log in self._followed.values():
            log.close()
        self._followed.clear()

    def _tell_text(self, label: str, text: str) -> None:
        if text:
            self._tell(TestOutput(label=label, text=text))


class _Log:
    def __init__(self, label: str, path: str) -> None:
        self.label = label
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._waiting = ""

    def more(self, *, is_last: bool) -> str:
        """What can be shown of what was printed since the last time."""
        text = self._waiting
        while chunk := os.read(self._descriptor, _CHUNK_BYTES):
            text += self._decode(chunk)
        if is_last:
            self._waiting = ""
            return sanitize(text + self._decode(b"", final=True))
        end = text.rfind("\n") + 1
        if not _HELD.search(text, end):
            end = len(text)
        self._waiting = text[end:]
        return sanitize(text[:end])

    def close(self) -> None:
        os.close(self._descriptor)
