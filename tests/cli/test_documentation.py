"""The reference pages name everything that there is: commands, options, exit codes, events, variables, functions."""

import os
import re
import typing

import pytest

from bldr.api import events
from bldr.api.errors import ExitCode
from bldr.cli.commands import BUNDLED
from bldr.cli.completion import collect_commands
from bldr.cli.main import BROKEN_PIPE
from bldr.graph.query_syntax import _FUNCTIONS

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "docs")


def page(name):
    with open(os.path.join(DOCS, name), encoding="utf-8") as file:
        return file.read()


def kinds_of_events():
    return [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
    ]


def test_every_command_and_option():
    text = page("reference/command-line.md")
    bundled = [command for command in collect_commands() if command.name in BUNDLED]
    missing = [command.name for command in bundled if f"bldr {command.name}" not in text]
    for command in bundled:
        for option in command.options:
            longest = max(option.names, key=len)
            if longest != "--help" and f"{longest}" not in text:
                missing.append(f"{command.name} {longest}")
    assert missing == []


def test_every_exit_code_and_no_other():
    told = re.findall(r"^\| (\d+) \|", page("reference/command-line.md"), re.MULTILINE)
    codes = {value for name, value in vars(ExitCode).items() if name.isupper()}
    assert {int(code) for code in told} == codes | {BROKEN_PIPE}


def test_every_function_of_queries():
    text = page("reference/command-line.md")
    assert [name for name in _FUNCTIONS if f"`{name}(" not in text] == []


@pytest.mark.parametrize("kind", kinds_of_events(), ids=lambda kind: kind.__name__)
def test_every_event_and_field(kind):
    text = page("reference/events.md")
    name = kind.__struct_config__.tag
    section = text[text.index("## action_finished") :] if name == "action_finished" else ""
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    fields = [field for field in typing.get_type_hints(kind) if field != "time_s"]
    assert [field for field in fields if f"`{field}`" not in row + section] == []
