import pytest

from bldr.api import Action, Artifact, Label, Platform, Toolchain
from bldr.graph.actions import ActionNode, Permissions


@pytest.fixture
def node():
    """A function that makes a node; keywords replace fields of its action or of itself."""

    def make(**fields):
        label = Label("", "pkg", "app")
        action = {
            "argv": ("gcc", "-c", "pkg/a.c", "-o", "pkg/a.o"),
            "inputs": (Artifact("pkg/a.c"),),
            "outputs": (Artifact("pkg/a.o", label),),
            "mnemonic": "Compile",
            "toolchains": ("cc",),
        }
        own = {
            "index": 0,
            "label": label,
            "handler": "bldr:cc:1",
            "toolchains": (Toolchain(name="cc", executables={}, identity="abc"),),
            "env": (("LANG", "C.UTF-8"), ("PATH", "/toolchain/cc/bin")),
            "permissions": Permissions(),
            "deps": (),
        }
        for name, value in fields.items():
            (own if name in own else action)[name] = value
        return ActionNode(action=Action(**action), **own)

    return make


@pytest.fixture
def linux():
    return Platform("linux", "x86_64")
