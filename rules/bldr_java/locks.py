"""Lock files of Maven artifacts: `maven_install.json`."""

from collections.abc import Mapping
from typing import Any, ClassVar

from bldr.api import Locked, LockedTree, LockFile

MIRROR = "BLDR_MAVEN_MIRROR"


class MavenLock:
    """Reads `maven_install.json`: `@NAME//:org_example_artifact` is a library with all that it depends on.

    Artifacts come from the repositories that the file names; the address in BLDR_MAVEN_MIRROR is asked before them.
    """

    name: ClassVar[str] = "maven"
    file_names: ClassVar[tuple[str, ...]] = ("maven_install.json",)
    environment: ClassVar[tuple[str, ...]] = (MIRROR,)
    version: ClassVar[int] = 1
    beside: ClassVar[tuple[str, ...]] = ()

    def read(self, lock: LockFile) -> tuple[Locked, ...]:
        from bldr_java.maven import read

        return read(lock)

    def builderfile(self, packages: tuple[Locked, ...], tree: LockedTree, lock: LockFile) -> Mapping[str, Any]:
        from bldr_java.maven import builderfile

        return builderfile(packages, tree, lock)
