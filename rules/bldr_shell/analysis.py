"""From a target of shell to its actions: check the scripts, and put a program beside all that it sources and runs."""

import posixpath

from bldr.api import (
    Action,
    Analysis,
    Artifact,
    Context,
    Executable,
    Files,
    TargetAttributes,
    TestInfo,
    ToolchainError,
    first_of_each,
)
from bldr_shell.attributes import AnyShellAttributes, ShellAttributes, ShellTestAttributes
from bldr_shell.providers import ShellInfo, info_of_deps, merge
from bldr_shell.scripts import ASSEMBLE, CHECK, LAUNCH, RUN_TEST

SHELL = "shell"
SHELLCHECK = "shellcheck"


def analyze(attributes: TargetAttributes, context: Context) -> Analysis:
    assert isinstance(attributes, ShellAttributes | ShellTestAttributes)
    deps = info_of_deps(context)
    own = ShellInfo(
        sources=context.files("sources"),
        runtime=context.files("data"),
        toolchains=first_of_each(((SHELL,), attributes.toolchains)),
    )
    checks = _check(attributes, own, deps, context)
    checked = tuple(action.outputs[0] for action in checks)
    info = merge((own, deps))
    if attributes.type == "library":
        return Analysis(checks, (info, Files((*own.sources, *checked))))
    main = _main(attributes, own, context)
    if isinstance(attributes, ShellTestAttributes):
        return Analysis(checks, (Files(checked), _test(attributes, main, info, checked, context)))
    action = _assemble(main, info, checked, context)
    provides = (Files(action.outputs), Executable(action.outputs[0], action.outputs[1:], info.toolchains))
    return Analysis((*checks, action), provides)


def _main(attributes: AnyShellAttributes, own: ShellInfo, context: Context) -> Artifact:
    if not attributes.main:
        if len(own.sources) != 1:
            context.fail("it is not said which script runs", 'write main = "app.sh"', "sources")
        return own.sources[0]
    path = posixpath.join(context.label.directory, attributes.main)
    for source in own.sources:
        if source.path == path:
            return source
    return context.fail(f'main is "{attributes.main}", which is none of the sources', "add it to sources", "main")


def _check(attributes: AnyShellAttributes, own: ShellInfo, deps: ShellInfo, context: Context) -> tuple[Action, ...]:
    """One run of shellcheck over the target's own scripts, which may source those of its deps."""
    if attributes.lint is False or not own.sources:
        return ()
    try:
        context.toolchain(SHELLCHECK)
    except ToolchainError:
        if attributes.lint == "auto":
            return ()
        raise
    made = context.declare_file(f"{context.label.name}.lint")
    script = posixpath.join(context.label.directory, f"{context.label.name}.shell", "check.sh")
    action = Action(
        argv=("sh", script, made.path, *attributes.lint_flags, "--", *(source.path for source in own.sources)),
        inputs=first_of_each((own.sources, deps.sources)),
        outputs=(made,),
        mnemonic="ShellCheck",
        message=f"Checking {context.label}",
        files=((script, CHECK),),
        toolchains=(SHELL, SHELLCHECK),
    )
    return (action,)


def _assemble(main: Artifact, info: ShellInfo, checked: tuple[Artifact, ...], context: Context) -> Action:
    """A script that needs nothing is copied; one that does stands in a tree beside a program that starts it."""
    program = context.declare_file(context.label.name)
    directory = posixpath.join(context.label.directory, f"{context.label.name}.shell")
    script, launch, listed = (f"{directory}/{name}" for name in ("assemble.sh", "launch.sh", "files"))
    beside = first_of_each((info.sources, info.runtime))
    argv: tuple[str, ...] = ("sh", script, main.path, program.path)
    outputs: tuple[Artifact, ...] = (program,)
    files: tuple[tuple[str, str], ...] = ((script, ASSEMBLE),)
    if beside != (main,):
        tree = context.declare_directory(f"{context.label.name}.runfiles")
        argv = (*argv, tree.path, launch, listed)
        outputs = (program, tree)
        text = LAUNCH.replace("@MAIN@", _quoted(main.path))
        paths = "".join(f"{file.path}\n" for file in beside)
        files = (*files, (launch, text), (listed, paths))
    return Action(
        argv=argv,
        inputs=first_of_each((beside, checked)),
        outputs=outputs,
        mnemonic="ShellProgram",
        message=f"Assembling {program.path}",
        files=files,
        toolchains=(SHELL,),
    )


def _test(
    attributes: ShellTestAttributes, main: Artifact, info: ShellInfo, checked: tuple[Artifact, ...], context: Context
) -> TestInfo:
    """Nothing is assembled: the script is run where it stands, with RUNFILES_DIR for the tree, as every test."""
    runner = posixpath.join(context.label.directory, f"{context.label.name}.shell", "run_test.sh")
    return TestInfo(
        argv=("sh", runner, main.path),
        inputs=first_of_each((info.sources, info.runtime, checked)),
        env=attributes.env,
        toolchains=info.toolchains,
        files=((runner, RUN_TEST),),
    )


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"
