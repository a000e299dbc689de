"""Scripts that need no shell: one program with plain words, and perhaps `> output` at the end. Pure.

A shell takes as long to start as a small program takes altogether. What is done without one is what POSIX says that
`sh` does with such a script (Shell Command Language, 2.2, 2.6, 2.7 and 2.9.1); whatever is not plainly of this kind is
left to the shell. GNU make does the same.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

from bldr.api.actions import TREE_ROOT
from bldr.graph.actions import ActionNode

_SHELL = ("sh", "-euc")
_DIRECTORIES_OF_PROGRAMS = ("/toolchain/", "/tools/")
"""Where programs stand in a sandbox, of toolchains and of targets."""

_PIECE = re.compile(
    r"""(?P<space>[ \t]+)
    | (?P<plain>[A-Za-z0-9_./,:=@%+-]+)
    | '(?P<literal>[^'\0]*)'
    | "(?P<quoted>[^"$`\\\0]*)"
    | \$(?P<name>[A-Z]+)(?![A-Za-z0-9_]) | \$\{(?P<braced>[A-Z]+)\}
    | "\$(?P<quoted_name>[A-Z]+)" | "\$\{(?P<quoted_braced>[A-Z]+)\}"
    | (?P<into>>)(?![>&|(])
    """,
    re.VERBOSE,
)
_VARIABLES = frozenset(("SRCS", "OUTS", "OUT", "DEPS", "TOOLS"))
"""Those that are replaced here; a shell gives some others values of its own."""

_GIVEN_TO_SHELLS = frozenset((
    "_", "COMP_WORDBREAKS", "ENV", "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "HISTCMD", "IFS", "LINENO", "MAILCHECK",
    "OLDPWD", "OPTARG", "OPTERR", "OPTIND", "POSIXLY_CORRECT", "PPID", "PS1", "PS2", "PS4", "PWD", "RANDOM", "SECONDS",
    "SHELLOPTS", "SHLVL", "SRANDOM", "UID", "ZDOTDIR",
))  # fmt: skip
"""Variables that a shell reads, or sets to values of its own; and all that begin as bash's do."""

_HARMLESS = re.compile(r"[A-Za-z0-9_./,:=@%+ -]*")
"""A value that no shell makes anything of but fields, at its blanks."""

_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
# Reserved words, and what one shell or another does itself: POSIX, dash, bash, BusyBox, ksh, mksh, yash, zsh.
_OF_SHELLS = frozenset((
    "alias", "array", "autoload", "bg", "bind", "bindkey", "break", "builtin", "bye", "caller", "case", "cd", "chdir",
    "command", "compgen", "complete", "compopt", "continue", "coproc", "declare", "dirs", "disable", "disown", "do",
    "done", "echo", "elif", "else", "emulate", "enable", "esac", "eval", "exec", "exit", "export", "false", "fc", "fg",
    "fi", "float", "for", "foreach", "function", "functions", "getopts", "global", "hash", "help", "hist", "history",
    "if", "in", "integer", "jobs", "kill", "let", "limit", "local", "log", "logout", "mapfile", "namespace", "nameref",
    "noglob", "popd", "print", "printf", "pushd", "pwd", "r", "read", "readarray", "readonly", "rehash", "rename",
    "repeat", "return", "sched", "select", "set", "setopt", "shift", "shopt", "sleep", "source", "stop", "suspend",
    "test", "then", "time", "times", "trap", "true", "type", "typeset", "ulimit", "umask", "unalias", "unfunction",
    "unhash", "unlimit", "unset", "unsetopt", "until", "vared", "wait", "whence", "where", "which", "while", "zmodload",
))  # fmt: skip


_Word = tuple[tuple[str, str], ...]
_INTO: _Word = ()


class PlainCommand(NamedTuple):
    """What is executed instead of an action's own command. `stdout` is the file that a shell would open first, "" for
    none, `env` what it would add to the environment."""

    argv: tuple[str, ...]
    stdout: str = ""
    env: tuple[tuple[str, str], ...] = ()


def without_shell(node: ActionNode) -> PlainCommand | None:
    """What an action does if that is a script which needs no shell, None for others."""
    argv = node.action.argv
    if len(argv) != 4 or argv[:2] != _SHELL:
        return None
    outputs = {output.path for output in node.action.outputs if not output.is_directory}
    found = plain_command(argv[2], dict(node.env), outputs)
    if found is None or not _is_of_toolchain(found.argv[0], node):
        return None
    return found._replace(env=(("PWD", TREE_ROOT),))


def _is_of_toolchain(name: str, node: ActionNode) -> bool:
    """Whether a program was found on this machine, and no shell is likely to do what it does itself, as BusyBox may.

    What somebody made may be a script without `#!`, for a shell; and so may be what stands in a PATH of their own.
    """
    tools = {tool.path.rpartition("/")[2] for tool in node.action.tools}
    if name in tools or _SHELL[0] in tools:
        return False
    path = next((value for variable, value in node.env if variable == "PATH"), "")
    if not all(directory.startswith(_DIRECTORIES_OF_PROGRAMS) for directory in path.split(":")):
        return False
    programs, shells = (
        next((toolchain for toolchain in node.toolchains if program in toolchain.executables), None)
        for program in (name, _SHELL[0])
    )
    if programs is None or programs.trees or shells is None or shells.trees:
        return False
    return "busybox" not in shells.executables[_SHELL[0]]


def plain_command(script: str, env: Mapping[str, str], outputs: Collection[str]) -> PlainCommand | None:
    """What `script` comes to, or None where that is left to the shell. `outputs` are files that it may write to."""
    words = _words(script.strip(" \t\n"))
    if words is None or any(name in _GIVEN_TO_SHELLS or name.startswith("BASH") for name in env):
        return None
    stdout = ""
    if len(words) > 2 and words[-2] == _INTO:
        target = _joined(words[-1], env)
        if target is None or target not in outputs:
            return None
        stdout, words = target, words[:-2]
    argv: list[str] = []
    for word in words:
        fields = _fields(word, env)
        if fields is None:
            return None
        argv += fields
    if not argv or not _PROGRAM.fullmatch(argv[0]) or argv[0] in _OF_SHELLS:
        return None
    if any(TREE_ROOT in word for word in argv):  # which is replaced in the script, and perhaps was no word of it
        return None
    return PlainCommand(tuple(argv), stdout)


@lru_cache(maxsize=256)
def _words(script: str) -> tuple[_Word, ...] | None:
    """The pieces of each word, as (kind, text), with `_INTO` for `>`; None where anything else is in the script."""
    words: list[_Word] = []
    is_open = False  # whether what comes next belongs to the last word
    at = 0
    while at < len(script):
        found = _PIECE.match(script, at)
        if found is None:
            return None
        at = found.end()
        kind = found.lastgroup or ""
        if kind == "into":
            if is_open:  # a number right before it would be that of a descriptor
                return None
            words.append(_INTO)
        elif kind != "space":
            piece = (kind, found[kind])
            words[-1:] = [(*words[-1], piece)] if is_open else [*words[-1:], (piece,)]
        is_open = kind not in ("into", "space")
    return tuple(words)


def _fields(word: _Word, env: Mapping[str, str]) -> list[str] | None:
    """What a word comes to: several fields, or none, where it is a variable alone and not quoted; None for unknown."""
    if len(word) == 1 and word[0][0] in ("name", "braced"):
        value = _value(*word[0], env)
        return None if value is None else [field for field in value.split(" ") if field]
    text = _joined(word, env)
    return None if text is None else [text]


def _joined(word: _Word, env: Mapping[str, str]) -> str | None:
    """The one field that a word comes to; None where there are several, or none, or unknown ones."""
    if word == _INTO:
        return None
    parts: list[str] = []
    for kind, text in word:
        value = _value(kind, text, env)
        if value is None or (kind in ("name", "braced") and (not value or " " in value)):
            return None
        parts.append(value)
    return "".join(parts)


def _value(kind: str, text: str, env: Mapping[str, str]) -> str | None:
    """What a piece of a word stands for; None where that is for a shell to find out."""
    if kind in ("plain", "literal", "quoted"):
        return text
    value = env.get(text) if text in _VARIABLES else None
    if value is None or (kind in ("name", "braced") and not _HARMLESS.fullmatch(value)):
        return None
    return value
