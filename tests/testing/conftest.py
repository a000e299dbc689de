"""What is here as strangers install it: an environment in which `pip install bldr` means this checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def strangers_env(tmp_path_factory):
    """The environment of somebody who has nothing but a Python and pip, which is offered a wheel made of this checkout.

    Its version is one that no package index can have. Everything else comes from the index that pip is configured for.
    """
    top = tmp_path_factory.mktemp("stranger")
    wheel = built_wheel(top)
    (top / "constraints").write_text(f"bldr=={wheel.name.split('-')[1]}\n")
    dropped = ("BLDR_", "BUILDER_", "PYTHON", "VIRTUAL_ENV", "PYTEST_", "COV_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return env | {
        "HOME": str(top),
        "PATH": f"{Path(sys.executable).resolve().parent}:{os.environ['PATH']}",
        "PIP_CONSTRAINT": str(top / "constraints"),
        "PIP_FIND_LINKS": f"{wheel.parent} {os.environ.get('PIP_FIND_LINKS', '')}".strip(),
        "BLDR_CACHE_DIR": str(top / "cache"),
        "PYTEST_ADDOPTS": f"--basetemp={top / 'basetemp'}",
    }


def built_wheel(top):
    """Built from a copy, so that nothing of the checkout is changed."""
    source = top / "bldr"
    source.mkdir()
    for part in ROOT.iterdir():
        if part.is_file() and not part.name.startswith("."):
            shutil.copy(part, source)
    for part in ("builder", "platforms", "rules"):
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    version = source / "builder/bldr/__init__.py"
    version.write_text(re.sub(r'(__version__ = "[^"+]+)', r"\1+here", version.read_text()))
    made = top / "dist"
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, source]
    subprocess.run(pip, check=True)
    (path,) = made.glob("bldr-*.whl")
    return path
