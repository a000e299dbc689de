"""The toolchain "shell": the small programs that scripts are made of."""

from collections.abc import Mapping

from bldr.api import Toolchain


class ShellDetector:
    """A fixed list of names looked up on PATH; a name that is no program there, or cannot be loaded, is left out.

    What somebody keeps in their home is no part of the machine: directories of PATH below HOME are passed over.
    """

    name = "shell"
    environment = ("PATH", "HOME")

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_command.detection import detect

        return detect(env)
