"""Stand-ins for what a handler asks: a context, deps, toolchains and their detector. None touches the machine."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec

from bldr.api.actions import Action, Artifact, Platform
from bldr.api.attributes import TargetAttributes
from bldr.api.configuration import Configuration
from bldr.api.errors import TargetError, ToolchainError
from bldr.api.handlers import Analysis, Handler
from bldr.api.labels import Label, parse_label
from bldr.api.toolchains import Toolchain

P = TypeVar("P", bound=msgspec.Struct)


class FakeDep:
    """A target that the analysed one names, with the providers that it is said to have."""

    def __init__(self, label: str | Label, *providers: msgspec.Struct) -> None:
        self.label = parse_label(label) if isinstance(label, str) else label
        self._providers = {type(provider): provider for provider in providers}

    def get(self, provider: type[P]) -> P | None:
        return self._providers.get(provider)  # type: ignore[return-value]  # keyed by its own type


class FakeContext:
    """A `bldr.api.Context` that answers from what the test says.

    `files` are by attribute: paths from the root of the tree ("pkg/a.c") or artifacts. `deps` are by attribute too.
    `toolchains` are the only ones that there are. What the handler declared is in `declared`; `failed_attribute` is the
    one that it blamed.
    """

    def __init__(
        self,
        label: str | Label = "//pkg:target",
        *,
        files: Mapping[str, Sequence[str | Artifact]] = {},
        deps: Mapping[str, Sequence[FakeDep]] = {},
        toolchains: Sequence[Toolchain] = (),
        configuration: Configuration = Configuration(),  # noqa: B008  # frozen
        platform: Platform = Platform("linux", "x86_64"),  # noqa: B008  # frozen
    ) -> None:
        self.label = parse_label(label) if isinstance(label, str) else label
        self.platform = platform
        self.configuration = configuration
        self.declared: list[Artifact] = []
        self.failed_attribute = ""
        self._files = files
        self._deps = deps
        self._toolchains = {toolchain.name: toolchain for toolchain in toolchains}

    def files(self, attribute: str) -> tuple[Artifact, ...]:
        given = self._files.get(attribute, ())
        return tuple(file if isinstance(file, Artifact) else Artifact(file) for file in given)

    def deps(self, attribute: str = "deps") -> tuple[FakeDep, ...]:
        return tuple(self._deps.get(attribute, ()))

    def declare_file(self, name: str) -> Artifact:
        return self._declare(name, is_directory=False)

    def declare_directory(self, name: str) -> Artifact:
        return self._declare(name, is_directory=True)

    def _declare(self, name: str, *, is_directory: bool) -> Artifact:
        if not name or any(part in ("", ".", "..") for part in name.split("/")):
            self.fail(f'"{name}" cannot be an output', attribute="outputs")
        artifact = Artifact(f"{self.label.directory}/{name}".lstrip("/"), self.label, is_directory)
        if any(artifact.path == other.path for other in self.declared):
            self.fail(f'the output "{name}" is declared twice', attribute="outputs")
        self.declared.append(artifact)
        return artifact

    def toolchain(self, name: str) -> Toolchain:
        if name not in self._toolchains:
            raise ToolchainError(
                f'there is no toolchain "{name}" here', "give the context one: FakeContext(toolchains=...)"
            )
        return self._toolchains[name]

    def fail(self, message: str, hint: str = "", attribute: str = "") -> NoReturn:
        self.failed_attribute = attribute
        raise TargetError(message, hint)


class Analyzed:
    """What a handler made of one target."""

    def __init__(self, context: FakeContext, analysis: Analysis) -> None:
        self.label = context.label
        self.context = context
        self.actions = analysis.actions
        self.provides = analysis.provides

    def get(self, provider: type[P]) -> P | None:
        """The provider of this type, or None."""
        return next((given for given in self.provides if type(given) is provider), None)

    def action(self, mnemonic: str) -> Action:
        """The only action with this mnemonic. Raises ValueError."""
        found = [action for action in self.actions if action.mnemonic == mnemonic]
        if len(found) != 1:
            there = ", ".join(action.mnemonic for action in self.actions) or "none"
            raise ValueError(f'{len(found)} actions are called "{mnemonic}"; there are: {there}')
        return found[0]

    @property
    def commands(self) -> tuple[str, ...]:
        """The command lines of all actions, words joined by spaces."""
        return tuple(" ".join(action.argv) for action in self.actions)

    def as_dep(self) -> FakeDep:
        """The target as others see it that depend on it."""
        return FakeDep(self.label, *self.provides)


def analyze(handler: Handler, table: Mapping[str, Any], context: FakeContext) -> Analyzed:
    """Read `table` into the handler's struct as a Builderfile's is read, and analyse it.

    Raises msgspec.ValidationError for a table that the struct refuses, and whatever the handler raises.
    """
    attributes: TargetAttributes = msgspec.convert(dict(table), handler.attributes(table["type"]), strict=True)
    return Analyzed(context, handler.analyze(attributes, context))


def fake_toolchain(name: str, *commands: str, **attributes: str) -> Toolchain:
    """A toolchain of nothing: its commands would stand in /usr/bin, and its identity never changes."""
    return Toolchain(
        name=name,
        executables={command: f"/usr/bin/{command}" for command in commands},
        attributes=attributes,
        identity=f"fake {name}",
    )


class FakeDetector:
    """A `bldr.api.ToolchainDetector` whose answers are said beforehand, by the value of one variable.

    `FakeDetector("zig", {"": fake_toolchain("zig", "zig")})` always finds the same; with `variable` its value chooses,
    and one that is not among the answers is a toolchain that is missing. `asked` are the environments it was given.
    """

    def __init__(self, name: str, answers: Mapping[str, Toolchain], variable: str = "") -> None:
        self.name = name
        self.asked: list[Mapping[str, str]] = []
        self._answers = answers
        self._variable = variable

    @property
    def environment(self) -> tuple[str, ...]:
        return (self._variable,) if self._variable else ()

    def detect(self, env: Mapping[str, str]) -> Toolchain:
        self.asked.append(env)
        answer = self._answers.get(env.get(self._variable, "") if self._variable else "")
        if answer is None:
            raise ToolchainError(f'there is no toolchain "{self.name}" here', "give the detector another answer")
        return answer
