"""Handlers that break their contract: plugin, target and remedy are named, and nothing of theirs is built."""

import os

import pytest

PLUGIN = """
import os, sys
import msgspec
from bldr.api import (
    Action, Analysis, Artifact, Executable, Files, FileList, Label, LabelList, TargetAttributes, TargetError, TestInfo,
    Toolchain, hook,
)

class OddAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    how: str = ""
    table: dict[str, str] = {}

class Loose(msgspec.Struct):
    x: int = 0

def action(context, **more):
    given = dict(argv=("sh", "-c", "true"), inputs=(), mnemonic="Odd")
    given["outputs"] = more.pop("outputs") if "outputs" in more else (context.declare_file("o"),)
    return Action(**{**given, **more})

def act(**more):
    return lambda attributes, context: Analysis((action(context, **more),))

def provide(*values):
    return lambda attributes, context: Analysis((), values)

def twice(attributes, context):
    return Analysis((action(context), action(context)))

def recurse(attributes, context):
    return recurse(attributes, context)

def unmade(attributes, context):
    return Analysis((action(context, inputs=(context.declare_file("other"),)),))

def promise(attributes, context):
    return Analysis((), (Files((context.declare_file("other"),)),))

def same_output(attributes, context):
    one = context.declare_file("o")
    return Analysis((action(context, argv=("a",), outputs=(one,)), action(context, argv=("b",), outputs=(one,))))

def theirs(attributes, context):
    (dep,) = context.deps()
    return Analysis((action(context, outputs=dep.get(Files).files),))

def as_source(attributes, context):
    (dep,) = context.deps()
    return Analysis((action(context, inputs=(Artifact(dep.get(Files).files[0].path),)),))

def claim(attributes, context):
    return Analysis((action(context, outputs=(Artifact("elsewhere", Label("", "", "good")),)),))

def changing(attributes, context):
    attributes.table["x"] = "y"
    return Analysis()

def moving(attributes, context):
    os.chdir("/")
    return Analysis()

def setting(attributes, context):
    os.environ["ODD"] = "1"
    return Analysis()

def talking(attributes, context):
    print("hello from the handler")
    return Analysis((action(context, toolchains=("shell",)),))

def good(attributes, context):
    one = context.declare_file(context.label.name + ".out")
    return Analysis((action(context, outputs=(one,), toolchains=("shell",)),), (Files((one,)),))

HOW = {
    "raise": lambda a, c: {}["missing"],
    "exit": lambda a, c: sys.exit("enough"),
    "interrupt": lambda a, c: (_ for _ in ()).throw(KeyboardInterrupt()),
    "recurse": recurse,
    "refuse": lambda a, c: c.fail("not today", "ask tomorrow", "how"),
    "none": lambda a, c: None,
    "generator": lambda a, c: Analysis((action(c) for _ in "ab")),
    "class": lambda a, c: Analysis,
    "no action": lambda a, c: Analysis(("sh",)),
    "argv text": act(argv="sh -c true"),
    "argv number": act(argv=("sh", 1)),
    "argv nul": act(argv=("sh", "a\\0b")),
    "argv empty": act(argv=()),
    "no outputs": act(outputs=()),
    "output text": act(outputs=("o",)),
    "inputs none": act(inputs=None),
    "inputs list": act(inputs=[]),
    "input outside": act(inputs=(Artifact("../secret"),)),
    "input absolute": act(inputs=(Artifact("/etc/passwd"),)),
    "env number": act(env={"A": 1}),
    "env name": act(env={"A=B": ""}),
    "file": act(files=(("../x", "text"),)),
    "depfile": act(depfile="/tmp/x.d"),
    "mnemonic": act(mnemonic=None),
    "toolchain text": act(toolchains="shell"),
    "toolchain unknown": act(toolchains=("shel",)),
    "declare twice": twice,
    "declare outside": lambda a, c: c.declare_file("../o"),
    "same output": same_output,
    "unmade": unmade,
    "promise": promise,
    "theirs": theirs,
    "as source": as_source,
    "claim": claim,
    "providers mutable": provide(Loose()),
    "providers two": provide(Files(()), Files(())),
    "providers text": provide("Files"),
    "files text": provide(Files(("a",))),
    "files generator": provide(Files(x for x in ())),
    "program": provide(Executable("a.out")),
    "test": provide(TestInfo(argv=("x",), inputs=())),
    "changing": changing,
    "moving": moving,
    "setting": setting,
    "talking": talking,
    "good": good,
    "detect raise": act(toolchains=("raising",)),
    "detect nonsense": act(toolchains=("nonsense",)),
    "detect relative": act(toolchains=("relative",)),
}

class Odd:
    name = "odd"
    serves = (("odd", None),)
    semantics_version = 1
    def attributes(self, type): return OddAttributes
    def analyze(self, attributes, context): return HOW[attributes.how](attributes, context)

class Raising:
    name = "raising"
    environment = ()
    def detect(self, env): return 1 / 0

class Nonsense(Raising):
    name = "nonsense"
    def detect(self, env):
        print("noise")
        return "/usr/bin/cc"

class Relative(Raising):
    name = "relative"
    def detect(self, env): return Toolchain(name="relative", executables={}, files=("bin/cc",), identity="x")

@hook
def bldr_handlers(): return [Odd]

@hook
def bldr_toolchains(): return [Raising, Nonsense, Relative]
"""

