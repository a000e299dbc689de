"""Action keys: one walk over everything that can influence an action, and two that look at what it found.

One makes the key of it; the other keeps it, so that `bldr explain` compares exactly what the key was made of and cannot
disagree with it.
"""

import hashlib
from collections.abc import Sequence

from bldr.api.actions import Platform
from bldr.graph.actions import ActionNode
from bldr.plan.entries import Entry
from bldr.store.digest import tree_digest

SCHEMA = "1"
"""Version of the walk below: raised when the same action must get another key. Not bldr's version."""

Field = tuple[str, str]
"""Name and value of one thing that counts. Names are ASCII, but for those of variables, files and devices."""


def walk(node: ActionNode, platform: Platform) -> list[Field]:
    """Everything but the trees that the result may depend on, in a fixed order. Limits and cosmetic fields are not in
    it; nor is `on_violation`, which like a limit only ends actions: it changes nothing of what a successful one makes.
    """
    action, permissions = node.action, node.permissions
    found = [
        ("key schema", SCHEMA),
        ("platform", f"{platform.os} {platform.arch}"),
        ("handler", node.handler),
    ]
    found += [(f"argument {index}", argument) for index, argument in enumerate(action.argv)]
    found += [(f"variable {name}", value) for name, value in node.env]
    found += [(f"toolchain {toolchain.name}", toolchain.identity) for toolchain in node.toolchains]
    network = permissions.network
    found.append(("network", "host" if network.host else " ".join(network.hosts)))
    if network.bridge is not None:
        bridge = network.bridge
        found.append(("bridge", f"{bridge.name} {bridge.subnet} nat={bridge.nat}"))
    found.append(("user", "root" if permissions.root else "builder"))
    found += [(f"device {device}", "present") for device in permissions.devices]
    found += [(f"parameter file {path}", text) for path, text in action.files]
    found += [(f"output {output.path}", "directory" if output.is_directory else "file") for output in action.outputs]
    found.append(("depfile", action.depfile))
    return found


def key_of(fields: Sequence[Field], *trees: tuple[str, Sequence[Entry]]) -> str:
    """SHA-256 over length-prefixed parts, so that no two walks run together. Trees are in it, where they hold anything,
    by the digest that the Remote Execution API gives them, so that a remote cache later changes no key."""
    parts = [*fields, *((kind, tree) for kind, entries in trees if (tree := _tree(entries)))]
    text = "".join([f"{len(name)}:{name}={len(value)}:{value};" for name, value in parts])
    if text.isascii():  # then characters are bytes
        return hashlib.sha256(text.encode()).hexdigest()
    encoded = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in parts]
    joined = b"".join(b"%d:%s=%d:%s;" % (len(name), name, len(value), value) for name, value in encoded)
    return hashlib.sha256(joined).hexdigest()


def _tree(entries: Sequence[Entry]) -> str:
    """The digest of a tree; "" for one that holds nothing."""
    if not entries:
        return ""
    files, links, directories = [], [], []
    for entry in entries:
        if entry.hash:
            files.append((entry.path, entry, entry.executable))
        elif entry.link:
            links.append((entry.path, entry.link))
        else:
            directories.append(entry.path)
    return tree_digest(files, links, directories).hash if files or links or directories else ""


def action_key(node: ActionNode, platform: Platform, inputs: Sequence[Entry], tools: Sequence[Entry]) -> str:
    """The key of an action whose every input counts."""
    return key_of(walk(node, platform), ("input", inputs), ("tool", tools))


def paths_key(node: ActionNode, platform: Platform, inputs: Sequence[Entry], tools: Sequence[Entry]) -> str:
    """First level for actions with a depfile: the paths of all inputs, so that a new shadowing header counts."""
    return key_of(walk(node, platform), ("input", [Entry(entry.path) for entry in inputs]), ("tool", tools))


def reads_key(first_level: str, inputs: Sequence[Entry], reads: Sequence[str]) -> str | None:
    """Second level: the first, and the contents of the inputs that were read. None where one of them is gone."""
    by_path = {entry.path: entry for entry in inputs}
    if any(path not in by_path for path in reads):
        return None
    return key_of([("paths", first_level)], ("read", [by_path[path] for path in reads]))


def record(node: ActionNode, platform: Platform, inputs: Sequence[Entry], tools: Sequence[Entry]) -> dict[str, str]:
    """What the key of the action is made of, by name: for comparing with another time."""
    seen = dict(walk(node, platform))
    for kind, entries in (("tool", tools), ("input", inputs)):
        for entry in entries:
            mark = "executable " if entry.executable else ""
            seen[f"{kind} {entry.path}"] = mark + (entry.hash or f"-> {entry.link}")
    return seen
