"""A package with a plugin for one language, written from the templates beside this module; its tests pass at once."""

import os
import re
import shutil

from bldr import __version__
from bldr.api import API_VERSION
from bldr.api.errors import BldrError
from bldr.plugins import load_plugins

_TEMPLATES = os.path.join(os.path.dirname(__file__), "init_plugin")
_SUFFIX = ".template"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_MOST_CHARACTERS = 40

NEXT = """\
next: cd {directory} && pip install -e '.[test]' && pytest
"""


def write_package(parent: str, name: str) -> tuple[str, tuple[str, ...]]:
    """Write the package for language `name` into a new folder below `parent`; that folder and its files, by name.

    Raises BldrError for a name that cannot be one or is taken, and where the folder cannot be made.
    """
    words = _words(name)
    directory = words["distribution"]
    path = os.path.join(parent, directory)
    if os.path.lexists(path):
        raise BldrError(f"there is a {directory} already: {path}", "choose another name, or go to another directory")
    try:
        os.mkdir(path)
        try:
            names = tuple(sorted(_write(path, words)))
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
    except OSError as error:
        raise BldrError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
    return directory, names


def _words(name: str) -> dict[str, str]:
    """What stands between @ and @ in the templates. Raises BldrError."""
    bare = re.sub("^bldr[-_]", "", name)
    if not _NAME.fullmatch(bare) or len(bare) > _MOST_CHARACTERS:
        hint = "lower-case letters and digits, parts joined by - or _, as in zig or objective-c"
        raise BldrError(f'"{name}" cannot be the name of a language', hint)
    registry = load_plugins(tolerant=True)
    for (_, language), entry in registry.handlers.items():
        if language == bare:
            raise BldrError(f'the language "{bare}" is served by {entry.distribution}', "choose another name")
    taken = registry.origin("plugin", bare)
    if taken is not None:
        raise BldrError(f'{taken.distribution} has a plugin "{bare}"', "choose another name")
    parts = re.split("[-_]", bare)
    return {
        "name": bare,
        "distribution": f"bldr-{'-'.join(parts)}",
        "module": f"bldr_{'_'.join(parts)}",
        "Class": "".join(part.capitalize() for part in parts),
        "api": API_VERSION,
        "version": __version__.partition("+")[0],
    }


def _write(path: str, words: dict[str, str]) -> list[str]:
    written = []
    for above, _, names in os.walk(_TEMPLATES):
        for name in names:
            if not name.endswith(_SUFFIX):
                continue
            template = os.path.join(above, name)
            place = _filled(os.path.relpath(template, _TEMPLATES).removesuffix(_SUFFIX), words)
            with open(template, encoding="utf-8") as file:
                text = _filled(file.read(), words)
            os.makedirs(os.path.dirname(os.path.join(path, place)), exist_ok=True)
            with open(os.path.join(path, place), "x", encoding="utf-8") as file:
                file.write(text)
            written.append(place.replace(os.sep, "/"))
    return written


def _filled(text: str, words: dict[str, str]) -> str:
    """The text of a template with its words; whatever else stands between two @ stays."""
    return re.sub("@([A-Za-z]+)@", lambda match: words.get(match[1], match[0]), text)
