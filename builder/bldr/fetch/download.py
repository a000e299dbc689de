"""Bytes from outside: https, file: and what redirects of the former lead to; bounded, retried, never trusted."""

import base64
import hashlib
import http.client
import netrc
import socket
import ssl
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from email.message import Message
from ipaddress import ip_address
from typing import IO, Any, NamedTuple, TypeVar
from urllib.parse import SplitResult, quote, unquote, urlsplit

from bldr.api import CacheError, FetchError
from bldr.fetch.names import printable
from bldr.fetch.source import Limits
from bldr.system import os

T = TypeVar("T")

_CHUNK_BYTES = 1 << 18
_URL_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"  # what may stand in a URL as it is (RFC 3986)
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE_S = 30.0
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class AbsentError(FetchError):
    """The server answered that it has nothing at this address (404, 410), or a file: URL names no file."""


class Page(NamedTuple):
    """A small document; `url` is where redirects ended."""

    url: str
    content_type: str
    body: bytes


def redacted(url: str) -> str:
    """The URL without user name and password, for messages."""
    head, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return quote(
        f"{head}{separator}{authority.rpartition('@')[2]}{slash}{path}", safe=_URL_CHARACTERS, errors="replace"
    )


def local_path(url: str, relative_to: str) -> str | None:
    """The path that a file: URL names ("file:vendor/a.tgz" is relative to `relative_to`); None for other URLs."""
    if not url.lower().startswith("file:"):
        return None
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FetchError(f'"{url}" names a file of another machine', 'write "file:///path"')
    path = unquote(parts.path)
    if not path or "\0" in path:
        raise FetchError(f'"{url}" names no file', 'write "file:///path"')
    return os.path.normpath(os.path.join(relative_to, path))


