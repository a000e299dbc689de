"""Whether a network namespace is as it was made, table by table."""

import pytest

from bldr_linux.pristine import Network


@pytest.fixture
def network(tmp_path):
    """One whose only table is a file of ours."""
    table = tmp_path / "table"
    table.write_bytes(b"one line\n")
    network = Network.__new__(Network)  # which would set what it needs in the namespace that it is in: this machine's
    network._is_quiet, network._counts = True, []
    with open(table, "rb") as file:
        network._tables = [(file.fileno(), b"one line\n")]
        yield network, table


@pytest.mark.parametrize("now", [b"one line\nanother\n", b"one lin", b"One line\n", b""])
def test_a_table_that_grew_shrank_or_changed(network, now):
    it, table = network
    assert it.is_pristine(0)
    table.write_bytes(now)
    assert not it.is_pristine(0)
