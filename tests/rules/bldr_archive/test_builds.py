"""Archives that are written in real sandboxes, and read by other programs."""

import os
import tarfile
import zipfile

import pytest

from bldr.testing import Edit, HandlerContract
from bldr_archive.handler import ArchiveHandler

FORMS = {"tar": "tar", "tar.gz": "gz", "tar.xz": "xz", "zip": "zip"}
LONG = "deep/" * 30 + "größe.txt"


def targets():
    return "".join(
        f'[target.{name}]\ntype = "archive"\nformat = "{form}"\nsources = ["src/**"]\ndeps = [":tree"]\n'
        f'prefix = "top"\nmodes = {{ "*.md" = "0400" }}\n'
        for form, name in FORMS.items()
    )


@pytest.mark.full
class TestContract(HandlerContract):
    handler = ArchiveHandler
    files = {
        "Builderfile": targets()
        + """
        [target.tree]
        type = "command"
        outputs = ["tree/"]
        command = "mkdir $OUT; cd $OUT; echo x >a; ln -s a link; mkdir b; echo y >b/run; chmod 755 b/run"

        [target.alone]
        type = "archive"
        sources = ["other.txt"]
        """,
        "src/readme.md": "read me\n",
        f"src/{LONG}": "deep\n",
        "src/empty": "",
        "other.txt": "other\n",
    }
    edits = (
        Edit(file="src/readme.md", old="read me", new="do read", reruns=tuple(f"Pack //:{n}" for n in FORMS.values())),
        Edit(file="other.txt", old="other", new="more", reruns=("Pack //:alone",)),
    )

    def test_what_is_in_them(self, bldr_contract_project, bldr_contract_build):
        bldr_contract_build.outcome.assert_ok()
        out = bldr_contract_project.root / "bldr-out"
        expected = [
            ("top/src/" + LONG, 0o644, "deep\n"),
            ("top/src/empty", 0o644, ""),
            ("top/src/readme.md", 0o400, "read me\n"),
            ("top/tree/a", 0o644, "x\n"),
            ("top/tree/b/run", 0o755, "y\n"),
            ("top/tree/link", 0o777, "a"),
        ]
        for form in ("tar", "tar.gz", "tar.xz"):
            with tarfile.open(out / f"{FORMS[form]}.{form}") as archive:
                members = archive.getmembers()
                assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in members} == {
                    (0, 0, "", 315532800)
                }
                found = [
                    (entry.name, entry.mode, entry.linkname or archive.extractfile(entry).read().decode())
                    for entry in members
                ]
                assert found == expected
        with zipfile.ZipFile(out / "zip.zip") as archive:
            found = [
                (entry.filename, entry.external_attr >> 16 & 0o777, archive.read(entry).decode())
                for entry in archive.infolist()
            ]
            assert found == expected
            assert archive.testzip() is None
        assert os.path.exists(out / "alone.tar.gz")
