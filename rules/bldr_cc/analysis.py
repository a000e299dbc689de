"""From a target of C or C++ to its actions: compile every source, then archive or link."""

import posixpath

from bldr.api import (
    Action,
    Analysis,
    Artifact,
    CcInfo,
    Context,
    Executable,
    Files,
    TargetAttributes,
    TestInfo,
    first_of_each,
)
from bldr_cc.attributes import AnyCcAttributes, CcAttributes, CcLibraryAttributes, CcTestAttributes
from bldr_cc.compile import compile_settings, compile_source
from bldr_cc.link import archive, check_link_flags, link_program, link_shared
from bldr_cc.providers import info_of_deps, merge
from bldr_cc.sources import Sources, sort_out

RUNTIME = "cc-runtime"


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    assert isinstance(attributes, CcAttributes | CcTestAttributes)
    check_link_flags(attributes, context)
    sources = sort_out(context)
    deps = info_of_deps(context)
    if isinstance(attributes, CcLibraryAttributes):
        return _analyze_library(attributes, sources, deps, context)
    return _analyze_program(attributes, sources, deps, context)


def _analyze_library(attributes: CcLibraryAttributes, sources: Sources, deps: CcInfo, context: Context) -> Analysis:
    exported = merge((_own_info(attributes, sources, context), deps))
    # One kind of object serves both linkages: a static library may end up in a shared one.
    compiles, objects = _compile_all(attributes, sources, exported, context, position_independent=True)
    cxx = attributes.language == "c++" or sources.has_cxx
    if attributes.linkage == "shared":
        return _shared_library(attributes, sources, compiles, objects, exported, deps, context, cxx=cxx)
    imported = CcInfo(
        static_libraries=sources.archives,
        shared_libraries=sources.shared,
        link_flags=attributes.link_flags,
        needs_cxx_runtime=cxx,
    )
    if not objects:
        return Analysis((), (merge((exported, imported, deps)), Files((*sources.archives, *sources.shared))))
    action = archive(objects, attributes, context)
    own = CcInfo(static_libraries=action.outputs)
    info = merge((own, exported, imported, deps))
    return Analysis((*compiles, action), (info, Files(action.outputs)))


def _shared_library(
    attributes: CcLibraryAttributes,
    sources: Sources,
    compiles: tuple[Action, ...],
    objects: tuple[Artifact, ...],
    exported: CcInfo,
    deps: CcInfo,
    context: Context,
    *,
    cxx: bool,
) -> Analysis:
    """The static libraries end here: what the shared one took in of them is its own."""
    if not objects:
        context.fail("a shared library needs sources", "a library of headers alone is static", "linkage")
    linked = merge((_imported(sources), deps))
    action = link_shared(objects, linked, attributes, context, cxx=cxx or linked.needs_cxx_runtime)
    info = CcInfo(
        headers=exported.headers,
        include_dirs=exported.include_dirs,
        defines=exported.defines,
        shared_libraries=(*action.outputs, *linked.shared_libraries),
        runtime=exported.runtime,
    )
    return Analysis((*compiles, action), (info, Files(action.outputs)))


def _analyze_program(attributes: AnyCcAttributes, sources: Sources, deps: CcInfo, context: Context) -> Analysis:
    exported = merge((_own_info(attributes, sources, context), deps))
    compiles, objects = _compile_all(attributes, sources, exported, context, position_independent=False)
    linked = merge((_imported(sources), deps))
    if not objects and not linked.static_libraries:
        context.fail("there is nothing to link", "name sources, or a library that has main", "sources")
    cxx = attributes.language == "c++" or sources.has_cxx or linked.needs_cxx_runtime
    action = link_program(objects, linked, attributes, context, cxx=cxx)
    program = action.outputs[0]
    runtime = first_of_each((linked.shared_libraries, exported.runtime))
    provides = (Files((program,)), Executable(program, runtime, (RUNTIME,)))
    actions = (*compiles, action)
    if not isinstance(attributes, CcTestAttributes):
        return Analysis(actions, provides)
    test = TestInfo(
        argv=(program.path,),
        inputs=(program, *runtime),
        env=attributes.env,
        toolchains=(RUNTIME,),
    )
    return Analysis(actions, (*provides, test))


def _own_info(attributes: AnyCcAttributes, sources: Sources, context: Context) -> CcInfo:
    """What the target itself adds for those who include its headers or run it."""
    return CcInfo(
        headers=first_of_each((context.files("headers"), sources.headers)),
        include_dirs=tuple(_include_dir(name, context) for name in attributes.include),
        defines=attributes.defines,
        runtime=context.files("data"),
    )


def _imported(sources: Sources) -> CcInfo:
    return CcInfo(static_libraries=sources.archives, shared_libraries=sources.shared)


def _include_dir(name: str, context: Context) -> str:
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        context.fail(
            f'the include directory "{name}" is outside the package',
            "depend on the library that owns the headers",
            "include",
        )
    return posixpath.normpath(posixpath.join(context.label.directory, name))


def _compile_all(
    attributes: AnyCcAttributes,
    sources: Sources,
    info: CcInfo,
    context: Context,
    *,
    position_independent: bool,
) -> tuple[tuple[Action, ...], tuple[Artifact, ...]]:
    settings = compile_settings(attributes, info, context, position_independent=position_independent)
    actions = tuple(compile_source(source, settings, context) for source in sources.compiled)
    return actions, (*(action.outputs[0] for action in actions), *sources.objects)
