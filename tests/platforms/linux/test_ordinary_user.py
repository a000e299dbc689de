"""The whole suite once more as an ordinary user, for whom the launcher gives nothing up and has nothing to give."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
USER = 12345


def environment(home):
    paths = ":".join(path for path in sys.path if path)
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def run(home, *command):
    return subprocess.run(
        command, user=USER, group=USER, extra_groups=[], env=environment(home), cwd=HERE, capture_output=True, text=True
    )


def interpreter(home):
    """A Python that this user may run and that finds what the tests import."""
    names = [sys.executable, *(f"/usr/{place}/python3" for place in ("bin", "local/bin"))]
    reasons = []
    for name in names:
        try:
            ran = run(home, name, "-c", "import pytest, hypothesis, msgspec, bldr_linux")
        except OSError as error:
            reasons.append(f"{name}: {error}")
            continue
        if ran.returncode == 0:
            return name
        reasons.append(f"{name}: {ran.stderr.strip().splitlines()[-1]}")
    return pytest.skip(f"no interpreter that another user can run: {'; '.join(reasons)}")


@pytest.mark.full
@pytest.mark.root
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_everything_holds_for_an_ordinary_user():
    home = Path(f"/tmp/bldr-test-user-{os.getpid()}")
    home.mkdir(mode=0o700)
    os.chown(home, USER, USER)
    try:
        python = interpreter(home)
        options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--import-mode=importlib", f"--basetemp={home}/t"]
        # The launcher's; what is in folders of its own CI runs as an ordinary user anyway.
        files = sorted(str(path) for path in HERE.glob("test_*.py"))
        ran = run(home, python, "-m", "pytest", *options, "-W", "ignore", "-m", "not full and not vm", *files)
    finally:
        shutil.rmtree(home)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
    assert " passed" in ran.stdout.splitlines()[-1]
