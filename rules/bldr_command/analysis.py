"""From a target that is a command to its one action, or to the description of its test."""

from typing import NamedTuple, TypeVar

from bldr.api import (
    Action,
    Analysis,
    Artifact,
    Context,
    Executable,
    Files,
    TargetAttributes,
    TestInfo,
)
from bldr_command.attributes import CommandAttributes, CommandTestAttributes, SuiteAttributes
from bldr_command.words import Words

SHELL = "shell"
_SHELL_ALONE = (SHELL,)
T = TypeVar("T")


class Tools(NamedTuple):
    """The built programs that a command may run: themselves, all files they need, and what must be visible besides."""

    programs: tuple[Artifact, ...]
    files: tuple[Artifact, ...]
    toolchains: tuple[str, ...]


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    if isinstance(attributes, CommandTestAttributes):
        return _analyze_test(attributes, context)
    if isinstance(attributes, SuiteAttributes):
        return Analysis((), (Files(()),))  # who asks for a suite gets its tests in its place
    assert isinstance(attributes, CommandAttributes)
    return _analyze_command(attributes, context)


def _analyze_command(attributes: CommandAttributes, context: Context) -> Analysis:
    outputs = _declare_outputs(attributes, context)
    sources, deps, data = context.files("sources"), _files_of_deps(context), context.files("data")
    tools = _tools(context)
    words = Words(sources=sources, outputs=outputs, deps=deps, tools=tools.programs)
    action = Action(
        argv=words.argv(attributes.command, context),
        inputs=_unique(sources, deps, data),
        outputs=outputs,
        mnemonic="Command",
        message=f"Making {', '.join(output.path for output in outputs)}",
        env=words.env(attributes.command, attributes.env, context),
        tools=tools.files,
        toolchains=_unique(_SHELL_ALONE, attributes.toolchains, tools.toolchains),
    )
    if not attributes.executable:
        return Analysis((action,), (Files(outputs),))
    if len(outputs) != 1 or outputs[0].is_directory:
        context.fail("a command that is executable has one output, the program", attribute="executable")
    return Analysis((action,), (Files(outputs), Executable(outputs[0], data, (SHELL, *attributes.toolchains))))


def _analyze_test(attributes: CommandTestAttributes, context: Context) -> Analysis:
    sources, deps, data = context.files("sources"), _files_of_deps(context), context.files("data")
    tools = _tools(context)
    words = Words(sources=sources, outputs=(), deps=deps, tools=tools.programs)
    test = TestInfo(
        argv=words.argv(attributes.command, context),
        inputs=_unique(sources, deps, data),
        env=words.env(attributes.command, attributes.env, context),
        toolchains=_unique(_SHELL_ALONE, attributes.toolchains, tools.toolchains),
        tools=tools.files,
    )
    return Analysis((), (Files(()), test))


def _declare_outputs(attributes: CommandAttributes, context: Context) -> tuple[Artifact, ...]:
    if not attributes.outputs:
        context.fail("a command needs outputs", 'name what it makes: outputs = ["..."]', "outputs")
    outputs = []
    for name in attributes.outputs:
        bare = name.removesuffix("/")
        if not bare or bare.startswith("/") or any(part in ("", ".", "..") for part in bare.split("/")):
            context.fail(f'"{name}" is no output', "outputs are normal paths below the package's directory", "outputs")
        declare = context.declare_directory if name.endswith("/") else context.declare_file
        outputs.append(declare(bare))
    return tuple(outputs)


def _files_of_deps(context: Context) -> tuple[Artifact, ...]:
    files: list[Artifact] = []
    for dep in context.deps():
        provided = dep.get(Files)
        if provided is None:
            context.fail(f"{dep.label} provides no files", attribute="deps")
        files += provided.files
    return _unique(tuple(files))


def _tools(context: Context) -> Tools:
    executables = []
    for dep in context.deps("tools"):
        executable = dep.get(Executable)
        if executable is None:
            context.fail(f"{dep.label} is no program", "tools are targets that can be run; files are sources", "tools")
        executables.append(executable)
    return Tools(
        programs=tuple(executable.program for executable in executables),
        files=_unique(*((executable.program, *executable.runtime) for executable in executables)),
        toolchains=_unique(*(executable.toolchains for executable in executables)),
    )


def _unique(*groups: tuple[T, ...]) -> tuple[T, ...]:
    filled = [group for group in groups if group]
    if len(filled) == 1 and len(filled[0]) == 1:
        return filled[0]
    return tuple(dict.fromkeys(element for group in filled for element in group))
