"""The toolchain "go": the go command, compiler, assembler and linker, and the sources of the standard library."""

from collections.abc import Mapping

from bldr.api import Toolchain


class GoDetector:
    """The Go of GOROOT, or the one whose command is on PATH, also below HOME. It never fetches another one."""

    name = "go"
    environment = ("PATH", "GOROOT")

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_go.detection import detect

        return detect(env)
