"""Bytes that are gathered for a file without being held in memory."""

import os

import pytest

from bldr.snapshot import files
from bldr.snapshot.gathered import Gathered


@pytest.mark.parametrize("sizes", [(), (3,), (1 << 20,), (700_000, 700_000, 5), (1, 3 << 20, 2)])
def test_all_pieces_come_out_in_order(tmp_path, sizes):
    pieces = [os.urandom(size) for size in sizes]
    gathered = Gathered(str(tmp_path / "file"))
    for piece in pieces:
        gathered.add(piece)
    for _ in range(2):  # once for the checksum, once for the file
        assert b"".join(gathered.chunks()) == b"".join(pieces)
    assert len(gathered) == sum(sizes)
    assert os.listdir(tmp_path) == []
    gathered.close()
    gathered.close()


def test_much_is_not_in_memory_and_comes_out_as_it_was(tmp_path):
    folder = tmp_path / "cache" / files.FOLDER
    folder.parent.mkdir(parents=True, mode=0o700)
    os.chmod(folder.parent, 0o700)
    path = str(folder / "snapshot")
    files.make_folder(path)
    gathered = Gathered(path)
    for number in range(40):
        gathered.add(bytes([number]) * 100_000)
        assert len(gathered._held) < 1 << 20
    files.write(path, {"name": "value"}, [b"first", gathered, b"last"])
    gathered.close()
    found = files.read(path, str(folder.parent))
    first, second, last = found.parts
    assert (bytes(first), bytes(last)) == (b"first", b"last")
    assert bytes(second) == b"".join(bytes([number]) * 100_000 for number in range(40))
    assert os.listdir(folder) == ["snapshot"]
