"""From a target of Go to its actions: one for each package, and one for the link of a program."""

import posixpath

from bldr.api import Analysis, Artifact, Context, Executable, Files, TargetAttributes, TestInfo, first_of_each
from bldr_go.attributes import GoAttributes, GoStdAttributes, GoTestAttributes
from bldr_go.compile import Package, compile_package, compile_standard_library, compile_test, link
from bldr_go.harness import RUN_TEST
from bldr_go.providers import Deps, GoInfo, deps_of, library_under_test, standard_library

_COMPILED = (".go", ".s", ".h")


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    if isinstance(attributes, GoStdAttributes):
        action, info = compile_standard_library(attributes, context)
        return Analysis((action,), (info, Files(action.outputs)))
    if isinstance(attributes, GoTestAttributes):
        return _analyze_test(attributes, deps_of(context), context)
    assert isinstance(attributes, GoAttributes)
    return _analyze_package(attributes, deps_of(context), context)


def _analyze_package(attributes: GoAttributes, deps: Deps, context: Context) -> Analysis:
    std, name = standard_library(context), context.label.name
    sources, embed = context.files("sources"), context.files("embed")
    runtime = first_of_each((context.files("data"), deps.runtime))
    is_program = attributes.type == "executable"
    import_path = "main" if is_program else attributes.import_path or context.label.package or name
    package = Package(import_path, _directory(sources, context), sources, embed, deps.imports)
    made = (context.declare_file(f"{name}.x"), context.declare_file(f"{name}.a"))
    compiled = compile_package(package, made, std, attributes, context)
    if not is_program:
        info = GoInfo(
            import_path=import_path,
            export=made[0],
            objects=((import_path, made[1]), *deps.objects),
            sources=sources,
            embed=embed,
            imports=deps.imports,
            runtime=runtime,
        )
        return Analysis((compiled,), (info, Files((made[1],))))
    linked = link(made[1], made[1].path, deps.objects, std, attributes, context)
    return Analysis((compiled, linked), (Files(linked.outputs), Executable(linked.outputs[0], runtime)))


def _analyze_test(attributes: GoTestAttributes, deps: Deps, context: Context) -> Analysis:
    std, library = standard_library(context), library_under_test(context)
    sources, embed, imports, objects = context.files("sources"), context.files("embed"), deps.imports, deps.objects
    runtime = first_of_each((context.files("data"), deps.runtime, library.runtime if library else ()))
    import_path = attributes.import_path or context.label.package or context.label.name
    if library is not None:
        import_path = library.import_path
        sources, embed = first_of_each((library.sources, sources)), first_of_each((library.embed, embed))
        imports = first_of_each((library.imports, imports))
        objects = tuple(item for item in first_of_each((library.objects, objects)) if item[0] != import_path)
        if any(path == import_path for path, _ in imports):
            context.fail(f'"{import_path}" is both under test and a dep', "leave it out of deps", "deps")
    package = Package(import_path, _directory(sources, context), sources, embed, imports)
    made = context.declare_directory(f"{context.label.name}.packages")
    compiled = compile_test(package, made, std, attributes, context)
    linked = link(made, f"{made.path}/main.a", objects, std, attributes, context)
    program = linked.outputs[0]
    test = TestInfo(
        argv=("sh", "-euc", RUN_TEST, "sh", f"./{program.path}"),
        inputs=(program, *runtime),
        env=attributes.env,
        toolchains=("shell",),
    )
    return Analysis((compiled, linked), (Files((program,)), Executable(program, runtime), test))


def _directory(sources: tuple[Artifact, ...], context: Context) -> str:
    """Where the sources of the package stand: the compiler's rules are about whole directories."""
    for source in sources:
        if posixpath.splitext(source.path)[1] not in _COMPILED:
            context.fail(
                f'"{source.path}" is no source of Go',
                "files for //go:embed belong into embed, those for programs that run into data",
                "sources",
            )
    directories = sorted({posixpath.dirname(source.path) for source in sources})
    if not directories:
        context.fail("there are no sources", attribute="sources")
    if len(directories) > 1:
        context.fail(
            f'the sources stand in several directories: "{directories[0]}" and "{directories[1]}"',
            "each directory is a package, and each package a target",
            "sources",
        )
    return directories[0]
