"""What a handler's answer must be: every value deep inside is of its type, before anything is built on it."""

import os
from collections.abc import Iterable
from typing import Any

import msgspec

from bldr.api.actions import Action, Artifact
from bldr.api.attributes import TestAttributes
from bldr.api.handlers import Analysis
from bldr.api.labels import Label
from bldr.api.providers import Executable, Files, TestInfo
from bldr.api.toolchains import Toolchain
from bldr.system import path_complaint


class BreachError(Exception):
    """What is wrong with an answer, as the end of a sentence about its handler."""


def check_analysis(analysis: object, attributes: object) -> None:
    """Types, to the last string. Raises BreachError."""
    if not isinstance(analysis, Analysis):
        raise BreachError(f"it answered {_kind(analysis)} instead of Analysis")
    if not isinstance(analysis.actions, tuple) or not isinstance(analysis.provides, tuple):
        raise BreachError("the actions and the providers of its Analysis are not both tuples")
    for action in analysis.actions:
        _check_action(action)
    kinds: set[type] = set()
    for provider in analysis.provides:
        kind = type(provider)
        # a provider that could change would change the graph behind its back
        if not isinstance(provider, msgspec.Struct) or not provider.__struct_config__.frozen:
            raise BreachError(f"its provider {kind.__name__} is no frozen struct")
        if kind in kinds:
            raise BreachError(f"it gives two providers of the type {kind.__name__}")
        kinds.add(kind)
        _check_provider(provider, attributes)


def provided_artifacts(provider: msgspec.Struct) -> tuple[Artifact, ...]:
    """The artifacts that the engine itself takes from a provider."""
    if isinstance(provider, Files):
        return provider.files
    if isinstance(provider, Executable):
        return (provider.program, *provider.runtime)
    if isinstance(provider, TestInfo):
        return (*provider.inputs, *provider.tools)
    return ()


def check_source(artifact: Artifact) -> None:
    """A source's path stays inside the tree. Raises BreachError."""
    _check_path(artifact.path, "input")


def check_toolchain(name: str, toolchain: object) -> None:
    """A detector's answer. Raises BreachError."""
    if not isinstance(toolchain, Toolchain):
        raise BreachError(f"it answered {_kind(toolchain)} instead of Toolchain")
    if toolchain.name != name:
        raise BreachError(f'it answered a toolchain called "{toolchain.name}"')
    for attribute in ("files", "roots", "sentinels"):
        _texts(getattr(toolchain, attribute), attribute)
        for path in getattr(toolchain, attribute):
            if not os.path.isabs(path) and attribute != "sentinels":
                raise BreachError(f'"{path}" among its {attribute} is no absolute path')
    for attribute in ("executables", "env", "attributes"):
        _table(getattr(toolchain, attribute), attribute)
    if not isinstance(toolchain.links, tuple) or any(
        not isinstance(link, tuple) or len(link) != 2 or set(map(type, link)) != {str} for link in toolchain.links
    ):
        raise BreachError("its links are not pairs of strings")
    if not isinstance(toolchain.identity, str) or not toolchain.identity:
        raise BreachError("it has no identity, which is a digest of what the toolchain consists of")


def _check_action(action: object) -> None:
    """Two passes: one that is quick, for builds have very many actions, and one that knows what to say."""
    if not isinstance(action, Action):
        raise BreachError(f"among its actions is {_kind(action)}")
    if not _is_sound(action):
        _find_breach(action)


def _is_sound(action: Action) -> bool:
    """False for everything that `_find_breach` has something to say of, and for what it has to look at."""
    argv, toolchains = action.argv, action.toolchains
    if not _TUPLES.issuperset(map(type, (argv, toolchains, action.inputs, action.outputs, action.tools))):
        return False
    return bool(
        argv
        and action.outputs
        and _TEXTS.issuperset(map(type, argv))
        and _TEXTS.issuperset(map(type, toolchains))
        and _ARTIFACTS.issuperset(map(type, action.inputs))
        and _ARTIFACTS.issuperset(map(type, action.outputs))
        and (not action.tools or _ARTIFACTS.issuperset(map(type, action.tools)))
        and action.mnemonic.__class__ is str
        and action.message.__class__ is str
        and action.mnemonic
        and "\0" not in "".join(argv)
        and _is_sound_env(action.env)
        and action.depfile == ""
        and action.files == ()
    )


def _is_sound_env(env: object) -> bool:
    if type(env) is not dict:
        return False
    names, values = env.keys(), env.values()
    if not _TEXTS.issuperset(map(type, names)) or not _TEXTS.issuperset(map(type, values)):
        return False
    together = "".join(names)
    return "" not in env and "=" not in together and "\0" not in together and "\0" not in "".join(values)


