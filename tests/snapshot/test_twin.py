"""What a twin says of files of the workspace is what the build read of them, or it is not written."""

import os
from array import array

import pytest

from bldr.snapshot.proofs import FOLLOWED, numbers
from bldr.snapshot.twin import TWIN, NoTwinError, write_twin


def test_a_builderfile_that_was_saved_after_its_signature_was_taken(tmp_path):
    root = tmp_path / "workspace"
    root.mkdir()
    path = root / "Builderfile"
    path.write_text("[target.one]\n")

    def write(name, signature):
        group = (FOLLOWED, str(root), ("Builderfile",), signature)
        write_twin(str(tmp_path / name), {}, [group], [], {}, str(root), str(root / "bldr-out"))

    signature = array("q", numbers(os.stat(path))).tobytes()
    write("same", signature)
    path.write_text("[target.two]\n")
    os.utime(path, ns=(1, 1))
    with pytest.raises(NoTwinError):
        write("changed", signature)
    assert sorted(os.listdir(tmp_path)) == [f"same{TWIN}", "workspace"]
