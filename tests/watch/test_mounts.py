"""Where changes may come from outside is known from the table of mounts."""

import subprocess

import pytest

from bldr.watch.mounts import Mounts, strangers_in

TABLE = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /proc rw - proc proc rw
23 21 0:30 / /home rw,relatime - nfs4 server:/home rw
24 23 254:1 / /home/me/local\\040disk rw,relatime shared:2 master:3 - xfs /dev/vdb rw
25 21 0:31 / /src rw - ext4 /dev/vdc rw
26 25 0:32 / /src/deep/shared rw - 9p host rw
27 21 0:33 / /twice rw - ext4 /dev/vdc rw
28 27 0:34 / /twice rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("/work", []),
        ("/", ["/home", "/proc", "/src/deep/shared", "/twice"]),
        ("/home/me/project", ["/home"]),
        ("/home/me/local disk/project", []),
        ("/src", ["/src/deep/shared"]),
        ("/src/deep", ["/src/deep/shared"]),
        ("/src/other", []),
        ("/srcs", []),
        ("/twice/x", ["/twice"]),
    ],
)
def test_strangers(root, expected):
    assert strangers_in(TABLE, root) == expected


def test_of_an_empty_table_nothing_is_believed():
    assert strangers_in("", "/work") == ["/"]


@pytest.mark.root
def test_a_mount_is_noticed_once(tmp_path):
    mounts = Mounts()
    try:
        mounts.changed()
        assert not mounts.changed()
        subprocess.run(["mount", "-t", "tmpfs", "none", str(tmp_path)], check=True)
        try:
            assert mounts.changed()
            assert not mounts.changed()
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)
        assert mounts.changed()
    finally:
        mounts.close()
