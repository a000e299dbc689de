"""Outputs that are written while other actions run: a directory at a time, once all that is wanted of it is made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bldr.api.actions import Artifact
from bldr.api.errors import BldrError
from bldr.execute.materialize import Outputs
from bldr.plan.entries import Entry

_MOST_FILES = 256
_MOST_BYTES = 16 << 20
"""Larger directories are left for the end: nothing else is done while one is written."""


class Gradual:
    """Writes what it can of the `wanted` files early. The rest, and whatever goes wrong, is left for the end."""

    def __init__(self, outputs: Outputs, wanted: Iterable[Artifact]) -> None:
        self._outputs = outputs
        self._wanted: dict[str, list[Artifact]] = {}  # by directory
        for artifact in wanted:
            if not artifact.is_directory:
                self._wanted.setdefault(_directory(artifact), []).append(artifact)
        for directory in [name for name, artifacts in self._wanted.items() if len(artifacts) > _MOST_FILES]:
            del self._wanted[directory]
        self._missing = {name: {artifact.path for artifact in artifacts} for name, artifacts in self._wanted.items()}
        self._whole: list[str] = []
        self._written: set[str] = set()

    def made(self, artifacts: Sequence[Artifact]) -> None:
        """These were made, whether or not they were asked for."""
        for artifact in artifacts:
            directory = _directory(artifact)
            missing = self._missing.get(directory)
            if missing is not None:
                missing.discard(artifact.path)
                if not missing:
                    del self._missing[directory]
                    self._whole.append(directory)

    def write_some(self, entries: Mapping[str, Sequence[Entry]]) -> bool:
        """Write one directory; False where none is whole. `entries` are what stands at every path."""
        if not self._whole:
            return False
        artifacts = self._wanted.pop(self._whole.pop())
        if sum(entry.size_bytes for artifact in artifacts for entry in entries[artifact.path]) > _MOST_BYTES:
            return bool(self._whole)
        try:
            self._outputs.write((artifact, entries[artifact.path]) for artifact in artifacts)
        except BldrError:  # it is said at the end, where the same will happen again
            return False
        self._written.update(artifact.path for artifact in artifacts)
        return True

    def left(self, wanted: Mapping[str, Artifact]) -> Iterator[Artifact]:
        """Those of the artifacts, by path, that are still to be written: below directories, which are cleared first,
        all of them."""
        directories = {path for path, artifact in wanted.items() if artifact.is_directory}
        for path, artifact in wanted.items():
            if path not in self._written or not directories.isdisjoint(_above(path)):
                yield artifact


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _directory(artifact: Artifact) -> str:
    return artifact.path.rpartition("/")[0]
