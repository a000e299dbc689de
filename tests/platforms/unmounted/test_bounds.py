"""Limits that more than one field says."""

import pytest

from bldr.api import ProcessPolicy, ResourceLimits, SandboxSpec
from bldr_unmounted.bounds import processes_at_most


@pytest.mark.parametrize(
    ("processes", "children", "most"), [(None, None, None), (5, None, 5), (None, 5, 6), (5, 3, 4), (3, 5, 3)]
)
def test_the_command_counts_beside_its_children(processes, children, most):
    spec = SandboxSpec(resources=ResourceLimits(processes=processes), process=ProcessPolicy(max_children=children))
    assert processes_at_most(spec) == most
