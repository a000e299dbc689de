"""The contract of handlers, where a test and an action are held to the same."""

import pytest

from bldr.api import Analysis, Artifact, TestInfo
from bldr.api.attributes import TestAttributes
from bldr.graph.contract import BreachError, check_analysis

BREACHES = {
    "the file '/tmp/x/escaped' is no normal path below the tree's root": {"files": (("/tmp/x/escaped", ""),)},
    "the file '../x' is no normal path below the tree's root": {"files": (("../x", ""),)},
    "files of its provider TestInfo are not pairs of path and text": {"files": (("x", b""),)},
    "files of its provider TestInfo are no tuple of pairs": {"files": [("x", "")]},
    "an argument of its provider TestInfo holds a NUL character": {"argv": ("x", "a\0b")},
    "argv of its provider TestInfo is a value of str instead of a tuple of strings": {"argv": "x"},
    "its provider TestInfo has no command": {"argv": ()},
}


@pytest.mark.parametrize("message", BREACHES)
def test_what_a_test_runs_and_reads_is_held_to_the_contract(message):
    sound = {"argv": ("x",), "inputs": (Artifact("x"),), "files": (("below/x", "text"),)}
    check_analysis(Analysis((), (TestInfo(**sound),)), TestAttributes(type="test"))
    with pytest.raises(BreachError) as breach:
        check_analysis(Analysis((), (TestInfo(**{**sound, **BREACHES[message]}),)), TestAttributes(type="test"))
    assert str(breach.value) == message
