"""Compiles the one program of the Linux sandbox that is written in C, when bldr is installed or a wheel of it is built.

Without a C compiler, or where nothing may be written, there is none: the sandbox does without it, a little slower.
"""

import importlib.util
import os
import subprocess
import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PACKAGE = "platforms/bldr_linux/compiled"


class CompileHook(BuildHookInterface[Any]):
    """Runs for wheels, editable ones as well."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the program beside its source, and take it along where the wheel is not an editable one."""
        if sys.platform != "linux":
            return
        # By its path: nothing of bldr is installed here.
        found = importlib.util.spec_from_file_location("compiled", os.path.join(self.root, _PACKAGE, "__init__.py"))
        assert found is not None and found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        try:
            program = module.build()
        except (OSError, subprocess.SubprocessError) as error:
            self.app.display_warning(f"{_PACKAGE}/cradle.c is not compiled, launches take longer without it: {error}")
            return
        if version != "editable":
            build_data["artifacts"].append(os.path.relpath(program, self.root))
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-linux_{os.uname().machine}"
