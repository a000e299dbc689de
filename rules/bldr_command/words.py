"""The words SRCS, OUTS, OUT, DEPS and TOOLS: variables of a script, spliced elements of an argument list."""

from collections.abc import Mapping
from typing import NamedTuple

from bldr.api import Artifact, Context

TOOLS_ROOT = "/tools"
_SPLIT_OR_EXPANDED = frozenset(" \t\n\r\v\f*?[")
_VARIABLE_MAX_BYTES = 128 * 1024 - 64
"""The kernel takes no longer text in an environment (execve(2), MAX_ARG_STRLEN: 32 pages, with the name and NUL)."""


class Words(NamedTuple):
    """The artifacts that a command may mention."""

    sources: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    deps: tuple[Artifact, ...]
    tools: tuple[Artifact, ...]

    def paths(self) -> dict[str, tuple[str, ...]]:
        """The paths behind each word, relative to the tree's root; OUT stands for the output where there is one."""
        outputs = tuple(artifact.path for artifact in self.outputs)
        words = {
            "SRCS": tuple(artifact.path for artifact in self.sources),
            "DEPS": tuple(artifact.path for artifact in self.deps),
            "TOOLS": tuple(f"{TOOLS_ROOT}/{artifact.path}" for artifact in self.tools),
        }
        if outputs:
            words["OUTS"] = outputs
        if len(outputs) == 1:
            words["OUT"] = outputs
        return words

    def argv(self, command: str | tuple[str, ...], context: Context) -> tuple[str, ...]:
        """The script as an argument of the shell (the target's name is its $0), or the list with its words spliced."""
        if isinstance(command, str):
            if not command.strip():
                context.fail("the command is empty", attribute="command")
            return ("sh", "-euc", command, context.label.name)
        if not command or not command[0]:
            context.fail("the command is empty", attribute="command")
        words = self.paths()
        argv: list[str] = []
        for element in command:
            if element == "$OUT" and "OUT" not in words:
                context.fail("$OUT is for commands with one output", 'write "$OUTS"', "command")
            argv += words.get(element[1:], (element,)) if element.startswith("$") else (element,)
        return tuple(argv)

    def env(self, command: str | tuple[str, ...], env: Mapping[str, str], context: Context) -> dict[str, str]:
        """The environment: the target's own, and for a script the words as well."""
        if not isinstance(command, str):
            return dict(env)
        words = self.paths()
        for name in env:
            if name in words or name == "OUT":
                context.fail(f"the variable {name} is set by bldr", "give yours another name", "env")
        texts = dict(env)
        for name, paths in words.items():
            for path in paths:
                if not _SPLIT_OR_EXPANDED.isdisjoint(path):
                    context.fail(
                        f'the shell would split or expand "{path}" in ${name}', "write the command as a list", "command"
                    )
            texts[name] = text = " ".join(paths)
            if 4 * len(text) > _VARIABLE_MAX_BYTES and len(text.encode()) > _VARIABLE_MAX_BYTES:
                context.fail(
                    f"${name} would be longer than the system allows ({len(paths)} paths)",
                    "name the files under data, or pass a directory that a command made",
                    "command",
                )
        return texts
