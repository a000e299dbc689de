"""The toolchain "shellcheck": the program of this name, where it is installed."""

from collections.abc import Mapping

from bldr.api import Toolchain


class ShellcheckDetector:
    """The first program of this name on PATH. What somebody keeps in their home is no part of the machine."""

    name = "shellcheck"
    environment = ("PATH", "HOME")

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_shell.detection import detect

        return detect(env)
