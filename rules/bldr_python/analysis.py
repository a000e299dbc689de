"""From a target of Python to its actions: compile the modules, pack a program; and to the description of its test."""

import json
import posixpath

from bldr.api import (
    TREE_ROOT,
    Action,
    Analysis,
    Artifact,
    Context,
    Executable,
    Files,
    PythonInfo,
    TargetAttributes,
    TestInfo,
    first_of_each,
)
from bldr_python.attributes import PythonLibraryAttributes, PythonProgramAttributes, PythonTestAttributes
from bldr_python.programs import pack
from bldr_python.providers import Bytecode, Deps, deps_of, merge, module_of, own_info
from bldr_python.scripts import COMPILE, RUN_TESTS

PYTHON = "python"
NATIVE = "cc-runtime"


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    assert isinstance(attributes, PythonLibraryAttributes | PythonProgramAttributes | PythonTestAttributes)
    own, deps = own_info(attributes, context), deps_of(context)
    if isinstance(attributes, PythonLibraryAttributes):
        return _analyze_library(attributes, own, deps, context)
    if isinstance(attributes, PythonTestAttributes):
        return _analyze_test(attributes, own, deps, context)
    return _analyze_program(attributes, own, deps, context)


def _analyze_library(attributes: PythonLibraryAttributes, own: PythonInfo, deps: Deps, context: Context) -> Analysis:
    _check_version(attributes, context)
    actions = _compile(own, context, strict=attributes.check)
    made = tuple(action.outputs[0] for action in actions)
    provides = (
        merge((own, deps.info)),
        Bytecode(first_of_each((made, deps.bytecode.directories)), deps.bytecode.native),
        Files((*own.sources, *made)),
    )
    return Analysis(actions, provides)


def _analyze_program(attributes: PythonProgramAttributes, own: PythonInfo, deps: Deps, context: Context) -> Analysis:
    compiles = _compile(own, context, strict=True)
    info = merge((own, deps.info))
    bytecode = first_of_each(((action.outputs[0] for action in compiles), deps.bytecode.directories))
    module, call = _start_of(attributes, own, context)
    action = pack(module, call, info, bytecode, context)
    program = action.outputs[0]
    provides = (Files((program,)), Executable(program, (), _toolchains(deps)))
    return Analysis((*compiles, action), provides)


def _analyze_test(attributes: PythonTestAttributes, own: PythonInfo, deps: Deps, context: Context) -> Analysis:
    """Nothing is built: what a test is made of stands in its tree as it is."""
    info = merge((own, deps.info))
    modules = _test_modules(own, context)
    place = f"{context.label.name}.python"
    directory = posixpath.join(context.label.directory, place)
    runner, spec_path = f"{directory}/run_tests.py", f"{directory}/test.json"
    spec = {
        "framework": _framework(attributes, info, context),
        "files": modules,
        "modules": [module_of(path, own.import_roots) for path in modules],
        "bytecode": [made.path for made in deps.bytecode.directories],
    }
    roots = (TREE_ROOT if root == "." else f"{TREE_ROOT}/{root}" for root in info.import_roots)
    test = TestInfo(
        argv=("python3", "-s", "-S", runner, spec_path),
        inputs=first_of_each((info.sources, info.runtime, deps.bytecode.directories)),
        env={"PYTHONPATH": ":".join(roots), **attributes.env},
        toolchains=_toolchains(deps),
        files=((runner, RUN_TESTS), (spec_path, json.dumps(spec, indent=1))),
    )
    return Analysis((), (Files(()), test))


