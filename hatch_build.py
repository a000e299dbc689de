"""Compiles what bldr has in C when it is installed, or a wheel of it built: pid 1 of the Linux sandbox, and the loops
of null builds and of staging.

Without a C compiler (or, for the loops, Python's headers), or where nothing may be written, there is none of it: bldr
does without, a little slower.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import partial
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_CRADLE = "platforms/bldr_linux/compiled"
_SIGNATURES = "builder/bldr/snapshot/signatures.c"
_LINKS = "builder/bldr/store/links.c"
_FLAGS = ("-O2", "-s", "-shared", "-fPIC", "-Wall", "-Wextra")
_LIMIT_S = 120


class CompileHook(BuildHookInterface[Any]):
    """Runs for wheels, editable ones as well."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile beside the sources, and take what came of it along where the wheel is not an editable one."""
        if sys.platform != "linux":
            return
        made = []
        for source, compile_it, what in (
            (f"{_CRADLE}/cradle.c", compile_cradle, "launches"),
            (_SIGNATURES, partial(compile_extension, source=_SIGNATURES), "null builds"),
            (_LINKS, partial(compile_extension, source=_LINKS), "actions with many inputs"),
        ):
            try:
                made.append(compile_it(self.root))
            except (OSError, subprocess.SubprocessError) as error:
                self.app.display_warning(f"{source} is not compiled, {what} take longer without it: {error}")
        if version != "editable" and made:
            build_data["artifacts"] += [os.path.relpath(path, self.root) for path in made]
            build_data["pure_python"] = False
            has_extension = any(path.endswith(".so") for path in made)
            build_data["tag"] = f"{'cp311-abi3' if has_extension else 'py3-none'}-linux_{os.uname().machine}"


def compile_cradle(root: str) -> str:
    """The program's path. Raises OSError, subprocess.SubprocessError."""
    # By its path: nothing of bldr is installed here.
    found = importlib.util.spec_from_file_location("compiled", os.path.join(root, _CRADLE, "__init__.py"))
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    program: str = module.build()
    return program


def compile_extension(root: str, source: str) -> str:
    """The path of the extension module that `name.c` makes, `_name` beside it; it serves every Python from 3.11 on.

    Raises OSError, subprocess.SubprocessError.
    """
    place = os.path.join(root, source)
    directory, name = os.path.split(place)
    extension = os.path.join(directory, f"_{name.removesuffix('.c')}.abi3.so")
    new = f"{extension}.{os.getpid()}"
    compiler = os.environ.get("CC") or next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "cc")
    with open(place, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    told = (f"-I{sysconfig.get_path('include')}", f'-DSOURCE="{digest}"')
    command = [*compiler.split(), *_FLAGS, *told, "-o", new, place]
    try:
        subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=True)
        os.chmod(new, 0o755)  # noqa: S103 - whoever may read the modules loads it, as an unprivileged user too
        os.rename(new, extension)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
    return extension
