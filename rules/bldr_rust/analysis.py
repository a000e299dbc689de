"""From a target of Rust to its actions: one run of rustc for each crate."""

from bldr.api import Analysis, Artifact, CcInfo, Context, Executable, Files, TargetAttributes, TestInfo, first_of_each
from bldr_rust.attributes import AnyRustAttributes, RustAttributes, RustLibraryAttributes, RustTestAttributes
from bldr_rust.build_script import build_script
from bldr_rust.compile import Crate, Script, compile_crate, made_name
from bldr_rust.crates import crate_name, crate_root
from bldr_rust.harness import RUN_TEST
from bldr_rust.providers import Deps, RustInfo, deps_of, merge_native

RUNTIME = "cc-runtime"
_SYSTEM_LIBRARIES = ("-lpthread", "-ldl", "-lm")  # what the standard library needs; libc comes by itself


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    assert isinstance(attributes, RustAttributes | RustTestAttributes)
    deps = deps_of(attributes, context)
    actions, script = build_script(attributes, context)
    kind = attributes.crate_type if isinstance(attributes, RustLibraryAttributes) else "bin"
    crate = _crate(kind, attributes, deps, script, context)
    actions = (*actions, compile_crate(crate, attributes, context))
    runtime = first_of_each((context.files("data"), deps.runtime))
    if isinstance(attributes, RustLibraryAttributes):
        return Analysis(actions, (Files((crate.made,)), _library(crate, runtime)))
    return Analysis(actions, _program(crate, runtime, attributes))


def _crate(kind: str, attributes: AnyRustAttributes, deps: Deps, script: Script | None, context: Context) -> Crate:
    return Crate(
        name=crate_name(attributes, context),
        root=crate_root(attributes, context),
        made=context.declare_file(made_name(kind, attributes, context)),
        kind=kind,
        sources=context.files("sources"),
        deps=deps,
        is_test=isinstance(attributes, RustTestAttributes),
        script=script,
    )


def _library(crate: Crate, runtime: tuple[Artifact, ...]) -> RustInfo | CcInfo:
    """What dependents learn. A macro is run by the compiler: what it was made of ends in it."""
    native = crate.deps.native
    if crate.kind == "cdylib":
        return CcInfo(shared_libraries=(crate.made, *native.shared_libraries), runtime=runtime)
    if crate.kind == "staticlib":
        own = CcInfo(static_libraries=(crate.made,), link_flags=_SYSTEM_LIBRARIES)
        merged = merge_native((own, native))
        return CcInfo(
            static_libraries=merged.static_libraries,
            shared_libraries=merged.shared_libraries,
            link_flags=merged.link_flags,
            needs_cxx_runtime=merged.needs_cxx_runtime,
            runtime=runtime,
        )
    if crate.kind == "proc-macro":
        return RustInfo(crate_name=crate.name, library=crate.made, crates=(crate.made,))
    return RustInfo(
        crate_name=crate.name,
        library=crate.made,
        crates=(crate.made, *crate.deps.crates),
        native=native,
        runtime=runtime,
    )


def _program(
    crate: Crate, runtime: tuple[Artifact, ...], attributes: AnyRustAttributes
) -> tuple[Files | Executable | TestInfo, ...]:
    beside = first_of_each((crate.deps.native.shared_libraries, runtime))
    provides = (Files((crate.made,)), Executable(crate.made, beside, (RUNTIME,)))
    if not isinstance(attributes, RustTestAttributes):
        return provides
    test = TestInfo(
        argv=("sh", "-euc", RUN_TEST, "sh", f"./{crate.made.path}"),
        inputs=(crate.made, *beside),
        env=attributes.env,
        toolchains=("shell", RUNTIME),
    )
    return (*provides, test)
