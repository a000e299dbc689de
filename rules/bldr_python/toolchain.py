"""The toolchain "python": an interpreter with its standard library, and nothing that somebody installed into it."""

from collections.abc import Mapping

from bldr.api import Toolchain


class PythonDetector:
    """The interpreter of PATH (or of the variable PYTHON), `env` for scripts, and the standard library as files.

    Compiled modules are left out: they hold the times of the machine's files. So are what was installed beside the
    standard library, its tests, and what needs a screen.
    """

    name = "python"
    environment = ("PATH", "HOME", "PYTHON", "PYENV_VERSION", "PYENV_ROOT")

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_python.detection import detect

        return detect(env)
