"""Handlers turn a target into actions: the seam that language plugins fill."""

from typing import Any, ClassVar, NoReturn, Protocol, TypeVar

import msgspec

from bldr.api.actions import Action, Artifact, Platform
from bldr.api.attributes import TargetAttributes
from bldr.api.configuration import Configuration
from bldr.api.labels import Label
from bldr.api.toolchains import Toolchain

P = TypeVar("P", bound=msgspec.Struct)


class Analysis(msgspec.Struct, frozen=True):
    """A handler's answer: the actions to run when somebody asks for them, and what dependents may know."""

    actions: tuple[Action, ...] = ()
    provides: tuple[msgspec.Struct, ...] = ()


class Dep(Protocol):
    """A target that the analysed one names."""

    @property
    def label(self) -> Label: ...

    def get(self, provider: type[P]) -> P | None:
        """The provider of this type, or None where the dep has none."""


class Context(Protocol):
    """What a handler may ask while it analyses one target. Pure: it reads no file and no clock."""

    @property
    def label(self) -> Label: ...

    @property
    def platform(self) -> Platform: ...

    @property
    def configuration(self) -> Configuration: ...

    def files(self, attribute: str) -> tuple[Artifact, ...]:
        """The artifacts of a `FileList` attribute: sources in order, labels replaced by the files they provide; of
        programs among `data` also what must stand beside them when they run."""

    def deps(self, attribute: str = "deps") -> tuple[Dep, ...]:
        """The targets of a `LabelList` attribute, in order."""

    def declare_file(self, name: str) -> Artifact:
        """An output of this target at `<package>/<name>`; declaring a path twice is an error."""

    def declare_directory(self, name: str) -> Artifact:
        """An output directory of this target at `<package>/<name>`."""

    def toolchain(self, name: str) -> Toolchain:
        """A toolchain of this machine; raises ToolchainError where it is missing."""

    def fail(self, message: str, hint: str = "", attribute: str = "") -> NoReturn:
        """Refuse the target: raises TargetError, reported with file and line (of `attribute`, where named)."""


class Handler(Protocol):
    """Serves pairs of target type and language (None for types that have none).

    `semantics_version` is raised whenever the same target would give another result: it is part of every key.
    """

    name: ClassVar[str]
    serves: ClassVar[tuple[tuple[str, str | None], ...]]
    semantics_version: ClassVar[int]

    def attributes(self, type: str) -> type[TargetAttributes]:
        """The struct that a target's table of this type is read into."""

    def analyze(self, attributes: Any, context: Context) -> Analysis:
        """`attributes` is a value of the struct above. Pure: the same target gives the same analysis."""
