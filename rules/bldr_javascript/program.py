"""Modules become a program: one file made by esbuild, or a directory and a script that starts it."""

import posixpath

from bldr.api import Action, Artifact, Context
from bldr_javascript.attributes import ProgramAttributes
from bldr_javascript.node import NODE, package_file
from bldr_javascript.providers import ModuleInfo, info_of_deps, merge

_BUNDLE = """\
modules=$1 program=$2
shift 2
test -z "$modules" || ln -s "$modules" node_modules
node "$@" --outfile="$program.js"
{ printf '#!/usr/bin/env node\\n'; sed '1{/^#!/d;}' "$program.js"; } > "$program"
chmod 755 "$program"
"""
_COLLECT = """\
modules=$1 program=$2 start=$3 list=$4
app=$program.app
while read -r file; do
    case $modules:$file in
    ?*:"$modules"/*) place=$app/node_modules/${file#"$modules"/} ;;
    *) place=$app/$file ;;
    esac
    mkdir -p "${place%/*}"
    cp -RL -- "$file" "$place"
done < "$list"
printf '#!/bin/sh\\n%s\\n' "$start" > "$program"
chmod 755 "$program"
"""


def bundle(attributes: ProgramAttributes, main: Artifact, info: ModuleInfo, context: Context) -> Action:
    """The action that puts all modules into one file."""
    visible = merge([info, info_of_deps(context, ("bundler",))], context)
    esbuild = package_file("esbuild/bin/esbuild", visible, context, "bundler")
    program = context.declare_file(context.label.name)
    flags = ["--bundle", "--platform=node", f"--format={attributes.format}", "--log-level=warning", "--charset=utf8"]
    if context.configuration.mode == "release":
        flags.append("--minify")
    elif context.configuration.mode == "debug":
        flags.append("--sourcemap=inline")
    flags += [*context.configuration.flags_of("javascript"), *attributes.bundle_flags]
    modules = visible.node_modules[0] if visible.node_modules else ""
    return Action(
        argv=("sh", "-euc", _BUNDLE, "sh", modules, program.path, esbuild, main.path, *flags),
        inputs=visible.files,
        outputs=(program,),
        mnemonic="Esbuild",
        message=f"Bundling {context.label}",
        toolchains=NODE,
    )


def collect(main: Artifact, info: ModuleInfo, context: Context) -> Action:
    """The action that puts all modules into a directory; its outputs are the script and the directory."""
    name = context.label.name
    program, directory = context.declare_file(name), context.declare_directory(f"{name}.app")
    for file in info.files:
        if "\n" in file.path or file.path != file.path.strip() or "\\" in file.path:
            context.fail(f'"{file.path}" cannot be listed', "give it another name, or name a bundler", "sources")
    listing = f"{program.path}.list"
    modules = info.node_modules[0] if info.node_modules else ""
    # It may be run through a link, and then what it needs is not beside that.
    start = f'''self=$(readlink -f -- "$0" 2>/dev/null) || self=$0
exec node "${{self%/*}}"/{_quoted(f"{posixpath.basename(directory.path)}/{main.path}")} "$@"'''
    return Action(
        argv=("sh", "-euc", _COLLECT, "sh", modules, program.path, start, listing),
        inputs=info.files,
        outputs=(program, directory),
        mnemonic="Collect",
        message=f"Collecting {context.label}",
        files=((listing, "".join(f"{file.path}\n" for file in info.files)),),
        toolchains=NODE,
    )


def main_module(attributes: ProgramAttributes, modules: tuple[Artifact, ...], context: Context) -> Artifact:
    """The module that begins: what `main` names, as a source or as what it is compiled to, or the only one."""
    wanted = posixpath.join(context.label.directory, attributes.main)
    stem = posixpath.splitext(wanted)[0]
    runnable = [module for module in modules if module.path.endswith((".js", ".mjs", ".cjs"))]
    if attributes.main:
        for module in runnable:
            if module.path == wanted or posixpath.splitext(module.path)[0] == stem:
                return module
        context.fail(f'"{attributes.main}" is none of the sources', "main is a source of this target", "main")
    if len(runnable) != 1:
        context.fail(
            f"there are {len(runnable)} modules that the program could begin with", "say which: main = ...", "main"
        )
    return runnable[0]


def _quoted(text: str) -> str:
    """One word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
