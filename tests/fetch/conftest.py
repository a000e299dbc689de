"""Archives made byte by byte, servers on loopback, and an environment in which only they can be reached."""

import gzip
import hashlib
import io
import os
import select
import socket
import ssl
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bldr.fetch import fetch

CERTIFICATE = str(Path(__file__).with_name("localhost.pem"))


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What the loader would make of a table `external.NAME`."""

    name: str = "dep"
    sha256: str = "0" * 64
    url: str | None = None
    pypi: str | None = None
    strip_prefix: str = ""


@dataclass
class Answer:
    """What a server says to one path; `hook` runs first and may answer in its own way by returning True."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hook: Callable[[BaseHTTPRequestHandler], Any] | None = None


class Server:
    """A real HTTP server on a free port of loopback; `pages` maps paths to answers, `requests` records what came."""

    def __init__(self, *, tls: bool) -> None:
        self.pages: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, dict(self.headers)))
                answer = outer.pages.get(self.path, Answer(b"nothing here", 404))
                if answer.hook is not None and answer.hook(self):
                    return
                self.send_response(answer.status)
                headers = {"Content-Length": str(len(answer.body)), "Content-Type": "text/html", **answer.headers}
                for name, value in headers.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def do_CONNECT(self) -> None:
                """A proxy's tunnel, to loopback whatever host was asked for."""
                outer.requests.append((f"CONNECT {self.path}", dict(self.headers)))
                with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as far:
                    self.send_response(200)
                    self.end_headers()
                    near = self.connection
                    while True:
                        ready, _, _ = select.select([near, far], [], [], 10)
                        for source, sink in ((near, far), (far, near)):
                            if source in ready:
                                data = source.recv(1 << 16)
                                if not data:
                                    return
                                sink.sendall(data)

            def log_message(self, *arguments: Any) -> None:
                """Quiet."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that does not like us hangs up; that is what some tests are about."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        scheme = "http"
        if tls:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def https() -> Iterator[Server]:
    server = Server(tls=True)
    yield server
    server.close()


@pytest.fixture
def http() -> Iterator[Server]:
    server = Server(tls=False)
    yield server
    server.close()


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def make_source() -> type[Source]:
    return Source


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """No configuration of this machine's reaches a test, except those that ask for the real index."""
    if "real_index" in request.fixturenames:
        return
    for name in list(os.environ):
        if (
            name.startswith("PIP_")
            or name.lower().endswith("_proxy")
            or name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        ):
            monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", CERTIFICATE)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def tar_bytes(members: list[tuple[str, Any]], *, mode: str = "w:gz", **arguments: Any) -> bytes:
    """A tar archive. A member is a name with bytes (a file), None (a directory), or a dict of TarInfo's attributes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **arguments) as tar:  # type: ignore[call-overload]
        for name, what in members:
            header = tarfile.TarInfo(name)
            content = b""
            if what is None:
                header.type = tarfile.DIRTYPE
            elif isinstance(what, bytes):
                content = what
                header.size = len(content)
            else:
                content = what.get("content", b"")
                header.size = len(content)
                for key, value in what.items():
                    if key != "content":
                        setattr(header, key, value)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes(members: list[tuple[str, bytes]], **arguments: Any) -> bytes:
    """A zip archive; `arguments` are attributes of every ZipInfo."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in arguments.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return buffer.getvalue()


@pytest.fixture
def tar() -> Callable[..., bytes]:
    return tar_bytes


@pytest.fixture
def zipped() -> Callable[..., bytes]:
    return zip_bytes


@pytest.fixture(scope="session")
def sdist() -> bytes:
    """A small honest source distribution."""
    return gzip.compress(
        tar_bytes([("dep-1.0/", None), ("dep-1.0/a.c", b"int a;\n"), ("dep-1.0/src/b.c", b"int b;\n")], mode="w"),
        mtime=0,
    )


@pytest.fixture
def sha256() -> Callable[[bytes], str]:
    return lambda data: hashlib.sha256(data).hexdigest()


@pytest.fixture
def bring(tmp_path: Path) -> Callable[..., Path]:
    """Fetches into a store of the test's own."""

    def call(source: Source, **arguments: Any) -> Path:
        arguments.setdefault("builderfile_root", str(tmp_path))
        return Path(fetch(source, str(tmp_path / "store"), **arguments))

    return call


@pytest.fixture
def contents() -> Callable[[Path], dict[str, str]]:
    """All paths below a directory: a file's text, a link's target with an arrow, a directory's slash."""

    def describe(root: Path) -> dict[str, str]:
        found = {}
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if path.is_symlink():
                found[name] = f"-> {os.readlink(path)}"
            elif path.is_dir():
                found[name] = "/"
            else:
                found[name] = path.read_text(errors="backslashreplace")
        return found

    return describe
