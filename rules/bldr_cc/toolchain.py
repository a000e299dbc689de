"""The toolchains "cc" (compiler, linker, headers, libraries) and "cc-runtime" (what built programs load)."""

from collections.abc import Mapping

from bldr.api import Toolchain

_ENVIRONMENT = ("PATH", "HOME", "CC", "CXX", "DEVELOPER_DIR")


class CcDetector:
    """The compiler that CC names or that is on PATH, with all that it runs and reads.

    Headers below /usr/local are left out: what somebody installed there by hand is no part of a toolchain.
    """

    name = "cc"
    environment = _ENVIRONMENT

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_cc.detection import detect_compiler

        return detect_compiler(env)


class CcRuntimeDetector:
    """The loader and the shared libraries that a program of the toolchain "cc" may need: no compiler, no headers."""

    name = "cc-runtime"
    environment = _ENVIRONMENT

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_cc.detection import detect_runtime

        return detect_runtime(env)
