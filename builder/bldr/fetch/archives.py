"""The archive with the pinned hash: from the store, from its URL, or from whichever index has it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import BinaryIO

from bldr.api import FetchError
from bldr.fetch.checksum import digest_of
from bldr.fetch.download import AbsentError, Web, copy_file, local_path, redacted
from bldr.fetch.index import Indexes, Link, Release, is_release, is_wheel, parse_release, sdist_version
from bldr.fetch.locations import Locations
from bldr.fetch.names import HostileArchiveError, printable
from bldr.fetch.pins import Pin
from bldr.fetch.pipconf import PipSettings, read_pip_settings
from bldr.fetch.source import Fetching, Limits, Means, Wanted
from bldr.system import os

_FETCH_HINT = 'run "bldr fetch" where the network can be reached'
_PIP_HINT = '"pip config list" says where pip looks'


class _OtherHashError(FetchError):
    """A file is there and is not the pinned one."""


class Archives:
    """Brings files into the store's downloads; nothing is kept there under a hash that it does not have.

    May be used by several threads at once.
    """

    def __init__(self, locations: Locations, means: Means) -> None:
        self._locations = locations
        self._means = means
        self._web = Web(means.environ, means.limits)  # one for all: it takes a while to read the trust anchors

    @contextmanager
    def open(self, wanted: Wanted) -> Iterator[BinaryIO]:
        """The file, opened after its hash was checked; the caller holds the lock."""
        path = self._locations.download(wanted.pin.key)
        file = _open_verified(path, wanted.pin, self._means.limits)
        if file is None:
            if wanted.pypi:
                self._bring_release_or_from(wanted, parse_release(wanted.pypi))
            else:
                self._bring_from(wanted)
            file = _open_verified(path, wanted.pin, self._means.limits)
            if file is None:
                raise FetchError(f'"{path}" does not keep what is written to it', "check the disk")
        with file:
            yield file

    def _bring_from(self, wanted: Wanted) -> None:
        """From the first of the URLs that has it."""
        errors: list[FetchError] = []
        for url in wanted.urls:
            try:
                self._bring_url(wanted, url)
            except FetchError as error:
                errors.append(error)
                continue
            for other in errors:
                if not isinstance(other, AbsentError):
                    self._means.warn(f"{wanted.who}: {other.message}", "another place had the pinned file")
            return
        # A wrong hash says more than an address that does not answer.
        telling = max(errors, key=lambda error: isinstance(error, _OtherHashError))
        others = [error.message for error in errors if error is not telling]
        raise FetchError("; ".join((telling.message, *others)), telling.hint) from telling

    def _bring_url(self, wanted: Wanted, url: str) -> None:
        if self._means.offline and local_path(url, self._means.builderfile_root) is None:
            raise FetchError(f'"{redacted(url)}" was not fetched yet, and this build is offline', _FETCH_HINT)
        actual = self._bring(wanted, url, self._web)
        if actual != wanted.pin:
            raise _OtherHashError(
                f'"{redacted(url)}" has not the pinned hash: expected {wanted.pin.algorithm} {wanted.pin.value}, '
                f"got {actual.value}",
                "find out why the file changed before you pin another hash",
            )

    def _bring_release_or_from(self, wanted: Wanted, release: Release) -> None:
        """The addresses that a lock file names serve where no index has the file: one may be out of reach."""
        try:
            self._bring_release(wanted, release)
        except FetchError as error:
            if not wanted.urls:
                raise
            try:
                self._bring_from(wanted)
            except FetchError as other:
                raise FetchError(f"{error.message}; {other.message}", other.hint or error.hint) from other

    @cached_property
    def _pip(self) -> tuple[PipSettings, Web]:
        """What pip is told, and who speaks with its indexes."""
        settings = read_pip_settings(self._means.environ)
        web = Web(
            self._means.environ,
            self._means.limits,
            certificate=settings.certificate,
            proxy=settings.proxy,
            plain_hosts=settings.trusted_hosts,
            plain_loopback=True,
        )
        return settings, web

    def _bring_release(self, wanted: Wanted, release: Release) -> None:
        settings, web = self._pip
        search = _Search(release, wanted.pin.hex, Indexes(web, os.getcwd()), settings, self._means.offline)
        for link in search.candidates():
            try:
                actual = self._bring(wanted, link.url, web)
            except FetchError as error:
                search.troubles.append(error.message)
                continue
            if actual == wanted.pin:
                for trouble in search.troubles:
                    self._means.warn(f"{wanted.who}: {trouble}", "another place had the pinned file")
                if link.yanked is not None:
                    reason = f": {printable(link.yanked)}" if link.yanked else ""
                    self._means.warn(f'{wanted.who}: "{link.filename}" was yanked{reason}', "pin another version")
                return
            search.others[actual.hex] = redacted(link.url)
            if link.sha256:
                search.troubles.append(f'"{redacted(link.url)}" has not the hash that its index says')
        raise search.failure()

    def _bring(self, wanted: Wanted, url: str, web: Web) -> Pin:
        """Download to a partial file, keep it if it has the pinned hash, and say which hash it has."""

        def on_progress(done_bytes: int, total_bytes: int) -> None:
            self._means.tell(
                Fetching(
                    name=wanted.name,
                    step="downloading",
                    url=redacted(url),
                    done_bytes=done_bytes,
                    total_bytes=total_bytes,
                )
            )

        partial = self._locations.partial_download(wanted.pin.key)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(partial, flags, 0o600), "r+b") as file:
            try:
                path = local_path(url, self._means.builderfile_root)
                if path is not None:
                    digest = copy_file(path, file.fileno(), self._means.limits.download_bytes, on_progress)
                else:
                    digest = web.download(url, file.fileno(), on_progress)
                if wanted.pin.algorithm != "sha256":
                    digest = digest_of(file, wanted.pin.algorithm, self._means.limits)
                actual = Pin(wanted.pin.algorithm, digest)
                if actual == wanted.pin:
                    os.fchmod(file.fileno(), 0o444)
                    os.fsync(file.fileno())
                    os.rename(partial, self._locations.download(wanted.pin.key))
                else:
                    os.unlink(partial)
            except BaseException:
                _unlink(partial)
                raise
        return actual


class _Search:
    """Asks pip's places one after the other, the local ones of find-links first, and remembers what they said."""

    def __init__(self, release: Release, sha256: str, indexes: Indexes, settings: PipSettings, offline: bool) -> None:
        self._release = release
        self._sha256 = sha256
        self._indexes = indexes
        self._settings = settings
        self._offline = offline
        self._asked: list[str] = []
        self._unasked: list[str] = []
        self._versions: set[str] = set()
        self.troubles: list[str] = []
        self.others: dict[str, str] = {}  # hash of a file of this release that is not the pinned one -> where it is

    def candidates(self) -> Iterator[Link]:
        """Files that may be the pinned one: those whose index says so before those of which nothing is said."""
        for place, read in self._places():
            is_local = self._indexes.path_of(place) is not None
            if self._offline and not is_local:
                self._unasked.append(redacted(place))
                continue
            self._asked.append(redacted(place))
            try:
                links = read()
            except AbsentError as error:
                if place in self._settings.find_links:
                    self.troubles.append(error.message)
                continue
            except FetchError as error:
                self.troubles.append(error.message)
                continue
            yield from self._suitable(links, is_local)

    def _places(self) -> Iterator[tuple[str, Callable[[], list[Link]]]]:
        for place in self._settings.find_links:
            yield place, lambda place=place: self._indexes.from_links(place)  # type: ignore[misc]
        for place in self._settings.index_urls:
            yield place, lambda place=place: self._indexes.from_index(place, self._release.name)  # type: ignore[misc]

    def _suitable(self, links: list[Link], is_local: bool) -> Iterator[Link]:
        self._versions.update(filter(None, (sdist_version(link.filename, self._release.name) for link in links)))
        # A wheel is what was pinned only where the index says so: none is brought to see.
        pinned = [link for link in links if link.sha256 == self._sha256 and is_wheel(link.filename, self._release)]
        fitting = [link for link in links if is_release(link.filename, self._release)] + pinned
        for link in fitting:
            if link.sha256 and link.sha256 != self._sha256:
                self.others.setdefault(link.sha256, redacted(link.url))
        for link in sorted(fitting, key=lambda link: not link.sha256):
            remote = self._indexes.path_of(link.url) is None
            if link.sha256 not in ("", self._sha256) or (self._offline and remote):
                continue
            if not is_local and not remote:
                self.troubles.append(f'a page on the network names the local file "{redacted(link.url)}"')
                continue
            yield link

    def failure(self) -> FetchError:
        """Why no place had the pinned file."""
        after = "".join(f"; {trouble}" for trouble in self.troubles)
        if self.others:
            found = ", ".join(f"{hash} ({where})" for hash, where in self.others.items())
            return FetchError(
                f"no sdist of {self._release} has the pinned hash: expected sha256 {self._sha256}, got {found}{after}",
                "find out why the file changed before you pin another hash",
            )
        if self._unasked:
            return FetchError(f"{self._release} was not fetched yet, and this build is offline{after}", _FETCH_HINT)
        if not self._asked:
            return FetchError(f"pip is configured to no index, so {self._release} cannot be found", _PIP_HINT)
        where = ", ".join(self._asked)
        versions = ", ".join(sorted(self._versions)[-10:])
        hint = f"there are sdists of {versions}" if versions else _PIP_HINT
        return FetchError(f"there is no sdist of {self._release} at {where}{after}", hint)


def _open_verified(path: str, pin: Pin, limits: Limits) -> BinaryIO | None:
    """The file, rewound, if its content has this digest; a file that has not is removed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    file = open(fd, "rb")  # noqa: SIM115 - the caller's, if its content is right
    try:
        actual = digest_of(file, pin.algorithm, limits)
    except HostileArchiveError:  # of an archive that was damaged here
        actual = ""
    if actual == pin.hex:
        file.seek(0)
        return file
    file.close()
    os.unlink(path)
    return None


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
