"""Test actions: one run of one test, with the environment of Bazel's test protocol."""

from bldr.api.actions import Action, Artifact
from bldr.api.attributes import TestAttributes
from bldr.api.labels import Label
from bldr.api.providers import TestInfo
from bldr.graph.actions import ActionGraph, ActionNode, Permissions
from bldr.graph.analysis import Toolchains, action_env
from bldr.load.targets import Target
from bldr.load.units import parse_duration

TIMEOUTS_S = {"small": 60.0, "medium": 300.0, "large": 900.0, "enormous": 3600.0}


def test_outputs(label: Label, run: int, runs: int) -> tuple[Artifact, Artifact]:
    """The test's own XML report and its directory of undeclared outputs; both may be missing after a run."""
    suffix = f".run{run}" if runs > 1 else ""
    stem = f"{label.directory}/{label.name}.test{suffix}".lstrip("/")
    return Artifact(f"{stem}/test.xml", label), Artifact(f"{stem}/outputs", label, is_directory=True)


def add_test_runs(
    graph: ActionGraph,
    target: Target,
    toolchains: Toolchains,
    permissions: Permissions,
    inherited_env: dict[str, str],
    handler: str,
    runs: int,
    extra_args: tuple[str, ...] = (),
) -> list[ActionNode]:
    """Append `runs` test actions of `target` to `graph` and return their nodes.

    Runs beyond the first differ by TEST_RUN_NUMBER, which is in the key, so that each is a run of its own.
    """
    info = graph.targets[target.label].providers[TestInfo]
    attributes = target.attributes
    assert isinstance(info, TestInfo) and isinstance(attributes, TestAttributes)
    found = tuple(toolchains(name) for name in info.toolchains)
    nodes = []
    for run in range(1, runs + 1):
        xml, outputs = test_outputs(target.label, run, runs)
        action = Action(
            argv=(*_command(info), *attributes.args, *extra_args),
            inputs=info.inputs,
            outputs=(xml, outputs),
            mnemonic="Test",
            message=f"testing {target.label}" + (f" (run {run} of {runs})" if runs > 1 else ""),
            env=_protocol(target.label, info, xml, outputs, run, runs),
            tools=info.tools,
            toolchains=info.toolchains,
        )
        node = ActionNode(
            index=len(graph.nodes),
            label=target.label,
            action=action,
            handler=handler,
            toolchains=found,
            env=action_env(action, found, attributes, inherited_env),
            permissions=permissions,
            deps=graph.producers((*action.inputs, *action.tools)),
            optional_outputs=frozenset((xml.path, outputs.path)),
            exclusive="exclusive" in attributes.tags,
            test_run=run,
        )
        graph.add(node)
        nodes.append(node)
    return nodes


def _command(info: TestInfo) -> tuple[str, ...]:
    """A program of the tree is named by its path also where it stands at the root: without a slash it would be looked
    up among tools."""
    program, *rest = info.argv
    if "/" not in program and any(artifact.path == program for artifact in info.inputs):
        program = f"./{program}"
    return (program, *rest)


def _protocol(label: Label, info: TestInfo, xml: Artifact, outputs: Artifact, run: int, runs: int) -> dict[str, str]:
    root = "${BLDR_ROOT}"
    env = {
        "TEST_SRCDIR": root,
        "RUNFILES_DIR": root,
        "TEST_WORKSPACE": "build",
        "TEST_TARGET": str(label),
        "TEST_TMPDIR": "/tmp",  # noqa: S108  # the sandbox's own
        "XML_OUTPUT_FILE": f"{root}/{xml.path}",
        "TEST_UNDECLARED_OUTPUTS_DIR": f"{root}/{outputs.path}",
        "BAZEL_TEST": "1",
        **info.env,
    }
    if runs > 1:
        env["TEST_RUN_NUMBER"] = str(run)
    return env


def test_timeout_s(attributes: TestAttributes) -> float:
    """The wall time of one run: what the target says, or the default of its size."""
    if attributes.timeout is not None:
        return parse_duration(attributes.timeout)
    return TIMEOUTS_S[attributes.size]