def is_loopback(host: str | None) -> bool:
    """Whether the host is this machine by its name or address alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


class Web:
    """Speaks https (and plain http with the hosts in `plain_hosts` and, where `plain_loopback`, with this machine).

    Trust anchors are the system's and what the usual variables and `certificate` name; proxies are those of the
    environment unless `proxy` names one. Nothing is connected before the first request.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        limits: Limits,
        *,
        certificate: str = "",
        proxy: str = "",
        plain_hosts: frozenset[str] = frozenset(),
        plain_loopback: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._environ = environ
        self._limits = limits
        self._certificate = certificate
        self._proxy = proxy
        self._plain_hosts = plain_hosts
        self._plain_loopback = plain_loopback
        self._pause = pause
        self._opener: urllib.request.OpenerDirector | None = None

    def check_url(self, url: str) -> None:
        """Raise FetchError unless this may be asked for."""
        try:
            parts = urlsplit(url)
            host = parts.hostname
            parts.port  # noqa: B018 - raises ValueError for a port that is none
        except ValueError as error:
            raise FetchError(f'"{redacted(url)}" is not a URL: {error}') from error
        if parts.scheme == "https" and host:
            return
        if parts.scheme == "http" and host and self._is_plain_host(parts):
            return
        raise FetchError(f'"{redacted(url)}" is not an https: URL', "anybody on the way could read and change the rest")

    def _is_plain_host(self, parts: SplitResult) -> bool:
        host = parts.hostname or ""
        if self._plain_loopback and is_loopback(host):
            return True
        return host in self._plain_hosts or f"{host}:{parts.port or 80}" in self._plain_hosts

    def page(self, url: str, accept: str) -> Page:
        """A document of at most `Limits.page_bytes`."""

        def read(response: Any) -> Page:
            body = b"".join(self._chunks(response, self._limits.page_bytes))
            return Page(response.url, response.headers.get("Content-Type", ""), body)

        return self._retried(url, accept, read)

    def download(self, url: str, fd: int, on_progress: Callable[[int, int], None]) -> str:
        """Write what the URL gives to the empty file `fd`; returns its SHA-256."""

        def read(response: Any) -> str:
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
            total = _content_length(response) or 0
            return _copy(self._chunks(response, self._limits.download_bytes), fd, total, on_progress)

        return self._retried(url, "*/*", read)

    def _retried(self, url: str, accept: str, read: Callable[[Any], T]) -> T:
        """What `read` makes of the response; transient failures are tried again, after a longer pause each time."""
        self.check_url(url)
        if self._opener is None:
            self._opener = self._make_opener()
        attempt = 1
        while True:
            try:
                with closing(self._opener.open(self._request(url, accept), timeout=self._limits.timeout_s)) as response:
                    return read(response)
            except (OSError, http.client.HTTPException) as error:
                with closing(error) if isinstance(error, urllib.error.HTTPError) else nullcontext():
                    if not _is_transient(error) or attempt == self._limits.attempts:
                        raise _explained(error, url, attempt) from error
                    pause_s = _pause_s(error, self._limits.backoff_s * 2 ** (attempt - 1))
            self._pause(pause_s)
            attempt += 1

    def _request(self, url: str, accept: str) -> urllib.request.Request:
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "bldr"}
        parts = urlsplit(url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
        request = urllib.request.Request(quote(bare, safe=_URL_CHARACTERS), headers=headers)  # noqa: S310 - checked
        credentials = self._credentials(parts)
        if credentials:
            request.add_unredirected_header("Authorization", credentials)
        return request

    def _credentials(self, parts: SplitResult) -> str:
        """The value of the header Authorization: from the URL, else from netrc, as pip does; "" for none."""
        user, password = parts.username, parts.password
        if user is None and parts.hostname:
            user, password = _netrc_login(parts.hostname, self._environ)
        if user is None:
            return ""
        token = f"{unquote(user)}:{unquote(password or '')}".encode()
        return "Basic " + base64.b64encode(token).decode()

    def _make_opener(self) -> urllib.request.OpenerDirector:
        """Only what is needed: no ftp:, data: or file: handler that a redirect could reach."""
        proxies = {"https": self._proxy, "http": self._proxy} if self._proxy else None
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(proxies),
            urllib.request.HTTPSHandler(context=tls_context(self._environ, self._certificate)),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
            _CheckedRedirects(self),
        ):
            opener.add_handler(handler)
        return opener

    def _chunks(self, response: Any, max_bytes: int) -> Iterator[bytes]:
        """The body, checked to be whole and in bounds."""
        expected = _content_length(response)
        too_large = FetchError(f'"{redacted(response.url)}" is larger than {max_bytes} bytes')
        if expected is not None and expected > max_bytes:
            raise too_large
        deadline = time.monotonic() + self._limits.deadline_s
        received = 0
        while chunk := response.read1(_CHUNK_BYTES):
            received += len(chunk)
            if received > max_bytes:
                raise too_large
            if time.monotonic() > deadline:
                raise FetchError(f'"{redacted(response.url)}" took longer than {self._limits.deadline_s:g} seconds')
            yield chunk
        if expected is not None and received != expected:
            raise http.client.IncompleteRead(b"", expected - received)


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to where we would have gone ourselves; https never becomes http."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        was, becomes = urlsplit(req.full_url), urlsplit(newurl)
        if was.scheme == "https" and becomes.scheme != "https":
            raise FetchError(
                f'"{redacted(req.full_url)}" redirects to "{redacted(newurl)}", which is not an https: URL',
                "name an address that stays with https",
            )
        self._web.check_url(newurl)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        authorization = req.unredirected_hdrs.get("Authorization")
        if request is not None and authorization and (was.scheme, was.netloc) == (becomes.scheme, becomes.netloc):
            request.add_unredirected_header("Authorization", authorization)
        return request


def tls_context(environ: Mapping[str, str], certificate: str = "") -> ssl.SSLContext:
    """Verifies servers by the system's trust anchors and by all that the usual variables and `certificate` name."""
    context = ssl.create_default_context()
    named = [(variable, environ.get(variable, "")) for variable in _CERTIFICATE_VARIABLES]
    for who, places in [*named, ("pip's setting cert", certificate)]:
        # SSL_CERT_DIR may name several directories, as OpenSSL reads it.
        for place in places.split(os.pathsep) if who == "SSL_CERT_DIR" else [places]:
            if not place:
                continue
            try:
                if os.path.isdir(place):
                    context.load_verify_locations(capath=place)
                else:
                    context.load_verify_locations(cafile=place)
            except (OSError, ssl.SSLError) as error:
                raise FetchError(
                    f'{who} names "{place}", which cannot be read as certificates: {error}', f"correct or unset {who}"
                ) from error
    return context


