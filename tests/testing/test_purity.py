"""A handler that is watched: what of the machine it may not ask."""

import os
import sys
import time

import pytest

from bldr.api import Action, Analysis, TargetAttributes
from bldr.testing import FakeContext
from bldr.testing.purity import ImpureError, WatchedHandler


class Asking:
    """A handler that puts what a function of the machine answers into its command."""

    name = "asking"
    serves = (("library", "asking"),)
    semantics_version = 1

    def __init__(self, ask):
        self._ask = ask

    def attributes(self, type):
        return TargetAttributes

    def analyze(self, attributes, context):
        made = context.declare_file("made")
        return Analysis((Action(argv=("touch", str(self._ask())), inputs=(), outputs=(made,), mnemonic="Make"),))


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (lambda: os.cpu_count(), "os.cpu_count"),
        (lambda: os.uname().nodename, "os.uname"),
        (lambda: os.path.expanduser("~"), "os.environ"),
        (lambda: time.time(), "time.time"),
    ],
)
def test_what_differs_between_machines_is_not_asked(ask, named):
    handler = WatchedHandler(Asking(ask))
    with pytest.raises(ImpureError, match=rf"it called {named}\("):
        handler.analyze(TargetAttributes(type="library"), FakeContext("//:a"))
    assert handler.breaches[0].startswith(f"//:a: ImpureError: it called {named}(")
    ask()  # to everybody else it answers as before


MODULE = """
with open(__file__.removesuffix(".py") + ".txt") as file:
    TEXT = file.read()

remembered = open

def read():
    with open(__file__) as file:
        return file.read()

def read_again():
    with remembered(__file__) as file:
        return file.read()
"""


def test_what_a_module_reads_when_a_handler_imports_it_is_part_of_the_plugin(tmp_path, monkeypatch):
    (tmp_path / "imported_late.py").write_text(MODULE)
    (tmp_path / "imported_late.txt").write_text("said")
    monkeypatch.syspath_prepend(tmp_path)

    def ask():
        import imported_late

        return imported_late.TEXT

    def ask_more():
        import imported_late

        return imported_late.read()

    try:
        handler = WatchedHandler(Asking(ask))
        analysis = handler.analyze(TargetAttributes(type="library"), FakeContext("//:a"))
        assert (analysis.actions[0].argv, handler.breaches) == (("touch", "said"), [])
        with pytest.raises(ImpureError, match=r"it called open\("):
            WatchedHandler(Asking(ask_more)).analyze(TargetAttributes(type="library"), FakeContext("//:a"))
        module = sys.modules["imported_late"]
        assert module.read_again() == MODULE  # whatever it remembers: nobody is asked now
        with pytest.raises(ImpureError, match=r"it called open\("):
            WatchedHandler(Asking(module.read_again)).analyze(TargetAttributes(type="library"), FakeContext("//:a"))
    finally:
        sys.modules.pop("imported_late", None)


def test_what_a_handler_works_out_is_its_own():
    handler = WatchedHandler(Asking(lambda: os.path.join("a", "b")))
    handler.analyze(TargetAttributes(type="library"), FakeContext("//:a"))
    assert handler.breaches == []
