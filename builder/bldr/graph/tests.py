"""Test actions: one for each shard of each run of a test, with the environment of Bazel's test protocol.

https://bazel.build/reference/test-encyclopedia
"""

import math
from collections.abc import Mapping

import msgspec

from bldr.api.actions import TREE_ROOT, Action, Artifact
from bldr.api.attributes import TestAttributes
from bldr.api.labels import Label
from bldr.api.providers import TestInfo
from bldr.graph.actions import ActionGraph, ActionNode, Permissions, TestPart
from bldr.graph.analysis import Toolchains, action_env
from bldr.graph.pinned import resolve_command
from bldr.graph.test_parts import Reuse, premature_mark, shard_mark, test_directory
from bldr.load.targets import Target
from bldr.load.units import parse_duration

TIMEOUTS_S = {"small": 60.0, "medium": 300.0, "large": 900.0, "enormous": 3600.0}
FLAKY_ATTEMPTS = 3
ALWAYS_RUN = ("external", "no-cache")
"""Tags of tests that depend on more than their inputs: they run always, and what came of it is not stored."""


class TestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of tests. `attempts` counts for every test where it is said, else flaky ones have 3.

    `alone`: one at a time, and none in shards, so that what it prints can be shown while it runs. `timeouts` are by
    size, as durations are written. `tags` and `sizes` are words to have and, after a minus, not to have; `filter` is
    handed to the tests, to choose among their cases.
    """

    __test__ = False

    runs: int = 1
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    filter: str = ""
    attempts: int | None = None
    alone: bool = False
    timeouts: dict[str, str | int] = {}
    tags: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    build_tests_only: bool = False
    reuse: Reuse = "auto"


def is_wanted(attributes: TestAttributes, options: TestOptions) -> bool:
    """Whether the filters let the test through."""
    return _passes(options.tags, attributes.tags) and _passes(options.sizes, (attributes.size,))


def _passes(words: tuple[str, ...], has: tuple[str, ...]) -> bool:
    wanted = [word for word in words if not word.startswith("-")]
    if any(word.startswith("-") and word[1:] in has for word in words):
        return False
    return not wanted or any(word in has for word in wanted)


def add_test_runs(
    graph: ActionGraph,
    target: Target,
    toolchains: Toolchains,
    permissions: Permissions,
    inherited_env: dict[str, str],
    handler: str,
    options: TestOptions,
) -> list[ActionNode]:
    """Append the test actions of `target` to `graph` and return their nodes.

    They differ by their variables and the places of their outputs, which are in the key: each is one of its own.
    """
    info = graph.targets[target.label].providers[TestInfo]
    attributes = target.attributes
    assert isinstance(info, TestInfo) and isinstance(attributes, TestAttributes)
    found = tuple(toolchains(name) for name in info.toolchains)
    nodes = []
    for part in _parts(target.label, attributes, options):
        xml, outputs = Artifact(f"{part.stem}/test.xml", target.label), _outputs(target.label, part)
        marks = tuple(Artifact(path, target.label) for path in (shard_mark(part), premature_mark(part)) if path)
        action = Action(
            argv=(*_command(info), *attributes.args, *options.args),
            inputs=info.inputs,
            outputs=(xml, outputs, *marks),
            mnemonic="Test",
            message=f"testing {target.label}" + (f" ({part.words})" if part.words else ""),
            env=_protocol(target.label, attributes, info.env, part, permissions, options),
            files=info.files,
            tools=info.tools,
            toolchains=info.toolchains,
        )
        node = ActionNode(
            index=len(graph.nodes),
            label=target.label,
            action=resolve_command(action, found),
            handler=handler,
            toolchains=found,
            env=_with(action_env(action, found, attributes, inherited_env, graph.env), options.env),
            permissions=permissions,
            deps=graph.producers((*action.inputs, *action.tools)),
            optional_outputs=frozenset(output.path for output in action.outputs),
            exclusive=options.alone or "exclusive" in attributes.tags,
            test=part,
        )
        graph.add(node)
        nodes.append(node)
    return nodes


def _parts(label: Label, attributes: TestAttributes, options: TestOptions) -> list[TestPart]:
    shards = 0 if options.alone or attributes.shard_count == 1 else attributes.shard_count
    attempts = options.attempts or (FLAKY_ATTEMPTS if attributes.flaky else 1)
    always = next((tag for tag in ALWAYS_RUN if tag in attributes.tags), "")
    top = test_directory(label)
    found = []
    runs = options.runs
    for run in range(1, runs + 1):
        for shard in range(1, shards + 1) if shards else (0,):
            words = [f"shard_{shard}_of_{shards}"] if shards else []
            words += [f"run_{run}_of_{runs}"] if runs > 1 else []
            stem = f"{top}/{'_'.join(words)}" if words else top
            part = TestPart(stem=stem, run=run, runs=runs, shard=shard, shards=shards, attempts=attempts, always=always)
            found.append(part)
    return found


def _outputs(label: Label, part: TestPart) -> Artifact:
    return Artifact(f"{part.stem}/outputs", label, is_directory=True)


def _command(info: TestInfo) -> tuple[str, ...]:
    """A program of the tree is named by its path also where it stands at the root: without a slash it would be looked
    up among tools."""
    program, *rest = info.argv
    if "/" not in program and any(artifact.path == program for artifact in info.inputs):
        program = f"./{program}"
    return (program, *rest)


def _protocol(
    label: Label,
    attributes: TestAttributes,
    own: Mapping[str, str],
    part: TestPart,
    permissions: Permissions,
    options: TestOptions,
) -> dict[str, str]:
    env = {
        "TEST_SRCDIR": TREE_ROOT,
        "RUNFILES_DIR": TREE_ROOT,
        "TEST_WORKSPACE": "build",
        "TEST_TARGET": str(label),
        "TEST_SIZE": attributes.size,
        "TEST_TMPDIR": "/tmp",  # noqa: S108  # the sandbox's own
        "XML_OUTPUT_FILE": f"{TREE_ROOT}/{part.stem}/test.xml",
        "TEST_UNDECLARED_OUTPUTS_DIR": f"{TREE_ROOT}/{part.stem}/outputs",
        "TEST_PREMATURE_EXIT_FILE": f"{TREE_ROOT}/{premature_mark(part)}",
        "BAZEL_TEST": "1",
        **own,
    }
    if permissions.resources.wall_time_s is not None:
        env["TEST_TIMEOUT"] = str(math.ceil(permissions.resources.wall_time_s))
    if part.runs > 1:
        env["TEST_RUN_NUMBER"] = env["TEST_RANDOM_SEED"] = str(part.run)
    if part.shards:
        status = f"{TREE_ROOT}/{shard_mark(part)}"
        for prefix in ("TEST", "GTEST"):  # googletest has names of its own for these three
            env[f"{prefix}_TOTAL_SHARDS"] = str(part.shards)
            env[f"{prefix}_SHARD_INDEX"] = str(part.shard - 1)
            env[f"{prefix}_SHARD_STATUS_FILE"] = status
    if options.filter:
        env["TESTBRIDGE_TEST_ONLY"] = options.filter
    return env


def _with(env: tuple[tuple[str, str], ...], more: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The command line wins over what a target says."""
    return tuple(sorted({**dict(env), **more}.items())) if more else env


def test_timeout_s(attributes: TestAttributes) -> float:
    """The wall time of one run: what the target says, or the default of its size."""
    if attributes.timeout is not None:
        return parse_duration(attributes.timeout)
    return TIMEOUTS_S[attributes.size]
