"""What of a graph of actions is behind failures."""

import random

from bldr.api import Action, Label
from bldr.graph.actions import ActionGraph, ActionNode, Permissions, blocked


def test_every_node_behind_a_failure_knows_the_first_of_them():
    """As looking at all that each node needs would find it."""
    choose = random.Random(7)
    graph = ActionGraph()
    for index in range(300):
        graph.add(
            ActionNode(
                index=index,
                label=Label("", "", str(index)),
                action=Action(argv=("true",), inputs=(), outputs=(), mnemonic="M"),
                handler="",
                toolchains=(),
                env=(),
                permissions=Permissions(),
                deps=tuple(
                    sorted({choose.randrange(max(index - 9, 0), index) for _ in range(choose.choice((0, 1, 2)))})
                )
                if index
                else (),
            )
        )
    candidates = set(choose.sample(range(300), 40))
    failed = {
        index for index in candidates if not candidates & {n.index for n in graph.needed(graph.nodes[index].deps)}
    }
    expected = {
        node.index: broken[0]
        for node in graph.nodes
        if (broken := [needed.index for needed in graph.needed(node.deps) if needed.index in failed])
    }
    assert len(expected) > len(failed) > 5
    assert blocked(graph.nodes, failed) == expected
    assert blocked(graph.nodes, ()) == {}
