"""The toolchain "rust": rustc, what it loads, and the standard library for this machine."""

from collections.abc import Mapping

from bldr.api import Toolchain


class RustDetector:
    """The rustc that RUSTC names or that is on PATH, also one that rustup keeps below HOME.

    rustup puts a stand-in on PATH; the compiler that it would run is asked for once, from the root directory, so that
    no `rust-toolchain.toml` decides. What is shown is the compiler itself.
    """

    name = "rust"
    environment = ("PATH", "HOME", "RUSTC", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_HOME")

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        from bldr_rust.detection import detect

        return detect(env)
