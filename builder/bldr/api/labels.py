"""Labels: the names of targets, `//package:name` or `@repository//package:name`."""

import re
from typing import NamedTuple

_NAME = r"[A-Za-z0-9_.+=,@~#-]+"
_LABEL = re.compile(
    rf"(?:@(?P<repository>[A-Za-z0-9_.-]+))?"
    rf"(?P<absolute>//(?P<package>(?:{_NAME}(?:/{_NAME})*)?))?"
    rf"(?::(?P<name>{_NAME}(?:/{_NAME})*))?"
)


class Label(NamedTuple):
    """One target: the external repository ("" for the workspace), its package ("" for the root) and its name."""

    repository: str
    package: str
    name: str

    def __str__(self) -> str:
        repository = f"@{self.repository}" if self.repository else ""
        return f"{repository}//{self.package}:{self.name}"

    @property
    def directory(self) -> str:
        """The package's directory in an action's tree, relative to its root; "" for the workspace's root package."""
        if not self.repository:
            return self.package
        return f"external/{self.repository}/{self.package}".rstrip("/")


def parse_label(text: str, package: str = "", repository: str = "") -> Label:
    """Read `:name`, `//pkg:name`, `//pkg` (= `//pkg:pkg`) or `@repo//pkg:name`, relative to a package.

    Raises ValueError with a sentence that says what is wrong with `text`.
    """
    match = _LABEL.fullmatch(text)
    if match is None or not text:
        raise ValueError(f'"{text}" is not a label: write ":name", "//package:name" or "@repository//package:name"')
    if match["absolute"] is None:
        if match["name"] is None or match["repository"]:
            raise ValueError(f'"{text}" is not a label: write ":name" for a target of the same package')
        return Label(repository, package, match["name"])
    parts = match["package"].split("/")
    if "." in parts or ".." in parts:
        raise ValueError(f'"{text}" is not a label: "." and ".." cannot be parts of a package')
    own_repository = match["repository"] or repository
    name = match["name"] or parts[-1] or own_repository
    if not name:
        raise ValueError(f'"{text}" names no target: write "//:name"')
    return Label(own_repository, match["package"], name)
