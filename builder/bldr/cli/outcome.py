"""The result of a build as `--format json` prints it."""

from typing import Any, TextIO

import msgspec

from bldr.api.errors import ExitCode
from bldr.api.labels import Label
from bldr.session import BuildOutcome


def write_json(outcome: BuildOutcome, out: TextIO, **more: Any) -> None:
    """One object on one line; `more` are the command's own fields."""
    fields = {
        "success": outcome.exit_code == ExitCode.OK,
        "exit_code": outcome.exit_code,
        "ran": outcome.ran,
        "cached": outcome.cached,
        "failed": outcome.failed,
        "outputs": {str(label): list(paths) for label, paths in sorted(outcome.outputs.items())},
        **more,
    }
    out.write(msgspec.json.encode(fields).decode() + "\n")


def write_values(values: Any, out: TextIO) -> None:
    """Values as indented JSON, labels as people write them."""
    out.write(msgspec.json.format(msgspec.json.encode(_plain(values)), indent=2).decode() + "\n")


def _plain(value: Any) -> Any:
    """msgspec would write a label, which is a tuple, as a list."""
    if isinstance(value, Label):
        return str(value)
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(name): _plain(element) for name, element in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value