WHO = 'the handler "odd" of bldr-odd 1.0 (plugin "odd")'
FAILED = {
    "raise": "KeyError: 'missing'",
    "exit": "SystemExit: enough",
    "interrupt": "KeyboardInterrupt",
    "recurse": "RecursionError: maximum recursion depth exceeded",
}
BROKE = {
    "none": "it answered None instead of Analysis",
    "class": "it answered the class Analysis instead of Analysis",
    "generator": "the actions and the providers of its Analysis are not both tuples",
    "no action": "among its actions is a value of str",
    "argv text": "argv of its action Odd is a value of str instead of a tuple of strings",
    "argv number": "argv of its action Odd is a tuple with a value of int instead of a tuple of strings",
    "argv nul": "an argument of its action Odd holds a NUL character",
    "argv empty": "its action Odd has no command or no outputs",
    "no outputs": "its action Odd has no command or no outputs",
    "output text": "outputs of its action Odd are a tuple with a value of str instead of a tuple of artifacts",
    "inputs none": "inputs of its action Odd are None instead of a tuple of artifacts",
    "inputs list": "inputs of its action Odd are a value of list instead of a tuple of artifacts",
    "input outside": "the input '../secret' is no normal path below the tree's root",
    "input absolute": "the input '/etc/passwd' is no normal path below the tree's root",
    "env number": "env of its action Odd is no table of strings",
    "env name": "env of its action Odd has 'A=B', which no environment can hold",
    "file": "the file '../x' is no normal path below the tree's root",
    "depfile": "the depfile '/tmp/x.d' is no normal path below the tree's root",
    "mnemonic": "the mnemonic and the message of an action are not both strings",
    "toolchain text": "toolchains of its action Odd is a value of str instead of a tuple of strings",
    "same output": 'two of its actions make "o"',
    "unmade": 'no action makes the input "other"',
    "promise": 'no action makes the input "other"',
    "theirs": 'the output "good.out" was not declared by this target: it is "//:good" that makes it',
    "as source": 'it says of "good.out" that it is a file that is a source, which it is not',
    "claim": 'the output "elsewhere" was not declared by this target',
    "providers mutable": "its provider Loose is no frozen struct",
    "providers two": "it gives two providers of the type Files",
    "providers text": "its provider str is no frozen struct",
    "files text": "files of its provider Files are a tuple with a value of str instead of a tuple of artifacts",
    "files generator": "files of its provider Files are a value of generator instead of a tuple of artifacts",
    "program": "program of its provider Executable are a tuple with a value of str instead of a tuple of artifacts",
    "test": "it gives TestInfo for a target whose attributes do not extend TestAttributes",
    "changing": "it changed the attributes of the target",
    "moving": "it changed the working directory",
    "setting": "it changed the environment of bldr",
}
REFUSED = {
    "refuse": "not today\nhint: ask tomorrow",
    "declare twice": 'the output "o" is declared twice\nhint: take one of them out',
    "declare outside": '"../o" cannot be an output\nhint: outputs are paths below the package, without . and ..',
    "toolchain unknown": 'no plugin knows the toolchain "shel"\nhint: did you mean "shell"?',
}
DETECTOR = 'of bldr-odd 1.0 (plugin "odd")'
DETECTED = {
    "detect raise": f'the detector of the toolchain "raising" {DETECTOR} failed: ZeroDivisionError: division by zero',
    "detect nonsense": f'the detector of the toolchain "nonsense" {DETECTOR} broke its contract: '
    "it answered a value of str instead of Toolchain",
    "detect relative": f'the detector of the toolchain "relative" {DETECTOR} broke its contract: '
    '"bin/cc" among its files is no absolute path',
}


@pytest.fixture
def odd(installed):
    installed.install("bldr-odd", PLUGIN, plugin="odd")
    tables = ['[target.good]\ntype = "odd"\nhow = "good"\n']
    for how in (*FAILED, *BROKE, *REFUSED, *DETECTED):
        tables.append(f'[target."{how.replace(" ", "-")}"]\ntype = "odd"\nhow = "{how}"\n')
        if how in ("theirs", "as source"):
            tables.append('deps = [":good"]\n')
    installed.write("".join(tables))
    return installed


def test_a_handler_s_bug_names_plugin_target_and_remedy(odd):
    expected = {}
    for how in (*FAILED, *BROKE):
        label = f"//:{how.replace(' ', '-')}"
        what = f'failed on "{label}"' if how in FAILED else f'broke its contract on "{label}"'
        said = f"error: {WHO} {what}: {FAILED.get(how) or BROKE[how]}\nhint: report it to the authors of bldr-odd\n"
        expected[how] = (2, said)
    for how, message in DETECTED.items():
        noise = "noise\n" if "nonsense" in how else ""  # what a detector prints goes to standard error
        expected[how] = (2, f"{noise}error: {message}\nhint: report it to the authors of bldr-odd\n")
    answers = odd.each(*(["build", f"//:{how.replace(' ', '-')}"] for how in expected))
    given = {how: (code, err) for how, (code, _, err) in zip(expected, answers, strict=True)}
    assert {how: found for how, found in given.items() if found != expected[how]} == {}


