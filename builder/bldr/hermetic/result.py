"""What came of one command in a sandbox."""

import msgspec

from bldr.api import Isolation, Usage, Verdict


class ExecutionResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended and under which isolation it ran.

    `exit_code` is 128 + N after signal N. `hermetic`: every guarantee was given and there was no network. `verdict`
    names the limit that ended the command, or is None. `limits` are those that held, by name (see `bldr.api.LIMITS`).
    """

    exit_code: int
    hermetic: bool
    isolation: Isolation
    usage: Usage
    limits: dict[str, float]
    verdict: Verdict | None
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def success(self) -> bool:
        return self.exit_code == 0 and self.verdict is None

    @property
    def stdout(self) -> str:
        """Standard output as text; what is not UTF-8 is replaced (see `stdout_bytes`)."""
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self.stderr_bytes.decode(errors="replace")
