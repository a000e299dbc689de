"""`bldr exec`: run one command in a sandbox, as the command line declares it; needs no workspace."""

import os
import shlex
import signal
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bldr.cli.exec_spec import read_input, read_output, read_temp, read_variable
from bldr.cli.options import add_format_option, add_isolation_options, isolation, limits

if TYPE_CHECKING:
    from bldr.api import Exit, SandboxSpec, Verdict
    from bldr.hermetic import Host, Process

FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
"""What is sent to us is the command's; it decides whether it ends."""


def add_arguments(parser: ArgumentParser) -> None:
    """What the command may see and do. It stands after `--`."""
    parser.usage = "bldr exec [OPTIONS] -- COMMAND [ARG...]"
    parser.add_argument("misplaced", nargs="*", help=SUPPRESS)
    parser.add_argument("-C", "--directory", metavar="DIR", help="stand in DIR instead of the current directory")
    # Limits have the names output and temp already: see `add_limit_options`.
    many: dict[str, Any] = {"action": "append", "default": []}
    world = parser.add_argument_group("what the command sees")
    help_text = "a file or directory that it may read, at DEST"
    world.add_argument("--input", dest="inputs", metavar="PATH[=DEST]", type=read_input, help=help_text, **many)
    help_text = "one that it may write; made where it is missing: as a directory, where a slash ends it"
    world.add_argument("--output", dest="outputs", metavar="PATH[=DEST]", type=read_output, help=help_text, **many)
    help_text = "an empty scratch directory besides /tmp, or another size of that"
    world.add_argument("--temp", dest="temps", metavar="PATH[:SIZE]", type=read_temp, help=help_text, **many)
    help_text = "a variable; without a value, with the one that it has here"
    world.add_argument("--env", metavar="NAME[=VALUE]", type=read_variable, help=help_text, **many)
    world.add_argument("--cwd", metavar="DEST", help="where it starts (default: here, where that can be seen; or /)")
    world.add_argument("--device", metavar="PATH", help="a device node that it may use", **many)
    world.add_argument("--sysfs", action="store_true", help="show /sys, read-only")
    world.add_argument("--no-usr", action="store_true", help="leave out /usr and its links /bin, /lib and so on")
    help_text = "none (the default), this machine's, or one that sandboxes share"
    world.add_argument("--network", choices=("none", "host", "bridge"), default="none", help=help_text)
    add_isolation_options(parser)
    parser.add_argument("--status-fd", metavar="FD", type=_descriptor, help="write what happens as lines of JSON")
    parser.add_argument("--stop-on-warnings", action="store_true", help="run nothing where anything will be missing")
    parser.add_argument("--check", action="store_true", help="run nothing; say what this machine can give")
    add_format_option(parser)


def run(arguments: Namespace) -> int:
    """Run the command; its exit code is ours."""
    from bldr.api.errors import BldrError
    from bldr.cli.exec_spec import make_spec
    from bldr.hermetic import Host
    from bldr.hermetic.process import require_passing

    if arguments.misplaced:
        command = shlex.join([*arguments.misplaced, *arguments.after_dashes])
        raise BldrError(f'"{arguments.misplaced[0]}" stands before --', f"write the command after it: -- {command}")
    require_passing()
    mode = isolation(arguments, os.environ, default="require")
    spec, cwd = make_spec(arguments, limits(arguments, os.environ), os.environ)
    if not arguments.check and not arguments.after_dashes:
        raise BldrError("there is no command to run", "write it after --, as in: bldr exec -- make test")
    if arguments.check:
        return _check(Host("best"), spec, arguments.format)
    host = Host(mode)
    for shortfall in host.demand(spec).shortfalls:
        _say(f"warning: {shortfall.guarantee} is not enforced: {shortfall.why}", shortfall.remedy)
    ended = _run(arguments, host, spec, cwd)
    for warning in ended.warnings:
        _say(f"warning: {warning}")
    if ended.verdict is not None:
        _say(f"killed: {ended.verdict}", _remedy(ended.verdict))
    return ended.exit_code


def _run(arguments: Namespace, host: "Host", spec: "SandboxSpec", cwd: str) -> "Exit":
    from bldr.hermetic import spawn
    from bldr.hermetic.outputs import make_outputs, remove_empty

    made = make_outputs(spec)
    success = False
    try:
        with spawn(
            spec, arguments.after_dashes, cwd, stdin=0, stdout=1, stderr=2, host=host, on_status=arguments.status_fd,
            stop_on_warnings=arguments.stop_on_warnings,
        ) as process, _forwarding(process):  # fmt: skip
            ended = process.wait()
        success = ended.exit_code == 0 and ended.verdict is None
        return ended
    finally:
        if not success:
            remove_empty(made)


@contextmanager
def _forwarding(process: "Process") -> Iterator[None]:
    """Signals go to the command meanwhile; those that the caller ignores stay ignored."""
    before = {}
    for name in FORWARDED:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, lambda number, _: process.send_signal(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check(host: "Host", spec: "SandboxSpec", form: str) -> int:
    """Say what the platform gives, and what of it this command would lack."""
    from bldr.api.errors import ExitCode
    from bldr.cli.outcome import write_values
    from bldr.hermetic import decide
    from bldr.report.doctor import sandbox_lines

    lacking = decide(host.probe, "best", spec.resources.required, spec.network).shortfalls
    unenforced = [each.guarantee for each in host.warnings(spec) if each not in lacking]
    if form == "json":
        levels = {name: level.name.lower() for name, level in host.probe.isolation.items()}
        missing = [{"guarantee": each.guarantee, "why": each.why, "remedy": each.remedy} for each in lacking]
        told = {"sandbox": host.probe.sandbox, "isolation": levels, "missing": missing, "not_enforced": unenforced}
        write_values(told, sys.stdout)
    else:
        verdict = "this command can have all that it asks for"
        if lacking:
            verdict = f"this command would lack {', '.join(dict.fromkeys(each.guarantee for each in lacking))}"
        if unenforced:
            verdict += f"; nobody enforces the default limits of {', '.join(unenforced)}"
        sys.stdout.write("\n".join([*sandbox_lines(host.probe), verdict]) + "\n")
    return ExitCode.ISOLATION if lacking else ExitCode.OK


def _remedy(verdict: "Verdict") -> str:
    from bldr.execute.limits import KINDS

    if verdict.limit == "syscall":
        return "--on-violation=deny lets the call fail instead of the command"
    kind = KINDS.get(verdict.limit)
    return f"raise {kind.option}, or {kind.search}" if kind else ""


def _descriptor(text: str) -> int:
    from argparse import ArgumentTypeError

    try:
        os.fstat(int(text))
    except (ValueError, OSError, OverflowError) as error:
        raise ArgumentTypeError(f'"{text}" is not an open descriptor') from error
    return int(text)


def _say(message: str, hint: str = "") -> None:
    sys.stderr.write(f"bldr exec: {message}\n" + (f"hint: {hint}\n" if hint else ""))
    sys.stderr.flush()
