"""Plugins that cannot be used are named and left out; two that answer one question are an error that names both."""

import pytest

HANDLER = """
from bldr.api import Analysis, Command, TargetAttributes, hook

class Handler:
    name = "mine"
    serves = (("mine", None),)
    semantics_version = 1
    def attributes(self, type):
        return TargetAttributes
    def analyze(self, attributes, context):
        return Analysis()
"""

TAIL = """
@hook
def bldr_handlers():
    return [Handler]
"""

BROKEN = {
    "importing": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax": ("def (", "SyntaxError"),
    "leaving": ("raise SystemExit(3)", "SystemExit: 3"),
    "interrupting": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "newer": ("from bldr.api import Hypothesis", "cannot import name 'Hypothesis' from 'bldr.api'"),
    "tomorrow": ("bldr_api = '0.999'", "it was written for API 0.999, and this bldr has API 0.1: install a newer bldr"),
    "yesterday": ("bldr_api = '-1'", "its bldr_api is '-1': it must be the version of the API it was written for"),
    "raising": (HANDLER + "@hook\ndef bldr_handlers():\n    1 / 0", "its bldr_handlers raised ZeroDivisionError"),
    "leaving_later": (HANDLER + "@hook\ndef bldr_handlers():\n    exit(1)", "its bldr_handlers raised SystemExit"),
    "forgetful": (HANDLER + "@hook\ndef bldr_handlers():\n    pass", "its bldr_handlers returned None: it must"),
    "wordy": (HANDLER + "@hook\ndef bldr_handlers():\n    return 'Handler'", "a value of str instead of a list"),
    "instance": (HANDLER + "@hook\ndef bldr_handlers():\n    return [Handler()]", "Handler instead of a class"),
    "made": (HANDLER + "Handler.__init__ = lambda self: 1 / 0" + TAIL, "class Handler raised ZeroDivisionError"),
    "nameless": (HANDLER + "del Handler.name" + TAIL, "its class Handler has no name: it is a word"),
    "serving": (HANDLER + "Handler.serves = ('mine', None)" + TAIL, "for its serves: it must be pairs of type and"),
    "versionless": (HANDLER + "Handler.semantics_version = '1'" + TAIL, "has '1' for its semantics_version"),
    "true": (HANDLER + "Handler.semantics_version = True" + TAIL, "has True for its semantics_version"),
    "actionless": (HANDLER + "del Handler.analyze" + TAIL, "its class Handler has no method analyze"),
    "formless": (HANDLER + "Handler.attributes = lambda *_: dict" + TAIL, "a struct that extends TargetAttributes"),
    "testing": (HANDLER + "Handler.serves = (('test', 'x'),)" + TAIL, "a struct that extends TestAttributes"),
    "loose": (
        HANDLER + "class Loose(TargetAttributes, frozen=False, forbid_unknown_fields=False): pass\n"
        "Handler.attributes = lambda *_: Loose" + TAIL,
        "may change or take any key",
    ),
    "detecting": (HANDLER + "@hook\ndef bldr_toolchains():\n    return [Handler]", "Handler has no environment"),
    "locking": (HANDLER + "@hook\ndef bldr_locks():\n    return [Handler]", "Handler has no file_names"),
    "beside": (
        HANDLER + "Handler.environment = Handler.file_names = ()\nHandler.version = 1\nHandler.beside = ('../x',)\n"
        "@hook\ndef bldr_locks():\n    return [Handler]",
        "has ('../x',) for its beside: it must be a tuple of names of files",
    ),
    "boxing": (HANDLER + "@hook\ndef bldr_sandboxes():\n    return [Handler]", "Handler has no tree_layout"),
    "starting": (
        HANDLER + "Handler.tree_layout = 'copy'\nHandler.starter = None\n"
        "@hook\ndef bldr_sandboxes():\n    return [Handler]",
        "has None for its starter: it must be the name of a module",
    ),
    "listening": (HANDLER + "@hook\ndef bldr_listeners():\n    return [Handler]", "Handler has no method on_event"),
    "commanding": (HANDLER + "@hook\ndef bldr_commands():\n    return ['x']", "str instead of bldr.api.Command"),
    "naming": (
        HANDLER + "@hook\ndef bldr_commands():\n    return [Command('-x', '', print, print)]",
        "no name that can be typed",
    ),
}  # fmt: skip


def test_every_broken_plugin_is_named_and_none_takes_the_others_with_it(installed):
    for name, (text, _) in BROKEN.items():
        installed.install(f"bldr-{name.replace('_', '-')}", text, plugin=name, module=f"plugin_{name}")
    installed.install("bldr-fine", HANDLER + TAIL, version="2.5")
    installed.write('[target.x]\ntype = "mine"\n')
    report = installed.doctor()
    problems = {plugin["name"]: plugin["problem"] for plugin in report["plugins"]}
    assert {name: problems[name] for name, (_, expected) in BROKEN.items() if expected not in problems[name]} == {}
    fine = next(plugin for plugin in report["plugins"] if plugin["name"] == "bldr-fine")
    assert (fine["version"], fine["offers"]["handlers"], fine["problem"]) == ("2.5", ["mine"], "")
    assert 'the plugin "importing" of bldr-importing 1.0 could not be loaded: ModuleNot' in "\n".join(
        report["problems"]
    )
    build = installed.bldr("build", "//:x")
    assert build.returncode == 0, build.stderr
    assert 'the plugin "importing" of bldr-importing 1.0 could not be loaded' in build.stderr


def test_a_broken_plugin_is_named_where_it_is_missed(installed):
    installed.install("bldr-cobol", "import no_such_module", plugin="cobol")
    installed.write('[target.x]\ntype = "executable"\nlanguage = "cobol"\n')
    build = installed.bldr("build", "//:x")
    assert build.returncode == 2
    assert 'no handler builds type "executable" in language "cobol"' in build.stderr
    reason = "ModuleNotFoundError: No module named 'no_such_module'"
    assert f"hint: the plugin that serves cobol could not be loaded: {reason}" in build.stderr
    assert "Builderfile:5:1" in build.stderr or "Builderfile:5:12" in build.stderr


ANSWER = """
class One{name}:
    name = "{offered}"
    serves = (("one", None),)
    semantics_version = version = 1
    environment = ()
    file_names = ("one.lock",)
    tree_layout = "copy"
    def attributes(self, type): return TargetAttributes
    def analyze(self, attributes, context): return Analysis()
    def detect(self, env): raise NotImplementedError
    probe = open = read = builderfile = detect

@hook
def {hook}():
    return [{value}]
"""

CONFLICTS = [
    ("bldr_handlers", "x{n}", 'both serve type "one"'),
    ("bldr_toolchains", "one", 'both detect the toolchain "one"'),
    ("bldr_locks", "one", 'both bring the lock format "one"'),
    ("bldr_locks", "x{n}", 'both read lock files called "one.lock"'),
    ("bldr_sandboxes", "one", 'both bring the sandbox "one"'),
    ("bldr_commands", "greet", 'both bring the command "greet"'),
]


@pytest.mark.parametrize(("hook", "offered", "expected"), CONFLICTS, ids=[f"{c[0]}-{c[1]}" for c in CONFLICTS])
def test_two_answers_to_one_question_name_both(installed, hook, offered, expected):
    for n in (1, 2):
        name = offered.format(n=n)
        value = f"Command('{name}', 'x', print, print)" if hook == "bldr_commands" else f"One{n}"
        answer = ANSWER.format(name=n, offered=name, hook=hook, value=value)
        installed.install(f"bldr-n{n}", HANDLER + answer, plugin=f"n{n}", version=f"{n}.0")
    installed.write("")
    ours, theirs = 'bldr-n1 1.0 (plugin "n1")', 'bldr-n2 2.0 (plugin "n2")'
    build = installed.bldr("build", "//...")
    assert (build.returncode, build.stderr.splitlines()) == (
        2,
        [f"error: {ours} and {theirs} {expected}", "hint: uninstall bldr-n2, or the other of the two"],
    )
    assert f"{ours} and {theirs} {expected}" in "".join(installed.doctor()["problems"])


MISFITS = {
    "misspelt": (
        "@hook\ndef bldr_handler(): return []",
        'there is no hook "bldr_handler": did you mean "bldr_handlers"?',
    ),
    "unmarked": ("def bldr_handlers(): return []", "its bldr_handlers is not marked: write @hook above it"),
    "arguments": ("@hook\ndef bldr_handlers(registry): return []", "a hook of it does not fit"),
    "wrapper": ("@hook(wrapper=True)\ndef bldr_handlers():\n    return (yield)", "is marked with wrapper"),
    "first": ("@hook(tryfirst=True)\ndef bldr_handlers(): return []", "is marked with tryfirst"),
    "optional": ("@hook(optionalhook=True)\ndef bldr_handlers(): return []", "is marked with optionalhook"),
    "shadowing": ("@hook\ndef bldr_commands(): return [Command('build', 'x', print, print)]", "which bldr has itself"),
    "twice": (
        "@hook\ndef bldr_commands(): return [Command('a', 'x', print, print)] * 2",
        'bldr-twice 1.0 (plugin "twice") says twice that it would bring the command "a"',
    ),
}


def test_what_does_not_fit_the_hooks_is_an_error_and_doctor_still_tells_all(installed):
    for name, (text, _) in MISFITS.items():
        installed.install(f"bldr-{name}", HANDLER + text, plugin=name, module=f"plugin_{name}")
    installed.write("")
    build = installed.bldr("build", "//...")
    problems = "\n".join(installed.doctor()["problems"])
    assert build.returncode == 2
    for name, (_, expected) in MISFITS.items():
        assert f'bldr-{name} 1.0 (plugin "{name}")' in build.stderr
        assert expected in build.stderr
        assert expected in problems


def test_one_name_for_two_plugins(installed):
    installed.install("bldr-a", "", plugin="same")
    installed.install("bldr-b", "", plugin="same")
    installed.write("")
    expected = 'bldr-a 1.0 (plugin "same") and bldr-b 1.0 (plugin "same") both call themselves "same"'
    assert expected in installed.bldr("build").stderr


def test_of_two_installations_the_first_on_the_path_is_used(installed, tmp_path):
    """As Python's own imports do: description and module belong together."""
    older = tmp_path / "older"
    installed.install("bldr-mine", HANDLER + TAIL, version="2.0")
    installed.install("bldr-mine", HANDLER + "Handler.name = 'old'" + TAIL, version="1.0", place=older)
    installed.write("")
    for places, expected in (((), ("2.0", ["mine"])), ((older,), ("1.0", ["old"]))):
        mine = [plugin for plugin in installed.doctor(places=places)["plugins"] if plugin["name"] == "bldr-mine"]
        assert [(plugin["version"], plugin["offers"]["handlers"]) for plugin in mine] == [expected]


def test_what_a_plugin_does_to_the_process_while_it_is_loaded_is_undone_and_noted(installed):
    text = "import os\nprint('hello')\nos.chdir('/')\nos.environ['HELLO'] = 'x'\ndel os.environ['HOME']\n"
    installed.install("bldr-rude", text + HANDLER + TAIL)
    installed.write(
        '[target.x]\ntype = "command"\noutputs = ["x"]\ncommand = "echo ${HELLO-} > $OUT"\nenv_inherit = ["HELLO"]\n'
    )
    query = installed.bldr("query", "//...")
    assert (query.returncode, query.stdout) == (0, "//:x\n")
    problems = "\n".join(installed.doctor()["problems"])
    assert 'bldr-rude 1.0 (plugin "bldr-rude") changed the working directory while it was loaded' in problems
    assert 'bldr-rude 1.0 (plugin "bldr-rude") prints to standard output while it is loaded' in problems
    assert installed.bldr("build", "--no-hermetic", "//:x").returncode == 0
    assert (installed.root / "bldr-out/x").read_text() == "\n"


def test_deprecated_names_of_the_api_work_and_say_what_to_use(installed, monkeypatch):
    installed.install("bldr-mine", HANDLER.replace("import Analysis", "import Outcome as Analysis") + TAIL)
    code = """
        from bldr.api import deprecation
        deprecation.DEPRECATED = {
            "Outcome": deprecation.Deprecated("bldr.api.handlers:Analysis", "bldr.api.Analysis", "0.1", "1.0")
        }
    """
    installed.install("sitecustomize", code)
    expected = (
        'bldr-mine 1.0 (plugin "bldr-mine"): '
        "bldr.api.Outcome is deprecated since API 0.1 and goes with API 1.0: use bldr.api.Analysis"
    )
    report = installed.doctor()
    assert expected in report["problems"]
    assert [plugin["problem"] for plugin in report["plugins"] if plugin["name"] == "bldr-mine"] == [""]


COMMAND = """
from bldr.api import BldrError, Command, hook

def run(arguments):
    if arguments.how == "raise":
        return {}["nothing"]
    if arguments.how == "refuse":
        raise BldrError("no greeting today", "ask tomorrow")
    return None if arguments.how == "none" else 7

@hook
def bldr_commands():
    return [Command("greet", "greet", lambda parser: parser.add_argument("how"), run)]
"""


def test_a_command_s_bug_is_not_ours(installed):
    installed.install("bldr-greet", COMMAND)
    commands = [["greet", how] for how in ("raise", "refuse", "none", "well")]
    raised, refused, nothing, well = installed.each(
        *commands,
    )
    who = 'the command "greet" of bldr-greet 1.0 (plugin "bldr-greet")'
    assert (raised[0], raised[2].splitlines()[0]) == (2, f"error: {who} failed: KeyError: 'nothing'")
    assert (refused[0], refused[2]) == (2, "error: no greeting today\nhint: ask tomorrow\n")
    assert (nothing[0], nothing[2].splitlines()[0]) == (2, f"error: {who} returned no exit code")
    assert well[0] == 7


LISTENER = """
from bldr.api import hook

class Made:
    def __init__(self): 1 / 0
    def on_event(self, event): pass
    def close(self): pass

class Told(Made):
    def __init__(self): pass
    def on_event(self, event): raise SystemExit("no more ink")

class Picky(Told):
    kinds = 5

@hook
def bldr_listeners():
    return [Made, Told, Picky]
"""


def test_a_listener_s_bug_switches_it_off_and_the_build_goes_on(installed):
    installed.install("bldr-ears", LISTENER)
    installed.write('[target.x]\ntype = "command"\noutputs = ["x"]\ncommand = "echo x > $OUT"\n')
    build = installed.bldr("build", "--no-hermetic", "//:x")
    assert build.returncode == 0
    origin = 'bldr-ears 1.0 (plugin "bldr-ears")'
    assert f"{origin}: its listener Made cannot be made: ZeroDivisionError: division by zero" in build.stderr
    assert build.stderr.count(f"Told of {origin} failed and was switched off: no more ink") == 1
    assert build.stderr.count(f"Picky of {origin} failed and was switched off") == 1
    assert (installed.root / "bldr-out/x").read_text() == "x\n"
