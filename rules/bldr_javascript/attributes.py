"""What targets of JavaScript and TypeScript may say."""

from typing import Literal

from bldr.api import FileList, LabelList, TargetAttributes, TestAttributes


class ModuleAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A library. Sources of TypeScript need `compiler`, the package that brings `tsc`; `tsconfig` is what its settings
    begin with, `flags` are settings as tsc takes them on its command line.

    `node_modules` is the directory of the package below which its sources are found by name.
    """

    compiler: LabelList = ()
    tsconfig: FileList = ()
    flags: tuple[str, ...] = ()
    node_modules: str = ""


class ProgramAttributes(TargetAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program: `main` is the source that begins. With `bundler`, the package of esbuild, it becomes one file that
    runs alone; without, a script beside a directory."""

    compiler: LabelList = ()
    tsconfig: FileList = ()
    flags: tuple[str, ...] = ()
    main: str = ""
    bundler: LabelList = ()
    bundle_flags: tuple[str, ...] = ()
    format: Literal["cjs", "esm"] = "cjs"


class ModuleTestAttributes(TestAttributes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tests of node:test: every source whose name has the word "test" in it. `args` are options of `node --test`."""

    compiler: LabelList = ()
    tsconfig: FileList = ()
    flags: tuple[str, ...] = ()


AnyAttributes = ModuleAttributes | ProgramAttributes | ModuleTestAttributes
"""What has sources."""
