"""What a fetch is asked for, what it may use, and what it says while it runs: values only."""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec

from bldr.fetch.pins import Pin

CONTENT = "content"
"""The name of a file that is not unpacked, in its tree."""

SINGLE_DIRECTORY = "*"
"""The prefix that stands for the one directory at the top of an archive, whatever its name."""


class External(Protocol):
    """A pinned outside source, as a Builderfile's table `external.<name>` describes it.

    Exactly one of `url` (https: or file:) and `pypi` ("name==version") says where the archive with this `sha256` is
    found. The tree is what the archive holds below `strip_prefix` ("" for all of it).
    """

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def url(self) -> str | None: ...

    @property
    def pypi(self) -> str | None: ...

    @property
    def strip_prefix(self) -> str: ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One file to bring, and what of it becomes a tree. `who` begins messages about it, `name` is for progress.

    It is in the indexes of pip as a file of `pypi` ("name==version"), or else at one of `urls`, tried in order. With
    `unpack` False the tree holds the file itself, as `CONTENT`.
    """

    who: str
    name: str
    pin: Pin
    urls: tuple[str, ...] = ()
    pypi: str = ""
    strip_prefix: str = ""
    unpack: bool = True


class Fetching(msgspec.Struct, frozen=True, kw_only=True):
    """How far a fetch is; `total_bytes` is 0 where the server does not say."""

    name: str
    step: Literal["waiting", "downloading", "unpacking"]
    url: str = ""
    done_bytes: int = 0
    total_bytes: int = 0


Progress = Callable[[Fetching], None]
Warn = Callable[[str, str], None]
"""Called with a message and a hint, when something went wrong that the fetch could work around."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on what the outside may make us do; an archive that passes one is refused."""

    download_bytes: int = 2 << 30
    page_bytes: int = 64 << 20
    unpacked_bytes: int = 16 << 30
    entries: int = 400_000
    expansion: int = 300  # unpacked bytes per byte of the archive
    expansion_free_bytes: int = 256 << 20  # below this size any expansion is harmless
    name_bytes: int = 1024
    depth: int = 64
    timeout_s: float = 30.0  # for each answer of a socket
    deadline_s: float = 3600.0  # for one download
    attempts: int = 4
    backoff_s: float = 0.5  # doubled for each further attempt


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What one fetch may use and whom it tells: the arguments of `fetch` that are not about the source."""

    builderfile_root: str
    offline: bool
    tell: Progress
    warn: Warn
    limits: Limits
    environ: Mapping[str, str]
