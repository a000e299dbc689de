"""Each way of the small things, whatever this system's is."""

import os

from bldr.system import plain, send_file


def test_of_a_mode_windows_keeps_whether_a_file_may_be_written_to():
    assert [plain.kept_mode(mode) for mode in (0o444, 0o555, 0o755)] == [0o444, 0o555, 0o755]
    assert [plain.kept_attribute(mode) for mode in (0o444, 0o555, 0o755, 0o644)] == [0o444, 0o444, 0o666, 0o666]


def test_what_a_file_takes_is_counted_in_clusters_where_a_stat_does_not_tell(tmp_path):
    (tmp_path / "file").write_bytes(bytes(4097))
    status = os.stat(tmp_path / "file")
    assert plain.clusters_bytes(status) == 8192
    assert not hasattr(status, "st_blocks") or plain.blocks_bytes(status) % 512 == 0


def test_files_are_copied_by_both_ways(tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "source").write_bytes(data)
    for send in (send_file, plain.send_file):
        with open(tmp_path / "source", "rb", buffering=0) as source, open(tmp_path / "copy", "wb") as target:
            left = len(data)
            while left:
                left -= send(target.fileno(), source.fileno(), None, left)
            assert send(target.fileno(), source.fileno(), None, 10) == 0
        assert (tmp_path / "copy").read_bytes() == data
