"""Specs of actions: what the sandbox of one action shows, besides the action's own tree."""

import os
import re

import msgspec

from bldr.api.actions import TREE_ROOT
from bldr.api.spec import Input, Output, ProcessPolicy, ResourceLimits, SandboxSpec, Temp
from bldr.execute.staging import TOOLS_PATH, TREE_PATH
from bldr.execute.sysroot import Sysroot
from bldr.graph.actions import ActionNode, Permissions
from bldr.hermetic.builder import made_etc
from bldr.hermetic.check import check_spec

_MOST_ENVS = 64
_RESOLVER = "/etc/resolv.conf"
_PLAIN = re.compile(rf"{TREE_PATH}(?:/(?!\.{{1,2}}(?:/|\Z))[^/\0]+)+")
"""Absolute and normal paths below the tree."""


class Specs:
    """Makes specs, all of them checked. Most of a spec is the same for thousands of actions: that part is made and
    checked once, with the whole tree for an output, which stands for every output that any action may have in it."""

    def __init__(self) -> None:
        self._shared: dict[object, SandboxSpec] = {}
        self._names: set[str] = set()  # of environment variables that were checked
        self._envs: set[tuple[tuple[str, str], ...]] = set()  # that are plain: few, and most actions have one of them

    def spec(
        self,
        node: ActionNode,
        sysroot: Sysroot,
        tools: str,
        resources: ResourceLimits,
        more: tuple[tuple[str, str], ...] = (),
    ) -> SandboxSpec:
        """The permission of one action; `tools` is the staged directory of its built tools, "" where it has none,
        `more` is put into its environment.

        Raises SpecError.
        """
        key = (sysroot, tools, node.permissions, resources)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _shared(sysroot, tools, node.permissions, resources)
        outputs = tuple(Output(f"{TREE_PATH}/{output.path}") for output in node.action.outputs)
        env = (("BLDR_ROOT", TREE_ROOT), *node.env, *more)
        if not self._is_plain(outputs, env):
            check_spec(SandboxSpec(outputs=outputs, env=env))
        return msgspec.structs.replace(shared, outputs=outputs, env=env)

    def _is_plain(self, outputs: tuple[Output, ...], env: tuple[tuple[str, str], ...]) -> bool:
        """Whether an action's own part is of the kind that `check_spec` always accepts, which costs more to ask."""
        if env not in self._envs:
            for name, _ in env:
                if name not in self._names:
                    check_spec(SandboxSpec(env=((name, ""),)))
                    self._names.add(name)
            if len(dict(env)) != len(env) or any("\0" in value for _, value in env):
                return False
            if len(self._envs) < _MOST_ENVS:
                self._envs.add(env)
        are_unique = len({output.path for output in outputs}) == len(outputs)
        return are_unique and all(_PLAIN.fullmatch(output.path) for output in outputs)


def _shared(sysroot: Sysroot, tools: str, permissions: Permissions, resources: ResourceLimits) -> SandboxSpec:
    network = permissions.network
    inputs = list(sysroot.inputs)
    if tools:
        inputs.append(Input(TOOLS_PATH, tools))
    if network.host and os.path.exists(_RESOLVER):
        inputs.append(Input(_RESOLVER, os.path.realpath(_RESOLVER)))
    process = ProcessPolicy(uid=0, gid=0, user="root") if permissions.root else ProcessPolicy()
    process = msgspec.structs.replace(process, on_violation=permissions.on_violation)
    spec = SandboxSpec(
        inputs=tuple(sorted(inputs)),
        outputs=(Output(TREE_PATH, is_directory=True),),
        temps=(Temp("/tmp", resources.temp_bytes or resources.disk_bytes or 0),),  # noqa: S108  # the sandbox's own
        network=network,
        links=sysroot.links,
        files=made_etc(process, network),
        devices=permissions.devices,
        resources=resources,
        process=process,
    )
    check_spec(spec)
    return spec