def _find_breach(action: Action) -> None:
    if not isinstance(action.mnemonic, str) or not isinstance(action.message, str) or not action.mnemonic:
        raise BreachError("the mnemonic and the message of an action are not both strings")
    name = f"its action {action.mnemonic}"
    _check_argv(action.argv, name)
    _texts(action.toolchains, f"toolchains of {name}")
    _artifacts(action.inputs, f"inputs of {name}")
    _artifacts(action.outputs, f"outputs of {name}")
    _artifacts(action.tools, f"tools of {name}")
    if not action.argv or not action.outputs:
        raise BreachError(f"{name} has no command or no outputs")
    if action.env:
        _check_env(action.env, f"env of {name}")
    elif not isinstance(action.env, dict):
        raise BreachError(f"env of {name} is no table of strings")
    if not isinstance(action.depfile, str):
        raise BreachError(f"depfile of {name} is no string")
    if action.depfile:
        _check_path(action.depfile, "depfile")
    _check_files(action.files, name)


def _check_provider(provider: msgspec.Struct, attributes: object) -> None:
    """Those that the engine reads; the others are between handlers."""
    if isinstance(provider, Files):
        _artifacts(provider.files, "files of its provider Files")
    elif isinstance(provider, Executable):
        _artifacts((provider.program,), "program of its provider Executable")
        _artifacts(provider.runtime, "runtime of its provider Executable")
        _texts(provider.toolchains, "toolchains of its provider Executable")
    elif isinstance(provider, TestInfo):
        name = "its provider TestInfo"
        if not isinstance(attributes, TestAttributes):
            raise BreachError("it gives TestInfo for a target whose attributes do not extend TestAttributes")
        _check_argv(provider.argv, name)
        _artifacts(provider.inputs, f"inputs of {name}")
        _artifacts(provider.tools, f"tools of {name}")
        _texts(provider.toolchains, f"toolchains of {name}")
        _check_env(provider.env, f"env of {name}")
        _check_files(provider.files, name)
        if not provider.argv:
            raise BreachError(f"{name} has no command")


_ARTIFACTS = {Artifact}
_TUPLES = {tuple}
_TEXTS = {str}


def _artifacts(values: Any, what: str) -> None:
    if type(values) is not tuple or not _ARTIFACTS.issuperset(map(type, values)):
        raise BreachError(f"{what} are {_wrong(values, Artifact)} instead of a tuple of artifacts")


def _texts(values: Any, what: str) -> None:
    if type(values) is not tuple or not _TEXTS.issuperset(map(type, values)):
        raise BreachError(f"{what} is {_wrong(values, str)} instead of a tuple of strings")


def _check_argv(values: Any, name: str) -> None:
    _texts(values, f"argv of {name}")
    if any("\0" in argument for argument in values):
        raise BreachError(f"an argument of {name} holds a NUL character")


def _check_files(values: Any, name: str) -> None:
    """Files that are written into the tree before a command runs."""
    if not isinstance(values, tuple):
        raise BreachError(f"files of {name} are no tuple of pairs")
    for file in values:
        if not isinstance(file, tuple) or len(file) != 2 or set(map(type, file)) != {str}:
            raise BreachError(f"files of {name} are not pairs of path and text")
        _check_path(file[0], "file")


def _check_env(values: Any, what: str) -> None:
    _table(values, what)
    for name, value in values.items():
        if not name or "=" in name or "\0" in name + value:
            raise BreachError(f"{what} has {name!r}, which no environment can hold")


def _table(values: Any, what: str) -> None:
    if not isinstance(values, dict) or not _TEXTS.issuperset(map(type, (*values, *values.values()))):
        raise BreachError(f"{what} is no table of strings")


def _check_path(path: object, what: str) -> None:
    if not isinstance(path, str) or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise BreachError(f"the {what} {path!r:.80} is no normal path below the tree's root")
    if path_complaint is not None and (why := path_complaint(path)):
        raise BreachError(f'the {what} "{path}" {why}')


def _wrong(values: Any, kind: type) -> str:
    """What stands there: the container where that is wrong, else its first odd element."""
    if type(values) is not tuple:
        return _kind(values)
    odd: Iterable[object] = (value for value in values if type(value) is not kind)
    return f"a tuple with {_kind(next(iter(odd), None))}"


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else f"a value of {type(value).__name__}"


class Known:
    """Which artifacts there are, and whose: what a handler names must be one of them, as it is."""

    def __init__(self) -> None:
        self._artifacts: dict[str, Artifact] = {}

    def add(self, artifact: Artifact) -> None:
        """An output that an action makes."""
        self._artifacts[artifact.path] = artifact

    def check_all(self, artifacts: tuple[Artifact, ...]) -> None:
        """`check` for many."""
        known = self._artifacts
        for artifact in artifacts:
            other = known.get(artifact.path)
            if other is not artifact and other != artifact:
                self.check(artifact)

    def check(self, artifact: Artifact) -> None:
        """Raises BreachError for an output that nobody makes, and for one that is named as if it were another."""
        known = self._artifacts.get(artifact.path)
        if known is artifact or known == artifact:
            return
        if known is not None:
            raise BreachError(f'it says of "{artifact.path}" that it is {_owned(artifact)}, which it is not')
        if artifact.owner is not None:
            raise BreachError(f'no action makes the input "{artifact.path}"')
        check_source(artifact)
        self._artifacts[artifact.path] = artifact


def _owned(artifact: Artifact) -> str:
    kind = "a directory" if artifact.is_directory else "a file"
    owner: Label | None = artifact.owner
    return f'{kind} made by "{owner}"' if owner is not None else f"{kind} that is a source"
