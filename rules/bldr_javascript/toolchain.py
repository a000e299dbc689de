"""The toolchain "node": the interpreter, and what it loads."""

from collections.abc import Mapping

from bldr.api import Toolchain


class NodeDetector:
    """The `node` on PATH; what stands there may be a script that chooses one, so it is asked who it is."""

    name = "node"
    environment = ("PATH", "HOME")

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_javascript.detection import detect

        return detect(env)
