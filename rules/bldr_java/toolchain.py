"""The toolchain "java": a development kit with compiler, jar tool, virtual machine and class library."""

from collections.abc import Mapping

from bldr.api import Toolchain


class JavaDetector:
    """The kit that JAVA_HOME names, or that the `javac` on PATH belongs to."""

    name = "java"
    environment = ("JAVA_HOME", "PATH")

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_java.detection import detect

        return detect(env)
