"""Expands one list of files of a target: names, patterns, labels, and `!pattern` to take away what patterns matched."""

from collections.abc import Sequence
from typing import Any

from bldr.api.labels import Label, parse_label
from bldr.load.directories import Directory
from bldr.load.glob import SourceError, explain_no_match, find_file, is_label, is_pattern, match_pattern
from bldr.load.validate import Mistake


def expand_files(
    directory: Directory, entries: Sequence[str], attribute: str, mistakes: list[Mistake], *,
    repository: str, package: str, data: dict[str, Any],
) -> tuple[str | Label, ...]:  # fmt: skip
    """Tree paths and labels in the order given, each once; what is wrong is added to `mistakes`.

    `data` is the whole Builderfile: a name that is no file may be the output of a target.
    """
    above = f"{directory.path}/" if directory.path else ""
    found: dict[str | Label, bool] = {}  # -> whether it was named in so many words
    for index, text in enumerate(entries):
        place = (attribute, index)
        try:
            if is_label(text):
                _name(found, parse_label(text, package, repository), text, attribute)
            elif text.startswith("!"):
                continue
            elif is_pattern(text):
                matches = match_pattern(directory, text)
                if not matches:
                    raise explain_no_match(directory, text)
                for match in matches:
                    found.setdefault(above + match, False)
            else:
                _name(found, above + find_file(directory, text), text, attribute)
        except SourceError as refused:
            hint = _target_hint(text, data) or refused.hint
            mistakes.append(Mistake(place, refused.message, hint))
        except ValueError as error:
            message, _, hint = str(error).partition(": ")
            mistakes.append(Mistake(place, message, hint))
    for index, text in enumerate(entries):
        if text.startswith("!"):
            try:
                _take_away(directory, above, text, found)
            except SourceError as refused:
                mistakes.append(Mistake((attribute, index), refused.message, refused.hint))
    return tuple(found)


def _name(found: dict[str | Label, bool], item: str | Label, text: str, attribute: str) -> None:
    if found.get(item):
        raise SourceError(f'"{text}" is named twice by {attribute}', "remove one")
    found[item] = True


def _take_away(directory: Directory, above: str, text: str, found: dict[str | Label, bool]) -> None:
    pattern = text[1:]
    names = match_pattern(directory, pattern) if is_pattern(pattern) else [find_file(directory, pattern)]
    matched = [above + name for name in names if found.get(above + name) is False]
    if not matched:
        raise SourceError(
            f'the exclusion "{text}" takes nothing away', "it is for files that patterns of this list match"
        )
    for path in matched:
        del found[path]


def _target_hint(name: str, data: dict[str, Any]) -> str:
    """What to write where a name is no file but a target of the package, or an output of one."""
    targets = data["target"]
    for target, table in targets.items():
        outputs = table.get("outputs") if isinstance(table, dict) else None
        if isinstance(outputs, list) and name in outputs:
            return f'the target "{target}" makes it: write ":{target}"'
    return f'the target of this name is ":{name}"' if name in targets else ""
