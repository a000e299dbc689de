"""Sources of TypeScript become modules and declarations, in one action for each target."""

import json
import posixpath
from typing import Any

from bldr.api import Action, Artifact, Context
from bldr_javascript.attributes import AnyAttributes
from bldr_javascript.node import NODE, in_tree, package_file
from bldr_javascript.providers import ModuleInfo, info_of_deps, merge

_ENDINGS = {".ts": (".js", ".d.ts"), ".mts": (".mjs", ".d.mts"), ".cts": (".cjs", ".d.cts"), ".tsx": (".js", ".d.ts")}
_DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")


def is_typescript(source: Artifact) -> bool:
    """Whether a source has to be compiled."""
    return not source.path.endswith(_DECLARATIONS) and posixpath.splitext(source.path)[1] in _ENDINGS


def compile_modules(attributes: AnyAttributes, info: ModuleInfo, context: Context) -> Action | None:
    """The action that makes `x.js` and `x.d.ts` of every `x.ts`, each beside its source; None where there is none."""
    sources = context.files("sources")
    compiled = [source for source in sources if is_typescript(source)]
    if not compiled:
        return None
    if not context.deps("compiler"):
        context.fail(
            f'"{compiled[0].path}" is TypeScript, and no compiler is named',
            'write compiler = ["@npm//:typescript"], a package that a lock file pins',
            "sources",
        )
    visible = merge([info, info_of_deps(context, ("compiler",))], context)
    outputs = tuple(context.declare_file(name) for source in compiled for name in _outputs(source, context))
    settings = f"{context.label.directory}/{context.label.name}.tsconfig.json".lstrip("/")
    extended = context.files("tsconfig")
    text = json.dumps(_settings(settings, compiled, extended, info, context), indent=1)
    tsc = package_file("typescript/lib/tsc.js", visible, context, "compiler")
    flags = (*context.configuration.flags_of("typescript"), *attributes.flags)
    return Action(
        argv=in_tree(visible, (tsc, "-p", settings, *flags)),
        inputs=tuple(dict.fromkeys((*sources, *extended, *visible.files))),
        outputs=outputs,
        mnemonic="TypeScript",
        message=f"Compiling {context.label}",
        files=((settings, text),),
        toolchains=NODE,
    )


def _outputs(source: Artifact, context: Context) -> list[str]:
    """The names, below the package, of what a source becomes."""
    stem, ending = posixpath.splitext(source.path)
    directory = context.label.directory
    if directory and not source.path.startswith(f"{directory}/"):
        context.fail(f'"{source.path}" is no source of this package', "depend on a library that has it", "sources")
    name = stem.removeprefix(f"{directory}/") if directory else stem
    return [name + made for made in _ENDINGS[ending]]


def _settings(
    place: str, compiled: list[Artifact], extended: tuple[Artifact, ...], info: ModuleInfo, context: Context
) -> dict[str, Any]:
    """The project file: what the target says comes after what it extends, and where things stand after that."""
    directory = posixpath.dirname(place)

    def seen_from_here(path: str) -> str:
        return posixpath.relpath(path, directory or ".") if path else "."

    root = posixpath.relpath(".", directory or ".")
    placed: dict[str, Any] = {
        "rootDir": root,
        "outDir": root,
        "declaration": True,
        "emitDeclarationOnly": False,
        "noEmit": False,
        "incremental": False,
        "composite": False,
        "newLine": "lf",
        "inlineSourceMap": context.configuration.mode == "debug",
        "sourceMap": False,
        "declarationMap": False,
    }
    chosen: dict[str, Any] = {
        "target": "es2022",
        "module": "nodenext",
        "moduleResolution": "nodenext",
        "strict": True,
        "skipLibCheck": True,
        "noEmitOnError": True,
        "types": ["node"] if any("/@types/node/" in file.path for file in info.packages) else [],
    }
    settings: dict[str, Any] = {"files": [f"{_dotted(seen_from_here(source.path))}" for source in compiled]}
    if extended:
        settings["extends"] = [_dotted(seen_from_here(file.path)) for file in extended]
        chosen = {}
    return {**settings, "compilerOptions": {**chosen, **placed}}


def _dotted(path: str) -> str:
    return path if path.startswith(".") else f"./{path}"
