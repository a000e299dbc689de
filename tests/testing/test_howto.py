"""The how-to "add a language", followed literally: every file is written and every command run, in a fresh folder."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/how-to/add-a-language.md"

BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REPLACE = "import sys; path, old, new = sys.argv[1:]; text = open(path).read(); assert text.count(old) == 1, path; " \
          "open(path, 'w').write(text.replace(old, new))"  # fmt: skip


class Block(NamedTuple):
    language: str
    settings: dict[str, str]
    text: str


def blocks(text):
    return [
        Block(language, dict(word.split("=", 1) for word in settings.split()), body)
        for language, settings, body in BLOCK.findall(text)
    ]


def script_of(document):
    """One script that does what the document says, in order; a block of text is what the commands before it printed."""
    parts, old = ["set -eu", "exec > said 2>&1", "said=$PWD/said"], ""
    for block in blocks(document):
        if block.language == "sh":
            parts += [': > "$said"', block.text]
        elif "file" in block.settings:
            parts.append(f"cat > {block.settings['file']} <<'END OF THE FILE'\n{block.text}END OF THE FILE")
        elif "old" in block.settings:
            old = block.text
        elif "new" in block.settings:
            parts.append(shlex.join(["python", "-c", REPLACE, block.settings["new"], old, block.text]))
        else:
            assert block.language == "text", f"what is to be done with a block of {block.language}?"
            parts += [f'grep -qxF -- {shlex.quote(line)} "$said"' for line in block.text.splitlines()]
    return "\n".join(parts)


def test_the_document_says_what_to_do():
    found = blocks(DOCUMENT.read_text())
    assert [block.language for block in found].count("sh") >= 4
    assert sum("file" in block.settings for block in found) >= 3
    assert "bldr init plugin" in script_of(DOCUMENT.read_text())


@pytest.mark.full
@pytest.mark.timeout(900)
def test_it_works_in_a_fresh_folder(strangers_env, tmp_path):
    folder = tmp_path / "folder of its own"
    folder.mkdir()
    commands = ["bash", "-c", script_of(DOCUMENT.read_text())]
    done = subprocess.run(commands, cwd=folder, env=strangers_env, stdin=subprocess.DEVNULL, timeout=900)
    assert done.returncode == 0, (folder / "said").read_text()
    assert (folder / "bldr-greeting/tests/test_quote.test_the_keys_of_actions_change_on_purpose_only.golden").exists()
    assert "> hello you" in (folder / "said").read_text()  # the last block was reached
