"""The simple repository API: which files of one release an index, a directory or a page of links offers.

Source: https://packaging.python.org/en/latest/specifications/simple-repository-api/ (PEP 503, 592, 629, 691)
"""

import html.parser
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.message import Message
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import pathname2url

import msgspec
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from bldr.api import FetchError
from bldr.fetch.download import AbsentError, Web, local_path, redacted
from bldr.fetch.names import shown

ACCEPT = ", ".join(
    (
        "application/vnd.pypi.simple.v1+json",
        "application/vnd.pypi.simple.v1+html;q=0.2",
        "text/html;q=0.1",
    )
)
_SUFFIXES = (".tar.gz", ".zip", ".tgz", ".tar.xz", ".tar.bz2")
_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = ("text/html", "application/vnd.pypi.simple.v1+html", "application/xhtml+xml")


class Release(msgspec.Struct, frozen=True):
    """One version of one project; `name` is normalised."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


class Link(msgspec.Struct, frozen=True):
    """A file that a page names. `sha256` is "" where the page does not say; `yanked` is the reason, None for not."""

    filename: str
    url: str
    sha256: str = ""
    yanked: str | None = None


def parse_release(text: str) -> Release:
    """Read "name==version"."""
    name, _, version = (part.strip() for part in text.partition("=="))
    try:
        return Release(canonicalize_name(name, validate=True), str(Version(version)))
    except ValueError as error:  # InvalidVersion and InvalidName are both
        raise FetchError(f'"{text}" is not a pinned release', 'write pypi = "name==version"') from error


def sdist_version(filename: str, name: str) -> str | None:
    """The version in the file name of a source distribution of the project `name`; None for any other file.

    Old sdists may have dashes in their names and versions, so every dash may be the one between the two.
    """
    for suffix in _SUFFIXES:
        if filename.lower().endswith(suffix):
            stem = filename[: -len(suffix)]
            break
    else:
        return None
    for at, character in enumerate(stem):
        if character == "-" and canonicalize_name(stem[:at]) == name:
            version = stem[at + 1 :]
            try:
                return str(Version(version))
            except InvalidVersion:
                continue
    return None


def is_release(filename: str, release: Release) -> bool:
    """Whether the file is the source distribution of this release."""
    version = sdist_version(filename, release.name)
    return version is not None and Version(version) == Version(release.version)


def is_wheel(filename: str, release: Release) -> bool:
    """Whether the file is one of the wheels of this release."""
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion):
        return False
    return name == release.name and version == Version(release.version)


class Indexes:
    """Reads what pip's places offer; a place is what a setting names (a URL or a path)."""

    def __init__(self, web: Web, working_directory: str) -> None:
        self._web = web
        self._directory = working_directory

    def from_index(self, place: str, name: str) -> list[Link]:
        """The files of a project in an index. Raises AbsentError where it does not know the project."""
        path = self.path_of(place)
        if path is not None:
            directory = os.path.join(path, name)
            page = os.path.join(directory, "index.html")
            return self._local_page(page) if os.path.isfile(page) else self._listing(directory)
        return self._remote_page(f"{place.rstrip('/')}/{name}/")

    def from_links(self, place: str) -> list[Link]:
        """The files that a find-links place offers: a directory, a page of links, or an archive itself."""
        path = self.path_of(place)
        if path is None:
            name = _filename(place)
            return [_link(place)] if name.lower().endswith(_SUFFIXES) else self._remote_page(place)
        if os.path.isdir(path):
            return self._listing(path)
        if path.lower().endswith((".html", ".htm")):
            return self._local_page(path)
        if os.path.isfile(path):
            return [Link(os.path.basename(path), _file_url(path))]
        raise AbsentError(f'"{place}" is neither a file nor a directory')

    def path_of(self, place: str) -> str | None:
        """The path that a place names on this machine; None for an address on the network."""
        path = local_path(place, self._directory)
        if path is not None or "://" in place:
            return path
        return os.path.join(self._directory, os.path.expanduser(place))

    def _listing(self, directory: str) -> list[Link]:
        try:
            names = sorted(os.listdir(directory))
        except OSError as error:
            raise AbsentError(f'"{directory}" cannot be listed: {error.strerror}') from error
        links = [Link(name, _file_url(os.path.join(directory, name))) for name in names if _is_archive(name)]
        for name in names:
            if name.lower().endswith((".html", ".htm")):
                links += self._local_page(os.path.join(directory, name))
        return links

    def _local_page(self, path: str) -> list[Link]:
        try:
            with open(path, "rb") as file:
                body = file.read()
        except OSError as error:
            raise AbsentError(f'"{path}" cannot be read: {error.strerror}') from error
        url = _file_url(path)
        return self._parsed(url, lambda: parse_html(url, body.decode(errors="replace")))

    def _remote_page(self, url: str) -> list[Link]:
        page = self._web.page(url, ACCEPT)
        header = Message()
        header["Content-Type"] = page.content_type
        content_type = header.get_content_type()
        if content_type == _JSON:
            return self._parsed(page.url, lambda: parse_json(page.url, page.body))
        if content_type in _HTML:
            charset = header.get_content_charset("utf-8")
            return self._parsed(page.url, lambda: parse_html(page.url, _decoded(page.body, charset)))
        raise FetchError(f'"{redacted(url)}" is no page of links: its content type is {shown(content_type)}')

    def _parsed(self, url: str, parse: Callable[[], tuple[list[Link], str]]) -> list[Link]:
        """The links, after the version of the API was looked at (PEP 629)."""
        links, version = parse()
        major, _, minor = version.partition(".")
        if not (major.isdecimal() and minor.isdecimal()) or int(major) != 1:
            raise FetchError(f'"{redacted(url)}" speaks version {shown(version)} of the index API; only 1.x is known')
        return links


