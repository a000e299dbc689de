"""Reasons: how what counts for an action differs from the last time that it ran."""

from collections.abc import Mapping, Sequence

_MOST_NAMED = 3


def differences(before: Mapping[str, str], now: Mapping[str, str], reads: Sequence[str] | None = None) -> list[str]:
    """One sentence for every difference, in the order of the walk.

    `reads` are the inputs that the last run read: where they are known, a changed input that was not read is no
    reason to run again.
    """
    counted = None if reads is None else {f"input {path}" for path in reads}
    arguments = _arguments(before, now)
    found = [arguments] if arguments else []
    for name, value in now.items():
        if name.startswith("argument "):
            continue
        if name not in before:
            found.append(f"{name} is new")
        elif before[name] != value:
            if counted is not None and name.startswith("input ") and name not in counted:
                continue
            found.append(_changed(name, before[name], value))
    found.extend(f"{name} is gone" for name in before if name not in now and not name.startswith("argument "))
    return found


def _changed(name: str, before: str, now: str) -> str:
    if name.startswith("input ") and len(before) == len(now):
        return f"{name.removeprefix('input ')} changed"
    if name.startswith(("tool ", "toolchain ", "parameter file ")):
        return f"{name} changed"
    return f'{name} changed from "{before}" to "{now}"'


def _arguments(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The command line as one difference: what came and what went."""
    old = [value for name, value in before.items() if name.startswith("argument ")]
    new = [value for name, value in now.items() if name.startswith("argument ")]
    if old == new:
        return ""
    came = [argument for argument in new if argument not in old]
    went = [argument for argument in old if argument not in new]
    parts = [f"{verb} {' '.join(words)}" for verb, words in (("added", came), ("removed", went)) if words]
    return f"the command line changed: {', '.join(parts) or 'another order'}"


def summary(reasons: Sequence[str]) -> str:
    """The reasons on one line, the first few named."""
    if len(reasons) <= _MOST_NAMED:
        return "; ".join(reasons)
    return "; ".join(reasons[:_MOST_NAMED]) + f"; and {len(reasons) - _MOST_NAMED} more"
