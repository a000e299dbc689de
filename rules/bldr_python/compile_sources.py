"""Runs in a sandbox: compiles Python sources to bytecode, and says what is wrong with them.

    compile_sources.py DIRECTORY strict|lenient SOURCES

`SOURCES` is a file with one path a line. The bytecode of `pkg/a.py` is written to `DIRECTORY/pkg/a.pyc`. It is never
compared with its source again (PEP 552, unchecked), so it holds no time. A source that is no Python fails the command;
where it is lenient, the source has no bytecode: distributions carry templates and files for other versions.
"""

import importlib.util
import marshal
import os
import sys
import warnings

_UNCHECKED = (1).to_bytes(4, "little")


def main(directory: str, mode: str, sources: str) -> int:
    with open(sources, encoding="utf-8") as file:
        paths = file.read().splitlines()
    if mode == "lenient":
        warnings.simplefilter("ignore")
    os.makedirs(directory, exist_ok=True)
    failed = 0
    for path in paths:
        with open(path, "rb") as source:
            text = source.read()
        try:
            code = compile(text, path, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if mode != "lenient":
                failed += 1
                _show(path, error)
            continue
        made = os.path.join(directory, os.path.splitext(path)[0] + ".pyc")
        os.makedirs(os.path.dirname(made), exist_ok=True)
        with open(made, "wb") as bytecode:
            bytecode.write(importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(text))
            bytecode.write(marshal.dumps(code))
    return 1 if failed else 0


def _show(path: str, error: BaseException) -> None:
    """As compilers say it: file, line, column, what is wrong, and the line."""
    if not isinstance(error, SyntaxError):
        sys.stderr.write(f"{path}: error: {error}\n")
        return
    sys.stderr.write(f"{path}:{error.lineno or 1}:{error.offset or 1}: error: {error.msg}\n")
    if error.text and error.text.strip():
        line = error.text.rstrip("\n").expandtabs(1)
        sys.stderr.write(f"    {line}\n    {' ' * max(0, (error.offset or 1) - 1)}^\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