def parse_html(url: str, text: str) -> tuple[list[Link], str]:
    """The links of an HTML page (PEP 503), and the version of the API that it claims."""
    parser = _Anchors(url)
    parser.feed(text)
    parser.close()
    return parser.links, parser.version


class _Anchors(html.parser.HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.version = "1.0"
        self._base = url
        self._has_base = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "base" and values.get("href") and not self._has_base:
            self._has_base = True
            with suppress(ValueError):  # a base that is no URL moves nothing
                self._base = urljoin(self._base, values["href"] or "")
        elif tag == "meta" and values.get("name") == "pypi:repository-version":
            self.version = values.get("content") or ""
        elif tag == "a" and values.get("href"):
            yanked = (values["data-yanked"] or "") if "data-yanked" in values else None
            self.links += _joined(self._base, values["href"] or "", yanked)


def _joined(base: str, href: str, yanked: str | None) -> Iterator[Link]:
    try:
        link = _link(urljoin(base, href.strip()))
    except ValueError:
        return  # a link that is no URL offers no file
    yield msgspec.structs.replace(link, yanked=yanked)


class _JsonMeta(msgspec.Struct, rename="kebab"):
    api_version: str = "1.0"


class _JsonFile(msgspec.Struct):
    filename: str
    url: str
    hashes: dict[str, str] = {}
    yanked: bool | str = False


class _JsonProject(msgspec.Struct):
    meta: _JsonMeta
    files: list[_JsonFile] = []


def parse_json(url: str, body: bytes) -> tuple[list[Link], str]:
    """The files of a JSON page (PEP 691), and the version of the API that it claims."""
    try:
        project = msgspec.json.decode(body, type=_JsonProject)
        links = [
            Link(
                file.filename,
                _link(urljoin(url, file.url)).url,
                file.hashes.get("sha256", "").lower(),
                (file.yanked if isinstance(file.yanked, str) else "") if file.yanked is not False else None,
            )
            for file in project.files
        ]
    except (msgspec.MsgspecError, ValueError) as error:
        raise FetchError(f'"{redacted(url)}" is no page of the index API: {error}') from error
    return links, project.meta.api_version


def _link(url: str) -> Link:
    bare, fragment = urldefrag(url)
    algorithm, _, value = fragment.partition("=")
    return Link(_filename(bare), bare, value.lower() if algorithm.lower() == "sha256" else "")


def _filename(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _is_archive(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES)


def _file_url(path: str) -> str:
    return "file://" + pathname2url(os.path.abspath(path))


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, errors="replace")
    except LookupError:
        return body.decode(errors="replace")
