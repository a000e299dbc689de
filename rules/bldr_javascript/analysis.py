"""From a target of JavaScript or TypeScript to its actions."""

import posixpath
import re

from bldr.api import Analysis, Artifact, Context, Executable, Files, TargetAttributes, TestInfo
from bldr_javascript.attributes import AnyAttributes, ModuleAttributes, ModuleTestAttributes, ProgramAttributes
from bldr_javascript.node import NODE, test_command
from bldr_javascript.program import bundle, collect, main_module
from bldr_javascript.providers import ModuleInfo, info_of_deps, merge
from bldr_javascript.typescript import compile_modules, is_typescript

_IS_TEST = re.compile(r"(^|[-_.])test([-_.]|$)")


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    assert isinstance(attributes, ModuleAttributes | ProgramAttributes | ModuleTestAttributes)
    if isinstance(attributes, ModuleAttributes) and attributes.node_modules:
        return _package(attributes, context)
    return _modules(attributes, context)


def _package(attributes: ModuleAttributes, context: Context) -> Analysis:
    """Somebody else's package, which is found by its name."""
    directory = posixpath.join(context.label.directory, attributes.node_modules.rstrip("/"))
    files = context.files("sources")
    for file in files:
        if not file.path.startswith(f"{directory}/"):
            context.fail(f'"{file.path}" is not below "{directory}"', "set node_modules", "sources")
    info = merge([ModuleInfo(packages=files, node_modules=(directory,)), info_of_deps(context)], context)
    return Analysis((), (info, Files(())))


def _modules(attributes: AnyAttributes, context: Context) -> Analysis:
    deps = info_of_deps(context)
    compiled = compile_modules(attributes, deps, context)
    actions = (compiled,) if compiled else ()
    made = compiled.outputs if compiled else ()
    own = (*(source for source in context.files("sources") if not is_typescript(source)), *made)
    info = merge([ModuleInfo(modules=(*own, *context.files("data"))), deps], context)
    if isinstance(attributes, ModuleAttributes):
        return Analysis(actions, (info, Files(made)))
    if isinstance(attributes, ModuleTestAttributes):
        return Analysis(actions, (Files(made), _test(attributes, own, info, context)))
    main = main_module(attributes, own, context)
    if attributes.bundler:
        link = bundle(attributes, main, info, context)
        return Analysis((*actions, link), (Files(link.outputs), Executable(link.outputs[0], (), NODE)))
    link = collect(main, info, context)
    program, directory = link.outputs
    return Analysis((*actions, link), (Files(link.outputs), Executable(program, (directory,), NODE)))


def _test(attributes: ModuleTestAttributes, own: tuple[Artifact, ...], info: ModuleInfo, context: Context) -> TestInfo:
    runnable = [file for file in own if file.path.endswith((".js", ".mjs", ".cjs"))]
    tests = tuple(file for file in runnable if _IS_TEST.search(posixpath.splitext(posixpath.basename(file.path))[0]))
    if not tests:
        context.fail(
            "none of the sources is a test", 'give it a name such as "parse.test.js" or "parse_test.ts"', "sources"
        )
    return TestInfo(argv=test_command(info, tests), inputs=info.files, env=attributes.env, toolchains=NODE)
