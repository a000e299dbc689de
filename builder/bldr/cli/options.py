"""The options that build, test and run share, and the request that they and the environment make.

Precedence is: command line, environment, then what the Builderfiles say (which the engine merges below).
"""

import os

TYPE_CHECKING = False  # see bldr.cli.main
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _ArgumentGroup
    from collections.abc import Callable, Mapping
    from typing import Any, Literal, TypeVar

    from bldr.api.attributes import HermeticSettings
    from bldr.session import BuildRequest

    T = TypeVar("T")
    Mode = Literal["require", "best", "none"]
    Reaction = Literal["deny", "kill"]

ON = ("1", "true", "yes", "on")
OFF = ("0", "false", "no", "off")

LIMIT_OPTIONS = {
    "memory": ("SIZE", "memory of an action, as 512M or 4G"),
    "cpu_time": ("TIME", "CPU time of an action, as 90s, 30m or 1h"),
    "cpus": ("NUMBER", "processors' worth of time at any moment, as 1.5"),
    "timeout": ("TIME", "wall time of an action, as 90s, 30m or 1h"),
    "grace": ("TIME", "time between the polite signal and the kill, as 5s"),
    "processes": ("N", "processes of an action at a time"),
    "open_files": ("N", "open files of one process"),
    "file_size": ("SIZE", "size of one file"),
    "output": ("SIZE", "size of all files that an action writes, together"),
    "disk": ("SIZE", "what the files that an action writes occupy"),
    "log": ("SIZE", "what an action prints"),
    "temp": ("SIZE", "size of /tmp"),
}
"""The settings of limits: what follows the option, and what it means."""


def add_workspace_options(parser: "ArgumentParser") -> None:
    """Where the workspace and the cache are, and how much to say: for every command that opens a workspace."""
    parser.add_argument("-C", "--directory", metavar="DIR", help="stand in DIR instead of the current directory")
    parser.add_argument("--cache-dir", metavar="DIR", help="keep the cache in DIR (or BLDR_CACHE_DIR)")
    parser.add_argument("--offline", action="store_true", help="fail rather than fetch an external source")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more; twice: also why")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but failures")


def add_format_option(parser: "ArgumentParser", *more: str) -> None:
    """`--format`: text for people, json for programs."""
    parser.add_argument("--format", choices=("text", "json", *more), default="text", help="how results are printed")


def add_config_option(parser: "ArgumentParser") -> None:
    """`--config`: what targets are made into; for every command that looks at actions."""
    parser.add_argument(
        "--config", metavar="NAME", help="debug, release or [config.NAME] of the workspace (or BUILDER_CONFIG)"
    )


def add_isolation_options(parser: "ArgumentParser") -> None:
    """How isolated actions must be and what they may use."""
    group = parser.add_argument_group("isolation")
    mode = group.add_mutually_exclusive_group()
    mode.add_argument(
        "--isolation",
        choices=("require", "best", "none"),
        help="fail unless every guarantee is reached; as much as this machine can (the default); no sandbox",
    )
    mode.add_argument("--hermetic", dest="isolation", action="store_const", const="require", help="--isolation=require")
    mode.add_argument("--no-hermetic", dest="isolation", action="store_const", const="none", help="--isolation=none")
    add_limit_options(group)


def add_limit_options(group: "_ArgumentGroup") -> None:
    """One option for each limit of the table `hermetic`, so that a hint can name both."""
    for setting, (metavar, summary) in LIMIT_OPTIONS.items():
        read, _ = _READERS[metavar]
        group.add_argument(limit_option(setting), dest=setting, metavar=metavar, type=read, help=summary)
    group.add_argument(
        "--on-violation", choices=("deny", "kill"), help="what a forbidden system call does: fail, or end the action"
    )


def limit_option(setting: str) -> str:
    """The option that sets what `setting` is in a Builderfile; some names alone would be those of other things."""
    more = "-limit" if setting in ("output", "disk", "log", "temp") else ""
    return f"--{setting.replace('_', '-')}{more}"


def add_build_options(parser: "ArgumentParser") -> None:
    """Everything that build, test and run have in common but their targets."""
    add_workspace_options(parser)
    add_config_option(parser)
    parser.add_argument("-j", "--jobs", metavar="N", type=positive, help="actions at once (default: one per CPU)")
    parser.add_argument("-k", "--keep-going", action="store_true", help="build what can be built after a failure")
    add_format_option(parser)
    add_isolation_options(parser)
    group = parser.add_argument_group("reports")
    group.add_argument("--events", metavar="FILE", help="write every event as a line of JSON (- is standard output)")
    group.add_argument("--profile", metavar="FILE", help="write a Chrome trace, for Perfetto or chrome://tracing")


def add_output_options(parser: "ArgumentParser") -> None:
    """What only commands have whose outputs are not needed right away."""
    parser.add_argument(
        "--materialize",
        choices=("all", "top", "none"),
        default="top",
        help="whose outputs to write to bldr-out: of all targets needed, of those asked for (the default), or none",
    )


