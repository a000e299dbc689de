"""Makes the declared outputs that do not stand yet, so that there is something to show to the sandbox."""

import contextlib

from bldr.api import Output, SandboxSpec, SpecError
from bldr.system import os


def make_outputs(spec: SandboxSpec) -> tuple[Output, ...]:
    """The outputs that were made. Raises SpecError where the directory above one is missing or not writable."""
    made: list[Output] = []
    for output in spec.outputs:
        path = output.source or output.path
        try:
            if _make(path, output.is_directory):
                made.append(output)
        except OSError as error:
            remove_empty(tuple(made))
            raise SpecError(
                f'output "{output.path}" cannot be made: {(error.strerror or str(error)).lower()}',
                "the directory above it must exist and be writable",
            ) from error
    return tuple(made)


def remove_empty(outputs: tuple[Output, ...]) -> None:
    """Take away again what was made and stayed empty: a command that failed leaves nothing that looks like its work."""
    for output in outputs:
        path = output.source or output.path
        with contextlib.suppress(OSError):  # not empty, or replaced by something else: then it is the command's
            if os.path.isdir(path):
                os.rmdir(path)
            elif os.path.getsize(path) == 0:
                os.unlink(path)


def _make(path: str, is_directory: bool) -> bool:
    if os.path.lexists(path):
        return False
    if is_directory:
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    return True
