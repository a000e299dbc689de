"""What a test action is to those who run it: whether its result may be used again, and where it leaves what."""

from typing import Literal

from bldr.api.labels import Label
from bldr.graph.actions import ActionNode, TestPart

Reuse = Literal["no", "auto", "yes"]
"""Whether results of earlier runs will do; `auto`: unless somebody asked for several runs, which no memory replaces."""


def test_directory(label: Label) -> str:
    """Where everything that runs of the test leave is kept, below the folder of outputs."""
    return f"{label.directory}/{label.name}.test".lstrip("/")


def why_not_reused(node: ActionNode, reuse: Reuse) -> str:
    """Why the stored result of a node will not do, whatever it is; "" where it will."""
    part = node.test
    if part is None:
        return ""
    if part.always:
        return f'a test tagged "{part.always}" always runs'
    if reuse == "no":
        return "cached test results are not wanted"
    return "it was asked for several runs" if reuse == "auto" and part.runs > 1 else ""


def shard_mark(part: TestPart) -> str:
    """The file by which a sharded test says that it does its share and no more; "" where there are no shards."""
    return f"{part.stem}/shard.status" if part.shards else ""


def premature_mark(part: TestPart) -> str:
    """The file that a test makes when it begins and removes at its end: one that is left tells of an exit between."""
    return f"{part.stem}/premature.exit"