def copy_file(path: str, fd: int, max_bytes: int, on_progress: Callable[[int, int], None]) -> str:
    """Write the regular file at `path` to the empty file `fd`; returns its SHA-256."""
    try:
        source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise AbsentError(f'"{path}" cannot be read: {error.strerror}') from error
    try:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            raise AbsentError(f'"{path}" is not a regular file')
        if status.st_size > max_bytes:
            raise FetchError(f'"{path}" is larger than {max_bytes} bytes')
        return _copy(iter(lambda: os.read(source, _CHUNK_BYTES), b""), fd, status.st_size, on_progress)
    finally:
        os.close(source)


def _copy(chunks: Iterator[bytes], fd: int, total_bytes: int, on_progress: Callable[[int, int], None]) -> str:
    checksum = hashlib.sha256()
    done = 0
    on_progress(0, total_bytes)
    for chunk in chunks:
        checksum.update(chunk)
        view = memoryview(chunk)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except OSError as error:
                raise CacheError(f"the download cannot be stored: {error.strerror}", "make room") from error
        done += len(chunk)
        on_progress(done, total_bytes)
    return checksum.hexdigest()


def _content_length(response: Any) -> int | None:
    """What the server announces; None where it does not, or in a form that says nothing."""
    if response.headers.get("Transfer-Encoding"):
        return None
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _netrc_login(host: str, environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """User name and password for a host in the person's netrc file, None for none."""
    chosen = environ.get("NETRC")
    for place in [chosen] if chosen else ["~/.netrc", "~/_netrc"]:
        try:
            login = netrc.netrc(os.path.expanduser(place)).authenticators(host)
        except FileNotFoundError:
            continue
        except (OSError, netrc.NetrcParseError):
            return None, None  # a broken netrc is no reason not to try without
        if login:
            return login[0], login[2]
    return None, None


def _is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _TRANSIENT_STATUS
    if isinstance(error, urllib.error.URLError):
        return isinstance(error.reason, BaseException) and _is_transient(error.reason)
    if isinstance(error, ssl.SSLCertVerificationError):
        return False
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    return isinstance(error, TimeoutError | ConnectionError | ssl.SSLError | http.client.HTTPException)


def _pause_s(error: BaseException, backoff_s: float) -> float:
    """How long to wait: what the server asks for, where it does, in bounds."""
    if isinstance(error, urllib.error.HTTPError):
        text = error.headers.get("Retry-After", "") if error.headers else ""
        if text.isascii() and text.isdigit():
            return min(float(text), _LONGEST_PAUSE_S)
    return min(backoff_s, _LONGEST_PAUSE_S)


def _explained(error: BaseException, url: str, attempts: int) -> FetchError:
    where = f'"{redacted(url)}"'
    times = f" ({attempts} attempts)" if attempts > 1 else ""
    if isinstance(error, urllib.error.HTTPError):
        if error.code in (404, 410):
            return AbsentError(f"{where} does not exist (HTTP {error.code})")
        hint = "give a user name and password in netrc, or in pip's index-url" if error.code in (401, 403) else ""
        status = f"HTTP {error.code} {http.client.responses.get(error.code, '')}".rstrip()
        return FetchError(f"{where} answered {status}{times}", hint)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return FetchError(
            f"{where} cannot prove who it is: {reason.verify_message}",
            "if its certificate is of your own authority, let SSL_CERT_FILE name that authority's certificate",
        )
    text = printable(str(reason)) or type(reason).__name__
    return FetchError(f"{where} cannot be read: {text}{times}", "check the network, or the proxy variables")
