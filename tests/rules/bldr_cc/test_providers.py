"""Link order and search order, for every graph."""

from hypothesis import given
from hypothesis import strategies as st

from bldr.api import first_of_each, last_of_each


@st.composite
def graphs(draw):
    """Libraries 0..n-1; each may need libraries of lower numbers, named in any order."""
    count = draw(st.integers(1, 12))
    graph = []
    for index in range(count):
        below = draw(st.permutations(range(index)))
        graph.append(below[: draw(st.integers(0, index))])
    return graph


@given(graphs())
def test_whoever_needs_a_library_stands_before_it_and_each_is_linked_once(graph):
    closures = []
    for index, needed in enumerate(graph):
        closures.append(last_of_each([(index,), *(closures[dep] for dep in needed)]))
    for index, order in enumerate(closures):
        assert order[0] == index
        assert len(order) == len(set(order))
        for user in order:
            for dep in graph[user]:
                assert order.index(user) < order.index(dep)


def test_directories_are_searched_in_the_order_of_their_first_mention():
    assert first_of_each([("a", "b"), ("c", "a"), ("b", "d")]) == ("a", "b", "c", "d")
