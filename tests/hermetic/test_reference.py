"""The examples of the reference page run, from top to bottom, as one program."""

import os
import re
import subprocess
import sys

PAGE = os.path.join(os.path.dirname(__file__), "../../docs/reference/hermetic.md")


def program():
    """The page with everything but its examples blanked, so that line numbers in errors are those of the page."""
    with open(PAGE) as file:
        text = file.read()
    lines = ["" for _ in text.splitlines()]
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    for block in blocks:
        first = text.count("\n", 0, block.start(1))
        code = block[1].splitlines()
        lines[first : first + len(code)] = code
    return "\n".join(lines), len(blocks)


def test_the_examples_of_the_reference_page_run(tmp_path):
    code, count = program()
    assert count >= 10
    script = tmp_path / "hermetic.md.py"
    script.write_text(code)
    # The examples make their directory by `tempfile`, and must leave no process behind that keeps the pipes open.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=120)
    assert ran.returncode == 0, ran.stderr
