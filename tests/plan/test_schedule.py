"""The longest remaining path goes first."""

import pytest

from bldr.api import Artifact, Label
from bldr.plan.schedule import remaining_path_s

LABEL = Label("", "", "t")


def test_a_chain_counts_everything_that_waits_for_it(node):
    def named(index, deps):
        return node(index=index, deps=deps, outputs=(Artifact(f"o{index}", LABEL),))

    # 0 <- 1 <- 3, 0 <- 2
    nodes = [named(0, ()), named(1, (0,)), named(2, (0,)), named(3, (1,))]
    durations = {"o0": 1.0, "o1": 2.0, "o2": 10.0, "o3": 4.0}
    assert remaining_path_s(nodes, durations) == {0: 11.0, 1: 6.0, 2: 10.0, 3: 4.0}


def test_an_action_that_never_ran_has_a_guess(node):
    assert remaining_path_s([node()], {})[0] > 0


def sources(**sizes_bytes):
    return {path: size * 1000 for path, size in sizes_bytes.items()}.__getitem__


def reading(node, index, *paths, deps=()):
    outputs, inputs = (Artifact(f"o{index}", LABEL),), tuple(map(Artifact, paths))
    return node(index=index, deps=deps, outputs=outputs, inputs=inputs)


def test_of_actions_that_never_ran_the_one_with_the_largest_source_goes_first(node):
    nodes = [reading(node, 0, "small", "shared"), reading(node, 1, "large", "shared"), reading(node, 2, "shared")]
    found = remaining_path_s(nodes, {}, sources(small=1, large=60, shared=900))
    assert found[1] > found[0] > found[2] > 0


def test_what_all_read_says_nothing(node):
    nodes = [reading(node, index, "own" + str(index), "shared") for index in range(3)]
    sizes = sources(own0=5, own1=6, own2=7, shared=900)
    alone = remaining_path_s(nodes, {}, sources(own0=5, own1=6, own2=7, shared=0))
    found = remaining_path_s(nodes, {}, sizes)
    assert [found[1] - found[0], found[2] - found[1]] == pytest.approx([alone[1] - alone[0], alone[2] - alone[1]])


def test_a_guess_is_never_of_minutes(node):
    assert remaining_path_s([reading(node, 0, "disk")], {}, sources(disk=10_000_000))[0] <= 10


def test_who_ran_before_is_not_guessed(node):
    nodes = [reading(node, 0, "large"), reading(node, 1, "small")]
    assert remaining_path_s(nodes, {"o0": 0.5, "o1": 2.0}, sources()) == {0: 0.5, 1: 2.0}


def test_chains_of_small_actions_still_go_first(node):
    nodes = [
        reading(node, 0, "large"),
        reading(node, 1, "a"),
        *(reading(node, i, "a", deps=(i - 1,)) for i in range(2, 20)),
    ]
    found = remaining_path_s(nodes, {}, sources(large=60, a=1))
    assert found[1] > found[0] > found[19]


def test_a_source_that_many_read_counts_as_little_as_each_ones_share(node):
    """The longest to run is not who reads the largest file if everybody does."""
    nodes = [reading(node, 0, "own"), *(reading(node, index, "shared") for index in range(1, 11))]
    found = remaining_path_s(nodes, {}, sources(own=20, shared=50))
    assert found[0] > max(found[index] for index in range(1, 11))
