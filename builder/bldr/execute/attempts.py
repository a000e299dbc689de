"""The runner of tests: tries one that failed again, as often as it may, and judges what a test says of itself."""

from collections.abc import Callable

import msgspec

from bldr.execute.result import ActionResult
from bldr.execute.runners import Done, Limited, Outcome, Work
from bldr.graph.actions import ActionNode
from bldr.graph.test_parts import premature_mark, shard_mark

_TRIED_AGAIN = ("failed", "killed", "violated")
"""How an attempt ends that another may end better; the rest says nothing of the test."""


class Attempts:
    """Between the cache, which hears of the last attempt only, and the slots, for which each waits anew.

    `failed` hears of every attempt that is followed by another, `ended` of every one.
    """

    def __init__(
        self, inner: Limited, failed: Callable[[Work, ActionResult], None], ended: Callable[[Work], None]
    ) -> None:
        self._inner = inner
        self._failed = failed
        self._ended = ended

    def run(self, work: Work, done: Done) -> None:
        if work.node.test is None:
            self._inner.run(work, done)
        else:
            self._attempt(work, work, (), done)

    def _attempt(self, first: Work, work: Work, earlier: tuple[ActionResult, ...], done: Done) -> None:
        self._inner.run(work, lambda work, outcome: self._judge(first, work, outcome, earlier, done))

    def _judge(self, first: Work, work: Work, outcome: Outcome, earlier: tuple[ActionResult, ...], done: Done) -> None:
        self._ended(work)
        node, result = work.node, judged(work.node, outcome.result)
        assert node.test is not None
        if result.status not in _TRIED_AGAIN or work.attempt >= node.test.attempts or self._inner.stopped:
            done(first, Outcome(result, cached=False, earlier=earlier))
            return
        self._failed(work, result)
        reason = f"attempt {work.attempt} failed: {result.message}"
        again = msgspec.structs.replace(work, attempt=work.attempt + 1, reason=reason)
        self._attempt(first, again, (*earlier, result), done)


def judged(node: ActionNode, result: ActionResult) -> ActionResult:
    """The result of a test in the light of the files by which it says that it knows of shards, and that it is at its
    end. They have had their say then, and are left out."""
    assert node.test is not None
    shard, premature = shard_mark(node.test), premature_mark(node.test)
    there = {entry.path for entry in result.outputs}
    outputs = tuple(entry for entry in result.outputs if entry.path not in (shard, premature))
    if len(outputs) != len(result.outputs):
        result = msgspec.structs.replace(result, outputs=outputs)
    if not result.is_ok:
        return result
    if premature in there:
        message = "the test exited before its end: it left the file that TEST_PREMATURE_EXIT_FILE names"
        hint = "something that it calls ends the process"
        return msgspec.structs.replace(result, status="violated", message=message, hint=hint)
    if shard and shard not in there:
        message = "sharding was asked for, and the test did not touch the file that TEST_SHARD_STATUS_FILE names"
        hint = f'take shard_count out of "{node.label}", or let the test do the share that TEST_SHARD_INDEX says'
        return msgspec.structs.replace(result, status="violated", message=message, hint=hint)
    return result
