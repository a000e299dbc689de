"""The longest remaining path goes first."""

from bldr.plan.schedule import remaining_path_s


def test_a_chain_counts_everything_that_waits_for_it(node):
    from bldr.api import Artifact, Label

    def named(index, deps):
        return node(index=index, deps=deps, outputs=(Artifact(f"o{index}", Label("", "", "t")),))

    # 0 <- 1 <- 3, 0 <- 2
    nodes = [named(0, ()), named(1, (0,)), named(2, (0,)), named(3, (1,))]
    durations = {"o0": 1.0, "o1": 2.0, "o2": 10.0, "o3": 4.0}
    assert remaining_path_s(nodes, durations) == {0: 11.0, 1: 6.0, 2: 10.0, 3: 4.0}


def test_an_action_that_never_ran_has_a_guess(node):
    assert remaining_path_s([node()], {})[0] > 0
