"""Where on the host the paths of a sandbox are, when nothing is mounted. Pure."""

import re
from collections.abc import Mapping

from bldr.api import TREE_ROOT, Input, Launch, Output

_WORD = re.compile(r"[^:\s]+")


class Places:
    """Sandbox path -> host path, by the longest declared path above it; a path that nothing covers is its own."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self._hosts = dict(hosts)

    def host(self, path: str) -> str:
        above = path
        while above not in self._hosts:
            cut = above.rfind("/")
            if cut <= 0:
                root = self._hosts.get("/")
                return path if root is None else root.rstrip("/") + path
            above = above[:cut]
        return self._hosts[above] + path[len(above) :]

    def words(self, text: str) -> str:
        """`text` with every absolute path in it (a whole word between colons and white space) replaced."""
        return _WORD.sub(lambda word: self.host(word[0]) if word[0].startswith("/") else word[0], text)


def places(launch: Launch, scratch: Mapping[str, str]) -> Places:
    """The map of one launch; `scratch` holds the directories made for the temps, by their sandbox paths."""
    declared: tuple[Input | Output, ...] = (*launch.spec.inputs, *launch.spec.outputs)
    hosts = {place.path: place.source or place.path for place in declared}
    hosts.update(scratch)
    if launch.tree is not None:
        hosts[launch.tree.path] = launch.tree.upper
    return Places(hosts)


class Command:
    """A launch in terms of the host: what `execve` gets."""

    __slots__ = ("argv", "cwd", "env")

    def __init__(self, launch: Launch, at: Places) -> None:
        root = launch.tree.upper if launch.tree else TREE_ROOT
        # The token goes last: the path that replaces it is the host's already.
        self.argv = [(at.host(word) if word.startswith("/") else word).replace(TREE_ROOT, root) for word in launch.argv]
        self.cwd = at.host(launch.cwd).replace(TREE_ROOT, root)
        self.env = {name: at.words(value).replace(TREE_ROOT, root) for name, value in launch.spec.env}
        if launch.tree:
            self.env["BLDR_ROOT"] = root
