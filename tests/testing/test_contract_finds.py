"""What the contract of handlers is for: each kind of bug in a handler fails a test of it, with words that name it."""

import os
import re
import subprocess
import sys

import pytest

PLUGIN = '''
"""Handlers with one bug each; the languages that they serve are the names of the bugs."""
import os, random, time
import msgspec
from bldr.api import Action, Analysis, Artifact, Files, TargetAttributes, hook, parse_label

class Attributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a target may say."""

class Loose(msgspec.Struct, frozen=True):
    names: list

class Right:
    name = "right"
    semantics_version = 1
    seen = 0

    def attributes(self, type):
        return Attributes

    def analyze(self, attributes, context):
        made = context.declare_file(context.label.name + ".out")
        words = ["touch", made.path]
        provides = [Files((made,))]
        self.bug(context, words, provides)
        action = Action(argv=tuple(words), inputs=(), outputs=(made,), mnemonic="Make", toolchains=("shell",))
        return Analysis((action,), tuple(provides))

    def bug(self, context, words, provides):
        pass

class Raises(Right):
    def bug(self, context, words, provides):
        {}["no such key"]

class Nonsense(Right):
    def analyze(self, attributes, context):
        return ["touch"]

class Thief(Right):
    def analyze(self, attributes, context):
        made = Artifact("right.out", parse_label("//:right"))
        return Analysis((Action(argv=("touch", made.path), inputs=(), outputs=(made,), mnemonic="Make"),))

class Loops(Right):
    def bug(self, context, words, provides):
        while True:
            pass

class Reads(Right):
    def bug(self, context, words, provides):
        with open("/etc/hostname") as file:
            words.append(file.read())

class Looks(Right):
    def bug(self, context, words, provides):
        words.append(str(os.path.exists("/etc/hostname")))

class Clock(Right):
    def bug(self, context, words, provides):
        words.append(str(time.time()))

class Environment(Right):
    def bug(self, context, words, provides):
        words.append(os.environ.get("HOME", ""))

class Changing(Right):
    def bug(self, context, words, provides):
        Changing.seen += 1
        words.append(str(Changing.seen))

class Changeable(Right):
    def bug(self, context, words, provides):
        provides.append(Loose(["a"]))

class Number(Right):
    def bug(self, context, words, provides):
        words.append(7)

class Order(Right):
    def bug(self, context, words, provides):
        words += sorted({"a", "b", "c", "d", "e"}, key=hash)

BUGS = [Right, Raises, Nonsense, Thief, Loops, Reads, Looks, Clock, Environment, Changing, Changeable, Number, Order]
for bug in BUGS:
    bug.serves = (("library", bug.__name__.lower()),)

@hook
def bldr_handlers():
    return BUGS
'''

TESTS = """
import pytest
import bldr.testing.purity
from bldr.testing import HandlerContract
import bldr_buggy as buggy

bldr.testing.purity.ANSWER_TIMEOUT_S = 0.5

@pytest.fixture(scope="session")
def bldr_warm():
    return {"Builderfile": '[target.warm]\\ntype = "command"\\noutputs = ["warm"]\\ncommand = "echo > warm"\\n'}

def contract(bug):
    targets = "".join(
        f'[target.{name}]\\ntype = "library"\\nlanguage = "{name}"\\n' for name in ("right", bug.__name__.lower())
    ) if bug is not buggy.Right else '[target.right]\\ntype = "library"\\nlanguage = "right"\\n'
    return type(f"Test{bug.__name__}", (HandlerContract,), {"handler": bug, "files": {"Builderfile": targets}})

globals().update({f"Test{bug.__name__}": contract(bug) for bug in buggy.BUGS})
"""

SAID = {
    "Raises": "//:raises: KeyError: 'no such key'",
    "Nonsense": "//:nonsense: it answered list instead of Analysis",
    "Thief": 'broke its contract on "//:thief": the output "right.out" was not declared by this target',
    "Loops": "it did not answer within 0.5 seconds: does it loop?",
    "Reads": "it called open('/etc/hostname'): a handler reads no file",
    "Looks": "it called os.stat('/etc/hostname')",
    "Clock": "it called time.time()",
    "Environment": "it called os.environ('HOME')",
    "Changing": "//:changing: the same target gave two analyses",
    "Changeable": "its provider Loose holds a list in names, which can be changed",
    "Number": "its action Make is not well-formed: Expected `str`, got `int` - at `$.argv[2]`",
}


pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def buggy(tmp_path_factory):
    """Function: which tests of the contract to run -> what pytest said, for a plugin with all the bugs."""
    folder = tmp_path_factory.mktemp("buggy")
    metadata = folder / "bldr_buggy-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bldr-buggy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[bldr]\nbuggy = bldr_buggy\n")
    (folder / "bldr_buggy.py").write_text(PLUGIN)
    (folder / "test_buggy.py").write_text(TESTS)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "COLUMNS": "200"}

    def run(wanted):
        words = ["-p", "bldr.testing", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}", "-k", wanted]
        command = [sys.executable, "-m", "pytest", "-q", f"--basetemp={folder / 'basetemp'}", *words, "test_buggy.py"]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=280).stdout

    return run


def test_what_a_handler_does_while_it_analyses(buggy):
    said = buggy("analysis_is_pure")
    failed = dict(re.findall(r"^_+ Test(\w+)\.\w+ _+$(.*?)(?=^_{5,} Test|^=)", said, re.M | re.S))
    assert failed.keys() == SAID.keys(), said
    assert not {name: failed[name] for name, sentence in SAID.items() if sentence not in failed[name]}


def test_the_order_of_a_set_gives_other_commands_elsewhere(buggy):
    said = buggy("another_checkout and (TestRight or TestOrder)")
    assert "1 failed, 1 passed" in said
    assert "TestOrder::test_another_checkout_gives_the_same_bytes" in said
