"""Toolchains that a workspace pins: out of an archive of the cache, whatever is on this machine."""

import hashlib
import os
from collections.abc import Sequence

import msgspec

from bldr.api.actions import Action
from bldr.api.errors import ToolchainError
from bldr.api.toolchains import Toolchain
from bldr.load.externals import ExternalSource
from bldr.load.pinned import PinnedToolchain
from bldr.load.suggest import suggest

_FORM = "1"
"""Raised when the same table and tree make another toolchain."""


def pinned_toolchain(pinned: PinnedToolchain, source: ExternalSource, tree: str) -> Toolchain:
    """The toolchain that a table describes; `tree` is the directory that its source was unpacked to.

    Raises ToolchainError where a program is not in it.
    """
    place = f"/toolchain/{pinned.name}/tree"
    for command, (program, *_) in pinned.commands.items():
        path = f"{tree}/{program}"
        if not os.path.isfile(path) or not os.access(path, os.X_OK):
            raise ToolchainError(
                f'the toolchain "{pinned.name}" has no program "{program}" for its command "{command}" in the external '
                f'source "{source.name}"',
                _programs_near(tree, program),
            )
    return Toolchain(
        name=pinned.name,
        executables={command: f"{place}/{program}" for command, (program, *_) in pinned.commands.items()},
        env=pinned.env,
        attributes=pinned.attributes,
        identity=_identity(pinned, source),
        trees=((place, tree),) if pinned.commands else (),
        arguments={command: tuple(words) for command, (_, *words) in pinned.commands.items() if words},
    )


def resolve_command(action: Action, toolchains: Sequence[Toolchain]) -> Action:
    """The action with the program of a pinned toolchain and its arguments in the place of the command's name.

    Other commands are found by PATH where the action runs, as this one would be if it needed no arguments.
    """
    name = action.argv[0]
    if "/" in name or any(tool.path.rpartition("/")[2] == name for tool in action.tools):
        return action
    for toolchain in toolchains:
        program = toolchain.executables.get(name)
        if program is not None:
            if not toolchain.trees:
                return action
            argv = (program, *toolchain.arguments.get(name, ()), *action.argv[1:])
            return msgspec.structs.replace(action, argv=argv)
    return action


def _identity(pinned: PinnedToolchain, source: ExternalSource) -> str:
    """A digest of all that decides what actions see: the archive, what is taken of it, and the table."""
    decides = (_FORM, source.sha256, source.strip_prefix, pinned.commands, pinned.env, pinned.attributes)
    return hashlib.sha256(msgspec.json.encode(decides, order="deterministic")).hexdigest()


def _programs_near(tree: str, program: str) -> str:
    """A hint: what may have been meant."""
    directory, _, name = program.rpartition("/")
    try:
        with os.scandir(os.path.join(tree, directory)) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file() and os.access(entry.path, os.X_OK))
    except OSError:
        return f'there is no directory "{directory}" in it'
    above = f"{directory}/" if directory else ""
    listed = ", ".join(above + other for other in names[:10])
    return suggest(name, names) or (f"the programs there are: {listed}" if listed else f'"{directory}" has no programs')
