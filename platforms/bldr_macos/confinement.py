"""Commands under their profiles: each profile is made once, for all launches that may do the same."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile

from bldr.api import Isolation, Launch, SetupFailure
from bldr_macos.guarantees import reached
from bldr_macos.permission import Permissions
from bldr_macos.profile import Permission, make_profile
from bldr_macos.sbpl import NameRefusedError
from bldr_unmounted.confinement import RefusedError, Scratch
from bldr_unmounted.places import Command

_HEAD_BYTES = 256


class Seatbelt:
    """Wraps commands in `sandbox-exec`; see `Confinement`. Owns the directory of profiles below the launcher's root."""

    def __init__(
        self, program: str, permissions: Permissions, directory: str, *, is_root: bool, loopback: bool
    ) -> None:
        self._program = program
        self._permissions = permissions
        self._directory = directory
        self._is_root = is_root
        self._loopback = loopback
        self._written: dict[Permission, str] = {}

    def isolation(self, launch: Launch) -> Isolation:
        return reached(launch.spec, is_root=self._is_root, loopback=self._loopback)

    def confine(self, launch: Launch, command: Command, program: str, scratch: Scratch) -> tuple[str, ...]:
        check_executable(os.path.join(command.cwd, program), program)
        permission, values = self._permissions.permission(launch, scratch)
        defined = (word for name in sorted(values) for word in ("-D", f"{name}={values[name]}"))
        return (self._program, "-f", self._file(permission), *defined, "--", program, *command.argv[1:])

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def _file(self, permission: Permission) -> str:
        """The file with the profile of this permission, by its content."""
        if permission not in self._written:
            try:
                text = make_profile(permission).encode(errors="surrogateescape")
            except NameRefusedError as refused:
                raise RefusedError(
                    SetupFailure(f"no profile can be made for the action: {refused}", "rename the file")
                ) from None
            path = os.path.join(self._directory, f"{hashlib.sha256(text).hexdigest()}.sb")
            if not os.path.exists(path):
                _write(path, text)
            self._written[permission] = path
        return self._written[permission]


def check_executable(path: str, name: str) -> None:
    """Raises the OSError that execve(2) would give: `sandbox-exec` has no exit code for it, and hands text without a
    first line that names an interpreter to a shell."""
    with open(path, "rb") as file:  # a program that may be run and not read is none of an action's
        head = file.read(_HEAD_BYTES)
    if not os.access(path, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    if head.startswith(b"#!"):
        interpreter = next(iter(head[2:].split(b"\n")[0].split()), b"")
        if not os.path.exists(interpreter):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(interpreter))
    elif b"\0" not in head:
        raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC), name)


def make_directory(root: str) -> str:
    """Where the profiles of one launcher are; gone when it is closed."""
    return tempfile.mkdtemp(prefix="profiles-", dir=root)


def _write(path: str, content: bytes) -> None:
    """Whole or not at all."""
    descriptor, building = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.rename(building, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(building)
        raise
