"""The key of a request: everything outside the workspace and the toolchains that a build's result may depend on.

Nothing is imported at the top but what the interpreter has loaded already: a null build has no time for more.
"""

import os

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMMANDS = ("build", "test")
"""Commands whose answer can be known beforehand."""

SWITCH = "BLDR_SNAPSHOT"
"""The variable that switches snapshots off (`BLDR_SNAPSHOT=off`), to find out whether one of them is to blame."""

_OFF = ("0", "false", "no", "off")

SET_BY_SHELLS = frozenset((
    "_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL",  # shells and what they tell of the window
    "COLORTERM", "GPG_TTY", "SSH_AUTH_SOCK", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "STY", "TERM_PROGRAM_VERSION",
    "TERM_SESSION_ID", "TMUX", "TMUX_PANE", "WINDOWID", "XDG_SESSION_ID", "XDG_VTNR",  # one login or one window
    "INVOCATION_ID", "JOURNAL_STREAM",  # one start of a service
))  # fmt: skip
"""Variables that differ from one shell to the next and that neither bldr nor a plugin of ours looks at. Every other
one is part of the key; one of these is too as soon as a word names it, or a target inherits it (`passed_on`)."""


def request_key(words: "Sequence[str]", directory: str, environ: "Mapping[str, str]") -> str:
    """32 hexadecimal digits that differ wherever words, place, environment, user or kernel do.

    `words` are those of the command line, the command first; `directory` is where it is to run, absolute and without
    links, as `os.getcwd` tells it.
    """
    from xxhash import xxh3_128_hexdigest

    parts = [str(os.geteuid()), *os.uname()[2:4], directory, str(len(words)), *words]
    left_out = SET_BY_SHELLS.difference(word.rpartition("=")[2] for word in words)  # but for `--test-env NAME`
    parts += sorted(f"{name}={value}" for name, value in environ.items() if name not in left_out)
    return xxh3_128_hexdigest("\0".join(parts).encode("utf-8", "surrogateescape"))


def twin_key(words: "Sequence[str]", root: str, environ: "Mapping[str, str]") -> str:
    """`request_key` of what the request is in any checkout: by the Builderfile at its `root`, in place of the root.
    "" where there is none that can be read."""
    from xxhash import xxh3_128_hexdigest

    try:
        with open(f"{root}/Builderfile", "rb") as file:
            return request_key(words, f"checkout {xxh3_128_hexdigest(file.read())}", environ)
    except OSError:
        return ""


def passed_on(names: "Iterable[str]", environ: "Mapping[str, str]") -> "dict[str, str | None]":
    """The values of those of `names` that the key leaves out."""
    return {name: environ.get(name) for name in names if name in SET_BY_SHELLS}


def is_off(environ: "Mapping[str, str]") -> bool:
    """Whether snapshots are neither to be read nor to be written, or are not to be had on this system."""
    if environ.get(SWITCH, "").strip().lower() in _OFF or environ.get("BLDR_DEBUG"):
        return True
    return not hasattr(os, "fork") or os.stat not in os.supports_dir_fd


def moves(words: "Sequence[str]") -> bool:
    """Whether options among `words` may choose another directory, so that the present one says nothing."""
    for word in words:
        if word == "--":
            return False
        if word.startswith("--directory") or (word.startswith("-") and not word.startswith("--") and "C" in word):
            return True
    return False


def cache_directory(words: "Sequence[str]", environ: "Mapping[str, str]") -> str:
    """Where the cache is, as the complete command line would say; a wrong guess finds nothing, and costs only time."""
    chosen = ""
    for index, word in enumerate(words):
        if word == "--":
            break
        if word == "--cache-dir":
            chosen = words[index + 1] if index + 1 < len(words) else ""
        elif word.startswith("--cache-dir="):
            chosen = word.partition("=")[2]
    chosen = chosen or environ.get("BLDR_CACHE_DIR", "")
    if not chosen:
        home = environ.get("XDG_CACHE_HOME") or environ.get("LOCALAPPDATA")
        home = home or os.path.join(os.path.expanduser("~"), ".cache")
        chosen = os.path.join(home, "bldr")
    return os.path.abspath(chosen)
