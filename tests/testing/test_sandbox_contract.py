"""The bundled platforms keep the contract that the kit holds strangers' to; so does, as far as it goes, the fake."""

from bldr.testing import SandboxContract
from bldr_linux.sandbox import LinuxSandbox
from bldr_plain.sandbox import PlainSandbox


class TestLinux(SandboxContract):
    sandbox = LinuxSandbox


class TestPlain(SandboxContract):
    sandbox = PlainSandbox
