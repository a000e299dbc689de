"""A program with all that it imports as one file."""

import json
import posixpath

from bldr.api import Action, Artifact, Context, PythonInfo, first_of_each
from bldr_python.providers import root_of
from bldr_python.scripts import PACK, START


def pack(main: str, call: str, info: PythonInfo, bytecode: tuple[Artifact, ...], context: Context) -> Action:
    """The action that packs module `main` (or what is to be called in it) with its modules and data."""
    program = context.declare_file(context.label.name)
    directory = posixpath.join(context.label.directory, f"{context.label.name}.python")
    script, spec_path, start = (f"{directory}/{name}" for name in ("pack.py", "program.json", "start.py"))
    files = first_of_each((info.sources, info.runtime))
    sites = _sites(info)
    spec = {
        "main": main,
        "call": call,
        "roots": [root for root in info.import_roots if root not in sites],
        "sites": sites,
        "files": [file.path for file in files],
        "bytecode": [directory.path for directory in bytecode],
    }
    return Action(
        argv=("python3", "-s", "-S", script, program.path, spec_path, start),
        inputs=first_of_each((files, bytecode)),
        outputs=(program,),
        mnemonic="PythonPack",
        message=f"Packing {program.path}",
        files=((script, PACK), (spec_path, json.dumps(spec, indent=1)), (start, START)),
        toolchains=("python",),
    )


def _sites(info: PythonInfo) -> list[str]:
    """The import roots that hold an installed distribution with its metadata, and those below them (what an installer
    would move to the top), innermost first: a file belongs to the first that is above it."""
    found: dict[str, None] = {}
    for file in info.runtime:
        directory, name = posixpath.split(file.path)
        if name == "METADATA" and directory.endswith(".dist-info"):
            site = posixpath.dirname(directory)
            if root_of(directory, info.import_roots) == site:
                found[site] = None
    below = (root for root in info.import_roots if any(root.startswith(f"{site}/") for site in found))
    return sorted({*found, *below}, key=lambda site: (-len(site), site))