def test_what_a_handler_refuses_is_a_mistake_in_the_builderfile(odd):
    answers = odd.each(*(["build", f"//:{how.replace(' ', '-')}"] for how in REFUSED))
    for (how, message), (code, _, err) in zip(REFUSED.items(), answers, strict=True):
        assert code == 2
        assert f'target "//:{how.replace(" ", "-")}": {message}' in err
        assert err.startswith("Builderfile:")


def test_what_a_handler_prints_is_not_what_bldr_prints(odd):
    odd.write('[target.talking]\ntype = "odd"\nhow = "talking"\n')
    for words in (("explain", "//:talking", "--format", "json"), ("build", "--no-hermetic", "//:talking")):
        done = odd.bldr(*words)
        assert "hello" not in done.stdout
    told = {toolchain["name"]: toolchain["description"] for toolchain in odd.doctor()["toolchains"]}
    assert "broke its contract" in told["nonsense"]
    assert f'{WHO}, asked about "//:talking", printed to standard output: hello from the handler' in done.stderr


def test_a_change_of_semantics_is_a_reason_to_run_again(odd):
    odd.write('[target.good]\ntype = "command"\noutputs = ["x"]\ncommand = "echo > $OUT"\n[target.g]\ntype = "mine"\n')
    odd.install("bldr-mine", MINE)
    command = ("build", "--no-hermetic", "//:g")
    assert "1 ran, 0 cached" in odd.bldr(*command).stderr
    assert "0 ran, 1 cached" in odd.bldr(*command).stderr
    module = odd.place / "bldr_mine.py"
    module.write_text(module.read_text().replace("semantics_version = 1", "semantics_version = 22"))
    explained = odd.bldr("explain", "--no-hermetic", "//:g").stdout
    assert 'must run: handler changed from "bldr-mine:mine:1" to "bldr-mine:mine:22"' in explained
    assert "1 ran, 0 cached" in odd.bldr(*command).stderr


MINE = """
from bldr.api import Action, Analysis, Files, TargetAttributes, hook

class Mine:
    name = "mine"
    serves = (("mine", None),)
    semantics_version = 1
    def attributes(self, type): return TargetAttributes
    def analyze(self, attributes, context):
        one = context.declare_file("o")
        argv = ("sh", "-c", "echo > o")
        action = Action(argv=argv, inputs=(), outputs=(one,), mnemonic="M", toolchains=("shell",))
        return Analysis((action,), (Files((one,)),))

@hook
def bldr_handlers(): return [Mine]
"""

ATTRIBUTES = {
    "deps: tuple[int, ...] = ()": 'give "deps", which all targets have, another type',
    "own: complex | dict = 0": "cannot be read from TOML",
}


@pytest.mark.parametrize("line", ATTRIBUTES)
def test_attributes_that_cannot_be_read(installed, line):
    struct = f"class Own(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):\n    {line}\n"
    text = MINE.replace("class Mine", f"{struct}\nclass Mine").replace("return TargetAttributes", "return Own")
    installed.install("bldr-mine", text)
    installed.write('[target.x]\ntype = "mine"\n')
    done = installed.bldr("query", "//...")
    assert done.returncode == 2
    assert 'the handler "mine" of bldr-mine 1.0 (plugin "bldr-mine"): its attributes of type "mine"' in done.stderr
    assert ATTRIBUTES[line] in done.stderr


LOOPING = """
import time

class Loop(Mine):
    name = "loop"
    serves = (("loop", None), ("stubborn", None), ("sleepy", None))
    def analyze(self, attributes, context):
        if attributes.type == "sleepy":
            time.sleep(10_000)
        while attributes.type == "loop":
            try:
                pass
            except Exception:
                pass
        while True:
            try:
                time.sleep(0.01)
            except BaseException:
                pass

@hook
def bldr_handlers(): return [Loop]
"""


@pytest.mark.full
@pytest.mark.skipif(os.name == "nt", reason="there is no timer here")
@pytest.mark.parametrize("kind", ["loop", "sleepy", "stubborn"])
def test_a_handler_that_does_not_come_back_is_ended(installed, kind):
    installed.install("bldr-loop", MINE.replace("bldr_handlers", "unused").replace("@hook", "") + LOOPING)
    installed.write(f'[target.x]\ntype = "{kind}"\n')
    done = installed.bldr("build", "//:x")
    assert done.returncode == 2
    who = 'the handler "loop" of bldr-loop 1.0 (plugin "bldr-loop"), asked about "//:x",'
    assert f"{who} did not come back within 30 s (it was at {installed.place / 'bldr_loop.py'}:" in done.stderr
    assert ("does not let itself be ended" in done.stderr) == (kind == "stubborn")