def _compile(own: PythonInfo, context: Context, *, strict: bool) -> tuple[Action, ...]:
    """All modules of a target at once: to start Python takes longer than to compile most of them."""
    sources = tuple(source for source in own.sources if source.path.endswith(".py"))
    if not sources:
        return ()
    made = context.declare_directory(f"{context.label.name}.bytecode")
    directory = posixpath.join(context.label.directory, f"{context.label.name}.python")
    script, listed = f"{directory}/compile_sources.py", f"{directory}/sources"
    action = Action(
        argv=("python3", "-s", "-S", script, made.path, "strict" if strict else "lenient", listed),
        inputs=sources,
        outputs=(made,),
        mnemonic="PythonCompile",
        message=f"Compiling {context.label}",
        files=((script, COMPILE), (listed, "".join(f"{source.path}\n" for source in sources))),
        toolchains=(PYTHON,),
    )
    return (action,)


def _start_of(attributes: PythonProgramAttributes, own: PythonInfo, context: Context) -> tuple[str, str]:
    """The module to run, and what to call in it: "" to run the module itself."""
    if attributes.main and attributes.entry_point:
        context.fail('"main" and "entry_point" are both given', "keep one of the two", "entry_point")
    if attributes.entry_point:
        module, _, call = attributes.entry_point.partition(":")
        if not module or not call or not all(part.isidentifier() for part in (*module.split("."), *call.split("."))):
            context.fail(
                f'"{attributes.entry_point}" is no entry point', 'write "package.module:function"', "entry_point"
            )
        return module, call
    main = _main_source(attributes, own, context)
    module = module_of(main.path, own.import_roots)
    if "." in module.rpartition("/")[2] and not all(module.split(".")):
        context.fail(f'"{main.path}" has no name that can be imported', "rename it", "main")
    return module, ""


def _main_source(attributes: PythonProgramAttributes, own: PythonInfo, context: Context) -> Artifact:
    """The source that `main` names; else the only one, or the one that is named as the target or `__main__.py`."""
    by_path = {source.path: source for source in own.sources if source.path.endswith(".py")}
    if attributes.main:
        path = posixpath.join(context.label.directory, attributes.main)
        if path not in by_path:
            context.fail(f'main is "{attributes.main}", which is none of the sources', "add it to sources", "main")
        return by_path[path]
    if len(by_path) == 1:
        return next(iter(by_path.values()))
    for name in (f"{context.label.name}.py", "__main__.py"):
        found = by_path.get(posixpath.join(context.label.directory, name))
        if found is not None:
            return found
    hint = 'write main = "app.py", or entry_point = "package.module:function"'
    return context.fail("it is not said what runs", hint)


def _test_modules(own: PythonInfo, context: Context) -> list[str]:
    """The sources that are named as tests are (test_x.py, x_test.py); all modules where none is."""
    paths = [source.path for source in own.sources if source.path.endswith(".py")]
    plain = [path for path in paths if posixpath.basename(path) not in ("__init__.py", "conftest.py")]
    if not plain:
        context.fail("a test needs sources", 'name its modules: sources = ["test_*.py"]', "sources")
    return [path for path in plain if _is_test(posixpath.basename(path))] or plain


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name.endswith("_test.py")


def _framework(attributes: PythonTestAttributes, info: PythonInfo, context: Context) -> str:
    paths = {source.path for source in info.sources}
    has_pytest = any(posixpath.join(root, "pytest/__init__.py") in paths for root in info.import_roots)
    if attributes.framework == "pytest" and not has_pytest:
        hint = 'pin it in a lock file and write deps = ["@pypi//:pytest"]'
        context.fail("pytest is not among the deps", hint, "framework")
    if attributes.framework == "auto":
        return "pytest" if has_pytest else "unittest"
    return attributes.framework


def _check_version(attributes: PythonLibraryAttributes, context: Context) -> None:
    """Native modules are made for one version of Python."""
    if not attributes.requires:
        return
    version = context.toolchain(PYTHON).attributes["version"]
    if version.split(".")[:2] != attributes.requires.split(".")[:2]:
        context.fail(
            f"it is made for Python {attributes.requires}, and the toolchain is Python {version}",
            "choose another interpreter by the variable PYTHON, or pin files for this one",
            "requires",
        )


def _toolchains(deps: Deps) -> tuple[str, ...]:
    return (PYTHON, NATIVE) if deps.bytecode.native else (PYTHON,)
