"""What `bldr exec` permits: from the words of the command line to a spec."""

import os
import posixpath
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bldr.api import HermeticSettings, NetworkPolicy, SandboxSpec, Temp

_RESOLVER = "/etc/resolv.conf"


class Place(NamedTuple):
    """Something of the machine's and where the command sees it."""

    source: str
    path: str
    is_directory: bool = False


class Scratch(NamedTuple):
    """A scratch directory; 0 is the platform's own bound."""

    path: str
    size_bytes: int


class Variable(NamedTuple):
    """A variable of the command's; None is the value that it has here."""

    name: str
    value: str | None


def read_input(text: str) -> Place:
    """PATH or PATH=DEST. A relative PATH stands below the current directory once that is known."""
    source, path = _split(text)
    return Place(source.rstrip("/") or "/", path.rstrip("/") or "/" if path else "")


def read_output(text: str) -> Place:
    """PATH or PATH=DEST, a directory where either ends in a slash."""
    source, path = _split(text)
    is_directory = source.endswith("/") or path.endswith("/")
    return Place(source.rstrip("/") or "/", path.rstrip("/"), is_directory)


def read_temp(text: str) -> Scratch:
    """PATH or PATH:SIZE."""
    from bldr.load.units import parse_size

    path, colon, size = text.rpartition(":")
    if not colon:
        path, size = text, ""
    if not path.startswith("/"):
        raise ArgumentTypeError(f'"{text}" is not PATH or PATH:SIZE with a path that begins with /')
    try:
        return Scratch(path, parse_size(int(size) if size.isascii() and size.isdigit() else size) if colon else 0)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def read_variable(text: str) -> Variable:
    """NAME or NAME=VALUE."""
    name, equals, value = text.partition("=")
    return Variable(name, value if equals else None)


def _split(text: str) -> tuple[str, str]:
    """At the last equals sign that a path follows: names may hold one themselves."""
    source, equals, path = text.rpartition("=/")
    if not equals:
        source, path = text, ""
    if not source:
        raise ArgumentTypeError(f'"{text}" names nothing: write PATH or PATH=DEST, where DEST begins with /')
    return source, f"/{path}" if equals else ""


def make_spec(
    arguments: Namespace, settings: "HermeticSettings", environ: Mapping[str, str]
) -> tuple["SandboxSpec", str]:
    """The spec, and where the command starts. Raises BldrError for what is not there, SpecError for contradictions.

    The current directory is an input where no other and no output is named, unless that would show the whole machine
    or the user's home.
    """
    import msgspec

    from bldr.api import Input, Output, ProcessPolicy, ResourceLimits
    from bldr.execute.permissions import merge_limits
    from bldr.hermetic import HermeticSpecBuilder, made_etc
    from bldr.hermetic.builder import uncovered

    here = os.getcwd()
    inputs = [_existing(place, here) for place in arguments.inputs]
    outputs = [_absolute(place, here) for place in arguments.outputs]
    if not inputs and not outputs and not _shows_too_much(here):
        inputs.append(Place(here, here))
    network = _network(arguments.network)
    if network.host and os.path.exists(_RESOLVER):
        inputs.append(Place(os.path.realpath(_RESOLVER), _RESOLVER))
    builder = HermeticSpecBuilder.for_build(
        [Input(place.path, place.source) for place in inputs],
        [Output(place.path, place.source, place.is_directory) for place in outputs],
        toolchains=() if arguments.no_usr else ("/usr",),
        env=dict(_variable(variable, environ) for variable in arguments.env),
    )
    policy = ProcessPolicy(map_caller=True, on_violation=settings.on_violation or "deny")
    builder.with_process(policy).with_network(network)
    builder.with_resources(merge_limits(settings, ResourceLimits.hermetic()))
    for device in arguments.device:
        builder.device(device)
    if arguments.sysfs:
        builder.sysfs()
    spec = builder.build()
    spec = msgspec.structs.replace(
        spec,
        temps=_with_scratch(spec.temps, arguments.temps),
        files=uncovered(made_etc(policy, network), spec.inputs),
    )
    return spec, arguments.cwd or (here if _stands(here, spec) else "/")


def _stands(directory: str, spec: "SandboxSpec") -> bool:
    """Whether the command will find the directory: it is shown, or something below it is."""
    from bldr.hermetic import access

    below = directory.rstrip("/") + "/"
    shown = [item.path for item in spec.inputs] + [output.path for output in spec.outputs]
    return any(path.startswith(below) for path in shown) or access(spec, directory).role in ("input", "output")


def _with_scratch(temps: "tuple[Temp, ...]", asked: list[Scratch]) -> "tuple[Temp, ...]":
    from bldr.api import Temp

    own = tuple(temp for temp in temps if all(scratch.path != temp.path for scratch in asked))
    return (*own, *(Temp(*scratch) for scratch in asked))


def _absolute(place: Place, here: str) -> Place:
    source = posixpath.normpath(posixpath.join(here, place.source))
    return Place(source, place.path or source, place.is_directory)


def _existing(place: Place, here: str) -> Place:
    from bldr.api.errors import BldrError

    absolute = _absolute(place, here)
    if not os.path.exists(absolute.source):
        raise BldrError(f'the input "{place.source}" is not there', "name a file or directory that exists")
    return absolute


def _shows_too_much(directory: str) -> bool:
    """Whether the root, or the home of somebody, stands in it or is it."""
    home = os.path.realpath(os.path.expanduser("~"))
    return home == directory or home.startswith(directory.rstrip("/") + "/")


def _variable(variable: Variable, environ: Mapping[str, str]) -> tuple[str, str]:
    from bldr.api.errors import BldrError

    value = environ.get(variable.name) if variable.value is None else variable.value
    if value is None:
        raise BldrError(f'the variable "{variable.name}" is not set here', f"write --env {variable.name}=VALUE")
    return variable.name, value


def _network(name: str) -> "NetworkPolicy":
    from bldr.api import NetworkPolicy
    from bldr.api.spec import Bridge

    if name == "bridge":
        return NetworkPolicy(bridge=Bridge())
    return NetworkPolicy(host=name == "host")
