"""What loading gives: packages and their targets, every name in them expanded, nothing resolved between them yet."""

from typing import TYPE_CHECKING

from bldr.api.attributes import HermeticSettings, TargetAttributes
from bldr.api.errors import Problem
from bldr.api.labels import Label, parse_label
from bldr.load.syntax import Place, Source, make_problem
from bldr.load.visibility import Visibility

if TYPE_CHECKING:
    from bldr.load.schema import HandlerKey


class Package:
    """A directory with a Builderfile. `hermetic` is what holds for targets that say nothing of their own."""

    __slots__ = ("hermetic", "path", "repository", "source", "targets")

    def __init__(self, repository: str, path: str, source: Source, hermetic: HermeticSettings) -> None:
        self.repository = repository
        self.path = path
        self.source = source
        self.hermetic = hermetic
        self.targets: tuple[Target, ...] = ()

    @property
    def builderfile(self) -> str:
        """The path of its Builderfile as people are shown it."""
        return self.source.file

    def __repr__(self) -> str:
        return f"<package {'@' + self.repository if self.repository else ''}//{self.path}>"


class Target:
    """One target as its table says it.

    `files` holds, for each attribute that lists files, the tree paths ("pkg/src/a.c") and labels in the order given,
    patterns expanded and sorted; `labels` the labels of each attribute that lists targets. `hermetic` is merged over
    the package's and the workspace's.
    """

    __slots__ = ("attributes", "files", "handler_key", "hermetic", "label", "labels", "package", "visibility")

    def __init__(
        self,
        label: Label,
        package: Package,
        handler_key: "HandlerKey",
        attributes: TargetAttributes,
        files: dict[str, tuple[str | Label, ...]],
        labels: dict[str, tuple[Label, ...]],
        visibility: Visibility,
        hermetic: HermeticSettings,
    ) -> None:
        self.label = label
        self.package = package
        self.handler_key = handler_key
        self.attributes = attributes
        self.files = files
        self.labels = labels
        self.visibility = visibility
        self.hermetic = hermetic

    @property
    def name(self) -> str:
        return self.label.name

    @property
    def position(self) -> Place:
        """Where its table stands."""
        return self.place()

    def visible_from(self, other: Label) -> bool:
        """Whether targets of `other`'s package may name this one."""
        if other.package == self.label.package and other.repository == self.label.repository:
            return True
        return self.visibility.includes(other.repository, other.package)

    def place(self, attribute: str = "", element: str | int | Label | None = None) -> Place:
        """Where the table, an attribute or one element of it stands: by its index, its text or the label it means.

        A dot in `attribute` leads into a table: "hermetic.memory".
        """
        path: tuple[str | int, ...] = ("target", self.label.name)
        if attribute:
            path += tuple(attribute.split("."))
        if element is None:
            return self.package.source.place(path)
        index = element if isinstance(element, int) else self._index(attribute, element)
        if index is None:
            return self.package.source.place(path)
        return self.package.source.place((*path, index), value=True)

    def problem(
        self, message: str, hint: str = "", *, attribute: str = "", element: str | int | Label | None = None
    ) -> Problem:
        """A mistake in this target, at its place and with its name."""
        place = self.place(attribute, element)
        return make_problem(place, f'target "{self.label.name}": {message}', hint)

    def _index(self, attribute: str, element: str | Label) -> int | None:
        texts = getattr(self.attributes, attribute, ())
        wanted = str(element)
        for index, text in enumerate((texts,) if isinstance(texts, str) else texts or ()):
            if text == wanted:
                return index
            try:
                if str(parse_label(text, self.label.package, self.label.repository)) == wanted:
                    return index
            except ValueError:
                continue
        return None

    def __repr__(self) -> str:
        return f"<target {self.label}>"
