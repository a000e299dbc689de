"""Specs of actions: the quick look at an action's own part refuses all that the whole check refuses."""

import pytest

from bldr.api import Action, Artifact, Label
from bldr.api.errors import BldrError
from bldr.api.spec import ResourceLimits, SandboxSpec
from bldr.execute.specs import Specs
from bldr.execute.sysroot import Sysroot
from bldr.graph.actions import ActionNode, Permissions


def spec(outputs=("p/out",), env=()):
    label = Label("", "", "it")
    action = Action(
        argv=("true",), inputs=(), outputs=tuple(Artifact(path, label) for path in outputs), mnemonic="Test"
    )
    node = ActionNode(
        index=0, label=label, action=action, handler="", toolchains=(), env=env, permissions=Permissions(), deps=()
    )
    return Specs().spec(node, Sysroot((), ()), "", ResourceLimits())


def test_an_action_s_own_part_is_in_its_spec():
    made = spec(("p/out", "p/..out", "...", "a b/ü"), (("OUT", "p/out"), ("EMPTY", "")))
    assert isinstance(made, SandboxSpec)
    assert [output.path for output in made.outputs] == ["/build/p/out", "/build/p/..out", "/build/...", "/build/a b/ü"]
    assert made.env[1:] == (("OUT", "p/out"), ("EMPTY", ""))


@pytest.mark.parametrize("path", ["", "..", "p/..", "../p", "p//out", "/out", "p/./out", ".", "p/", "p\0"])
def test_paths_that_are_not_normal_are_refused(path):
    with pytest.raises(BldrError):
        spec((path,))


@pytest.mark.parametrize(
    "env",
    [(("1A", "x"),), (("A=B", "x"),), (("", "x"),), (("A", "x\0y"),), (("A", "x"), ("A", "y")), (("BLDR_ROOT", "/"),)],
)
def test_environments_that_cannot_be_are_refused(env):
    with pytest.raises(BldrError):
        spec(env=env)
