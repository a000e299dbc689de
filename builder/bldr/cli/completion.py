"""`bldr completion`: print a completion script for a shell, made from the parsers of all commands."""

import sys
from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from typing import NamedTuple

SHELLS = ("bash", "zsh", "fish")


class Option(NamedTuple):
    """One option: its spellings, and what kind of value follows: "" for none, file, directory, choice or other."""

    names: tuple[str, ...]
    summary: str
    value: str
    choices: tuple[str, ...]


class CommandWords(NamedTuple):
    """What can be written after a command's name. `positional` is target, file, choice or other."""

    name: str
    summary: str
    options: tuple[Option, ...]
    positional: str
    choices: tuple[str, ...]


def add_arguments(parser: ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that the script is for")
    parser.epilog = "bash: source <(bldr completion bash); zsh: the same; fish: bldr completion fish | source"


def run(arguments: Namespace) -> int:
    """Print the script."""
    from bldr.cli.completion_scripts import bash, fish, zsh

    make = {"bash": bash, "zsh": zsh, "fish": fish}[arguments.shell]
    sys.stdout.write(make(collect_commands()))
    return 0


def collect_commands() -> list[CommandWords]:
    """Ask the parser of every command, bundled or not, what it takes."""
    from bldr.cli.commands import BUNDLED
    from bldr.cli.main import bundled_command, make_parser
    from bldr.plugins import load_plugins

    commands = [bundled_command(name) for name in BUNDLED]
    commands += [command for command, _ in load_plugins().commands.values()]
    return [_words(command.name, command.summary, make_parser(command)) for command in commands]


def _words(name: str, summary: str, parser: ArgumentParser) -> CommandWords:
    options = []
    positional = "other"
    choices: tuple[str, ...] = ()
    for action in parser._actions:
        if action.help == SUPPRESS:
            continue
        if action.option_strings:
            options.append(_option(action))
        elif positional == "other":
            positional, choices = _value(action)
    return CommandWords(name, summary, tuple(options), positional, choices)


def _option(action: Action) -> Option:
    value, choices = ("", ()) if action.nargs == 0 else _value(action)
    return Option(tuple(action.option_strings), (action.help or "").replace("%%", "%"), value, choices)


def _value(action: Action) -> tuple[str, tuple[str, ...]]:
    if action.choices:
        return "choice", tuple(str(choice) for choice in action.choices)
    kinds = {"FILE": "file", "DIR": "directory", "TARGET": "target", "EXPRESSION": "target"}
    return kinds.get(str(action.metavar), "other"), ()
