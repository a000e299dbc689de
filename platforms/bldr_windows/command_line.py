"""Command lines: argv as the one string that Windows hands over, and the file that a command's name means. Pure.

Programs split that string themselves, nearly all by the rules of CommandLineToArgvW and of Microsoft's C library.
"""

import ntpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

_PLAIN = re.compile(r'[^\s"]+')
_BEFORE_QUOTE = re.compile(r'(\\*)"')
_AT_END = re.compile(r"(\\+)\Z")
_BATCH = (".bat", ".cmd")
MOST_CHARACTERS = 32_766
"""Of a command line, less the zero at its end."""


def command_line(argv: Sequence[str]) -> str:
    """One string that is split into `argv` again. Raises ValueError for what no command line can hold."""
    program, *words = argv
    if '"' in program or "\0" in "".join(argv):
        raise ValueError("a quote in a program's name, or a zero in a word, fits into no command line")
    line = " ".join([f'"{program}"', *map(quoted, words)])  # the first word has rules of its own: no escapes
    if len(line.encode("utf-16-le", "surrogatepass")) // 2 > MOST_CHARACTERS:
        raise ValueError(f"the command line is longer than the {MOST_CHARACTERS} characters that Windows takes")
    return line


def quoted(word: str) -> str:
    """One word but the first: backslashes count double before a quote, and nowhere else."""
    if _PLAIN.fullmatch(word):
        return word
    return '"' + _AT_END.sub(r"\1\1", _BEFORE_QUOTE.sub(r'\1\1\\"', word)) + '"'


def is_batch(path: str) -> bool:
    """Whether Windows would run this by cmd.exe, which reads the command line by rules that no quoting satisfies."""
    return path.rstrip(". ").lower().endswith(_BATCH)


def find_program(name: str, cwd: str, env: Mapping[str, str], is_file: Callable[[str], bool]) -> str:
    """The file that argv[0] means, looked for in the command's own PATH by its own PATHEXT, never in the caller's.

    Raises FileNotFoundError.
    """
    for candidate in _candidates(name, cwd, env):
        if is_file(candidate):
            return candidate
    where = "" if _has_folder(name) else " in PATH"
    raise FileNotFoundError(2, f"not found{where}", name)


def _candidates(name: str, cwd: str, env: Mapping[str, str]) -> Iterator[str]:
    suffixes = [suffix for suffix in env.get("PATHEXT", "").split(";") if suffix]
    has_suffix = ntpath.splitext(name)[1].lower() in {suffix.lower() for suffix in suffixes}
    folders = [cwd] if _has_folder(name) else [folder.strip('"') for folder in env.get("PATH", "").split(";")]
    for folder in folders:
        if not ntpath.isabs(folder):  # of a relative one nobody can tell whose it is
            continue
        path = ntpath.normpath(ntpath.join(folder, name))
        if has_suffix or _has_folder(name):
            yield path
        for suffix in suffixes:
            yield path + suffix


def _has_folder(name: str) -> bool:
    return "/" in name or "\\" in name or name[1:2] == ":"
