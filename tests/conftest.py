"""What holds for every test: those that need root say so where they are skipped, and none leaves its directory."""

import os
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest


def pytest_collection_modifyitems(items):
    """Root's tests attack from root's place or need its powers; anywhere else they would prove nothing.

    What POSIX alone has cannot be tried where it is not.
    """
    if not hasattr(os, "geteuid"):
        for item in items:
            for marker in item.iter_markers("posix"):
                item.add_marker(pytest.mark.skip(reason=f"POSIX alone has {marker.args[0]}"))
    elif os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(params=("python", "c"))
def link_loop(request, monkeypatch):
    """Whoever makes many links at a time does it in Python, and in C, where that was compiled."""
    from bldr.store import inodes, links

    make_links = links.make_links if request.param == "python" else links.compiled()
    if make_links is None:
        pytest.skip("the compiled loop is not there: install bldr where there are a C compiler and Python's headers")
    monkeypatch.setattr(inodes, "fastest", lambda: make_links)


@pytest.fixture(autouse=True)
def _stays_where_it_was():
    """A test that goes elsewhere comes back: the next one may find that place gone."""
    before = os.getcwd()
    yield
    where = os.getcwd()
    os.chdir(before)
    assert where == before, f"the test left the process in {where}"


@pytest.fixture
def links(tmp_path_factory):
    """Asked for by tests that make symbolic links, which Windows allows to some, and Wine 8 to nobody."""
    place = tmp_path_factory.mktemp("links")
    try:
        (place / "link").symlink_to("target")
    except OSError:
        pytest.skip("no symbolic links can be made here")
    if not (place / "link").is_symlink():
        pytest.skip("no symbolic links can be made here")


@pytest.fixture
def until():
    """A function that waits for a condition, and fails when it does not come true in two minutes."""

    def wait(condition):
        until_s = time.monotonic() + 120
        while not condition():
            if time.monotonic() > until_s:
                pytest.fail("waited in vain")
            time.sleep(0.02)

    return wait


class Mirror:
    """A registry of packages on loopback, over https, that serves what a test puts into it.

        def test_crates(project, mirror):
            mirror.serve("/crates/serde/1.0.219/download", Path("/usr/share/.../serde.crate").read_bytes())
            mirror.serve("/maven2", Path("/usr/share/maven-repo"))    # a directory: all that is below it
            project.write({"Cargo.lock": ..., "Builderfile": ...})
            project.bldr("build", "//...", CARGO_REGISTRIES_CRATES_IO_INDEX=mirror.url + "/crates")
            assert mirror.requests == ["/crates/serde/1.0.219/download"]

    `url` has no slash at its end. `requests` are the decoded paths of all that was asked for, in order. `env` are the
    variables by which a process trusts its certificate and goes there directly; the fixture has set them in this
    process too, so that commands which inherit the environment need nothing. `stop()` takes it off the network.
    """

    certificate = str(Path(__file__).parent / "fetch/localhost.pem")

    def __init__(self):
        self.contents = {}
        self.requests = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = unquote(urlsplit(self.path).path)
                mirror.requests.append(path)
                body = mirror.body(path)
                self.send_response(404 if body is None else 200)
                body = body or b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A client that was ended hangs up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )  # else one client that says nothing would keep all others waiting
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self.env = {"SSL_CERT_FILE": self.certificate, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def serve(self, path, content):
        """Have bytes, a text, a file, or a directory with all that is below it, at an absolute path of the URL."""
        self.contents[path.rstrip("/")] = content.encode() if isinstance(content, str) else content
        return self.url + path

    def body(self, path):
        """What is served at a path; None for nothing."""
        at = path
        while at:
            content = self.contents.get(at)
            if isinstance(content, Path):
                file = Path(f"{content}{path[len(at) :]}")
                return file.read_bytes() if file.is_file() and ".." not in file.parts else None
            if content is not None:
                return content if at == path else None
            at = at.rpartition("/")[0]
        return None

    def stop(self):
        """End it: whoever asks is refused."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture
def mirror(monkeypatch):
    """A `Mirror` of this test's own, which its commands reach and trust."""
    mirror = Mirror()
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in mirror.env.items():
        monkeypatch.setenv(name, value)
    yield mirror
    mirror.stop()