def make_request(
    arguments: "Namespace",
    environ: "Mapping[str, str]",
    command: str,
    *,
    patterns: tuple[str, ...] = (),
    run_args: tuple[str, ...] = (),
) -> "BuildRequest":
    """The request of one command. Raises BldrError for an environment variable that makes no sense."""
    from bldr.cli.test_options import make_test_options
    from bldr.session import BuildRequest

    return BuildRequest(
        command=command,
        patterns=patterns,
        directory=os.getcwd(),
        cache_dir=arguments.cache_dir or environ.get("BLDR_CACHE_DIR") or None,
        jobs=getattr(arguments, "jobs", None),
        keep_going=getattr(arguments, "keep_going", False),
        isolation=isolation(arguments, environ),
        limits=limits(arguments, environ),
        offline=arguments.offline,
        tests=make_test_options(arguments),
        run_args=run_args,
        materialize=getattr(arguments, "materialize", "top"),
        config=config(arguments, environ),
    )


def config(arguments: "Namespace", environ: "Mapping[str, str]") -> str:
    """Which configuration is asked for, by name; "" for the default one, and where a command has none."""
    if not hasattr(arguments, "config"):
        return ""
    if arguments.config is not None and not arguments.config.strip():
        from bldr.api.errors import BldrError

        raise BldrError("--config names no configuration", "debug, release, or [config.NAME] of the workspace")
    return str(arguments.config or environ.get("BUILDER_CONFIG", "")).strip()


def isolation(arguments: "Namespace", environ: "Mapping[str, str]", default: "Mode" = "best") -> "Mode":
    """How much isolation is asked for; `default` where neither the command line nor the environment says."""
    chosen: Mode | None = getattr(arguments, "isolation", None)
    said = environ.get("BUILDER_HERMETIC", "").strip().lower()
    if chosen:
        return chosen
    if not said:
        return default
    if said in OFF:
        return "none"
    if said in ON:
        return "require"
    raise _wrong_variable("BUILDER_HERMETIC", said, "true or false")


def limits(arguments: "Namespace", environ: "Mapping[str, str]") -> "HermeticSettings":
    """The limits that the command line or, where it is silent, the environment sets on purpose."""
    from bldr.api.attributes import HermeticSettings

    def chosen(option: str, read: "Callable[[str], T]", form: str) -> "T | None":
        value: T | None = getattr(arguments, option, None)
        variable = f"BUILDER_HERMETIC_{option.upper()}"
        text = environ.get(variable, "").strip()
        if value is not None or not text:
            return value
        from argparse import ArgumentTypeError

        try:
            return read(text)
        except ArgumentTypeError as error:
            raise _wrong_variable(variable, text, form) from error

    said = {setting: chosen(setting, *_READERS[metavar]) for setting, (metavar, _) in LIMIT_OPTIONS.items()}
    return HermeticSettings(**said, on_violation=chosen("on_violation", _read_reaction, "deny or kill"))


def positive(text: str) -> int:
    """An integer above 0; raises ArgumentTypeError, as the readers below do."""
    from argparse import ArgumentTypeError

    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f'"{text}" is not a number above 0')
    return int(text)


def _read_processors(text: str) -> float:
    from argparse import ArgumentTypeError

    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f'"{text}" is not a number above 0')
    return number


def _read_reaction(text: str) -> "Reaction":
    from argparse import ArgumentTypeError

    reactions: dict[str, Reaction] = {"deny": "deny", "kill": "kill"}
    if text not in reactions:
        raise ArgumentTypeError(f'"{text}" is neither deny nor kill')
    return reactions[text]


def read_size(text: str) -> str | int:
    """A size, checked but kept as it was written (the engine reads it as a Builderfile's); digits alone are bytes."""
    from bldr.load.units import parse_size

    return _checked(text, parse_size)


def read_time(text: str) -> str | int:
    """A duration, checked but kept as it was written; digits alone are seconds."""
    from bldr.load.units import parse_duration

    return _checked(text, parse_duration)


def _checked(text: str, parse: "Callable[[str], object]") -> str | int:
    from argparse import ArgumentTypeError

    if text.isascii() and text.isdigit():
        return positive(text)
    try:
        parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return text


_READERS: "dict[str, tuple[Callable[[str], Any], str]]" = {
    "SIZE": (read_size, "a size as 512M"),
    "TIME": (read_time, "a time as 30m"),
    "N": (positive, "a number above 0"),
    "NUMBER": (_read_processors, "a number above 0"),
}
"""By what follows the option: how it is read, and what it must be."""


def _wrong_variable(name: str, value: str, form: str) -> Exception:
    from bldr.api.errors import BldrError

    return BldrError(f'the environment variable {name} is "{value}"', f"it must be {form}")
