"""Walks down a directory, however deep: `os.walk` recurses before Python 3.12."""

from collections.abc import Iterator

from bldr.system import os


def walk(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each directory at and below `top`, what is above first, with the names of the directories and of all else in it.

    No link below `top` is followed. What cannot be listed is passed over, as is what has too long a path.
    """
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        inside: list[str] = []
        names: list[str] = []
        try:
            with os.scandir(directory) as items:
                for item in items:
                    (inside if item.is_dir(follow_symlinks=False) else names).append(item.name)
        except OSError:
            continue
        yield directory, inside, names
        waiting.extend(f"{directory}/{name}" for name in inside)
