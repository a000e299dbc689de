"""Downloads from real servers on loopback: what is followed, what is tried again, what is refused."""

import gzip
import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from bldr.api import FetchError
from bldr.fetch.download import AbsentError, Web, copy_file, is_loopback, local_path, redacted, tls_context
from bldr.fetch.source import Limits

BODY = bytes(range(256)) * 4096


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def web(pauses: list[float]) -> Callable[..., Web]:
    def make(limits: Limits | None = None, **arguments: Any) -> Web:
        return Web(dict(os.environ), limits or Limits(timeout_s=10), pause=pauses.append, **arguments)

    return make


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    number = os.open(tmp_path / "download", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    yield number
    os.close(number)


def content(fd: int) -> bytes:
    return os.pread(fd, 1 << 30, 0)


def quiet(done_bytes: int, total_bytes: int) -> None:
    del done_bytes, total_bytes


def test_a_download_over_tls(https: Any, answer: Any, web: Any, fd: int) -> None:
    https.pages["/a"] = answer(BODY)
    told: list[tuple[int, int]] = []
    digest = web().download(f"{https.url}/a", fd, lambda done, total: told.append((done, total)))
    assert digest == hashlib.sha256(BODY).hexdigest()
    assert content(fd) == BODY
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert https.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_certificate_that_nobody_vouches_for(
    https: Any, web: Any, fd: int, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(FetchError, match="cannot prove who it is") as caught:
        web().download(f"{https.url}/a", fd, quiet)
    assert "SSL_CERT_FILE" in caught.value.hint
    assert pauses == []
    assert https.requests == []


def test_a_certificate_for_another_host(https: Any, web: Any, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("127.0.0.1", https.port))])
    with pytest.raises(FetchError, match="cannot prove who it is"):
        web().download(f"https://elsewhere.example:{https.port}/a", fd, quiet)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_each_usual_variable_may_name_the_authority(
    https: Any, answer: Any, fd: int, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = os.environ["SSL_CERT_FILE"]
    monkeypatch.delenv("SSL_CERT_FILE")
    https.pages["/a"] = answer(b"x")
    web = Web({variable: certificate}, Limits())
    web.download(f"{https.url}/a", fd, quiet)
    assert content(fd) == b"x"


def test_pips_setting_may_name_the_authority(https: Any, answer: Any, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = os.environ["SSL_CERT_FILE"]
    monkeypatch.delenv("SSL_CERT_FILE")
    https.pages["/a"] = answer(b"x")
    Web({}, Limits(), certificate=certificate).download(f"{https.url}/a", fd, quiet)
    assert content(fd) == b"x"


def test_certificates_that_cannot_be_read_are_an_error_that_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for place in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(FetchError, match=rf"PIP_CERT names \"{place}\"") as caught:
            tls_context({"PIP_CERT": str(place)})
        assert caught.value.hint == "correct or unset PIP_CERT"
    context = tls_context({"SSL_CERT_DIR": f"{tmp_path}:"})
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a",
        "ftp://h/a",
        "https:///a",
        "data:,x",
        "/etc/passwd",
        "https://h:port/a",
        "https://[/a",
        "",
    ],
)
def test_addresses_that_are_refused(web: Any, fd: int, url: str) -> None:
    for maker in (web(), web(plain_loopback=True)):
        with pytest.raises(FetchError, match=r"is not an https: URL|is not a URL"):
            maker.download(url, fd, quiet)


def test_plain_http_only_where_it_is_allowed(http: Any, answer: Any, web: Any, fd: int) -> None:
    http.pages["/a"] = answer(b"x")
    with pytest.raises(FetchError, match="is not an https: URL"):
        web().download(f"{http.url}/a", fd, quiet)
    with pytest.raises(FetchError, match="is not an https: URL"):
        web(plain_hosts=frozenset({"127.0.0.1:1", "127.0.0.2"})).download(f"{http.url}/a", fd, quiet)
    assert http.requests == []
    web(plain_loopback=True).download(f"{http.url}/a", fd, quiet)
    web(plain_hosts=frozenset({"127.0.0.1"})).download(f"{http.url}/a", fd, quiet)
    web(plain_hosts=frozenset({f"127.0.0.1:{http.port}"})).download(f"{http.url}/a", fd, quiet)
    assert len(http.requests) == 3


def test_redirects_stay_with_https(https: Any, http: Any, answer: Any, web: Any, fd: int) -> None:
    https.pages["/a"] = answer(status=302, headers={"Location": "/b c"})
    https.pages["/b%20c"] = answer(status=307, headers={"Location": f"https://localhost:{https.port}/d"})
    https.pages["/d"] = answer(b"end")
    web().download(f"{https.url}/a", fd, quiet)
    assert content(fd) == b"end"
    http.pages["/x"] = answer(b"plain")
    for target in (f"{http.url}/x", "file:///etc/passwd", "ftp://127.0.0.1/x"):
        https.pages["/down"] = answer(status=302, headers={"Location": target})
        with pytest.raises(FetchError):
            web(plain_loopback=True).download(f"{https.url}/down", fd, quiet)
    assert http.requests == []


def test_a_redirect_to_itself_ends(https: Any, answer: Any, web: Any, fd: int) -> None:
    https.pages["/a"] = answer(status=302, headers={"Location": "/a"})
    with pytest.raises(FetchError, match="HTTP 302"):
        web().download(f"{https.url}/a", fd, quiet)
    assert len(https.requests) < 20


def test_passwords_are_sent_to_their_own_host_only_and_never_shown(
    https: Any, http: Any, answer: Any, web: Any, fd: int
) -> None:
    url = f"https://me:s%40crt@127.0.0.1:{https.port}"
    https.pages["/a"] = answer(status=302, headers={"Location": "/same"})
    https.pages["/same"] = answer(status=302, headers={"Location": f"https://localhost:{https.port}/other"})
    with pytest.raises(AbsentError) as caught:
        web().download(f"{url}/a", fd, quiet)
    sent = [headers.get("Authorization") for _, headers in https.requests]
    assert sent == ["Basic bWU6c0BjcnQ=", "Basic bWU6c0BjcnQ=", None]
    assert "crt" not in str(caught.value)
    assert redacted("https://me:secret@h/x") == "https://h/x"


def test_netrc(https: Any, answer: Any, fd: int, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pw\n")
    https.pages["/a"] = answer(b"x")
    Web({**os.environ, "NETRC": str(tmp_path / "netrc")}, Limits()).download(f"{https.url}/a", fd, quiet)
    (tmp_path / "netrc").write_text("this is no netrc")
    Web({**os.environ, "NETRC": str(tmp_path / "netrc")}, Limits()).download(f"{https.url}/a", fd, quiet)
    assert [headers.get("Authorization") for _, headers in https.requests] == ["Basic bWU6cHc=", None]


def test_the_usual_variables_name_a_proxy(
    web: Any, fd: int, https: Any, http: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    https.pages["/a"] = answer(BODY)
    monkeypatch.setenv("https_proxy", http.url.replace("http://", "http://me:pw@"))
    web().download(f"https://localhost:{https.port}/a", fd, quiet)
    assert content(fd) == BODY
    assert http.paths == [f"CONNECT localhost:{https.port}"]
    assert http.requests[0][1]["Proxy-Authorization"] == "Basic bWU6cHc="
    assert "Proxy-Authorization" not in https.requests[0][1]
    monkeypatch.setenv("no_proxy", "localhost")
    web().download(f"https://localhost:{https.port}/a", fd, quiet)
    monkeypatch.delenv("https_proxy")
    monkeypatch.delenv("no_proxy")
    assert len(http.paths) == 1
    web(proxy=http.url).download(f"https://localhost:{https.port}/a", fd, quiet)
    assert len(http.paths) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_transient_answers_are_tried_again(
    https: Any, answer: Any, web: Any, fd: int, pauses: list[float], status: int
) -> None:
    def fail_twice(handler: BaseHTTPRequestHandler) -> bool:
        if len(https.requests) > 2:
            return False
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    https.pages["/a"] = answer(b"good", hook=fail_twice)
    web().download(f"{https.url}/a", fd, quiet)
    assert content(fd) == b"good"
    assert pauses == [0.5, 1.0]


def test_the_server_may_say_how_long_to_wait_in_bounds(
    https: Any, answer: Any, web: Any, fd: int, pauses: list[float]
) -> None:
    for text in ("7", "100000", "Wed, 21 Oct 2099 07:28:00 GMT"):
        https.pages["/a"] = answer(status=503, headers={"Retry-After": text})
        with pytest.raises(FetchError, match=r"HTTP 503 Service Unavailable \(2 attempts\)"):
            web(Limits(attempts=2)).download(f"{https.url}/a", fd, quiet)
    assert pauses == [7.0, 30.0, 0.5]


@pytest.mark.parametrize(
    ("status", "kind"), [(404, AbsentError), (410, AbsentError), (403, FetchError), (400, FetchError)]
)
def test_final_answers_are_not_tried_again(
    https: Any, answer: Any, web: Any, fd: int, pauses: list[float], status: int, kind: type[FetchError]
) -> None:
    https.pages["/a"] = answer(b"", status)
    with pytest.raises(kind, match=str(status)):
        web().download(f"{https.url}/a", fd, quiet)
    assert pauses == []


def _hang_up_after(size_bytes: int, server: Any, times: int) -> Callable[[BaseHTTPRequestHandler], bool]:
    def hook(handler: BaseHTTPRequestHandler) -> bool:
        if len(server.requests) > times:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        handler.wfile.write(BODY[:size_bytes])
        handler.wfile.flush()
        handler.close_connection = True
        return True

    return hook


def test_a_body_that_breaks_off_is_fetched_again_from_its_start(
    https: Any, answer: Any, web: Any, fd: int, pauses: list[float]
) -> None:
    https.pages["/a"] = answer(BODY, hook=_hang_up_after(300_001, https, 2))
    digest = web().download(f"{https.url}/a", fd, quiet)
    assert digest == hashlib.sha256(BODY).hexdigest()
    assert content(fd) == BODY
    assert len(pauses) == 2


def test_a_body_that_always_breaks_off(https: Any, answer: Any, web: Any, fd: int) -> None:
    https.pages["/a"] = answer(BODY, hook=_hang_up_after(1000, https, 99))
    with pytest.raises(FetchError, match=r"cannot be read: .*\(4 attempts\)"):
        web().download(f"{https.url}/a", fd, quiet)


def test_a_server_that_says_nothing(web: Any, fd: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(FetchError, match=r"timed out.*\(2 attempts\)"):
            web(Limits(timeout_s=0.2, attempts=2)).download(f"https://127.0.0.1:{port}/a", fd, quiet)


def test_a_server_that_speaks_something_else(web: Any, fd: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"\x1b[31mSSH-2.0-nonsense\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(FetchError, match="cannot be read") as caught:
            web(Limits(timeout_s=5, attempts=2), plain_loopback=True).download(
                f"http://127.0.0.1:{listener.getsockname()[1]}/", fd, quiet
            )
        thread.join()
    assert caught.value.message.isprintable()


def test_nobody_is_there(web: Any, fd: int, pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(FetchError, match="refused"):
        web().download(f"https://127.0.0.1:{port}/a", fd, quiet)
    assert pauses == [0.5, 1.0, 2.0]


def test_a_host_that_does_not_exist_is_not_tried_again(
    web: Any, fd: int, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchError, match="Name or service not known"):
        web().download("https://no.such.example/a", fd, quiet)
    assert pauses == []


def test_a_body_that_is_too_large(https: Any, answer: Any, web: Any, fd: int) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            return True

    limits = Limits(download_bytes=1 << 20, page_bytes=1 << 20)
    https.pages["/a"] = answer(bytes((1 << 20) + 1))
    https.pages["/b"] = answer(hook=endless)
    for path in ("/a", "/b"):
        with pytest.raises(FetchError, match="is larger than 1048576 bytes"):
            web(limits).download(f"{https.url}{path}", fd, quiet)
        with pytest.raises(FetchError, match="is larger than 1048576 bytes"):
            web(limits).page(f"{https.url}{path}", "*/*")
    assert os.fstat(fd).st_size <= 1 << 20


def test_a_body_that_never_ends_in_time(https: Any, answer: Any, web: Any, fd: int) -> None:
    https.pages["/a"] = answer(BODY)
    with pytest.raises(FetchError, match="took longer than 0 seconds"):
        web(Limits(deadline_s=0.0)).download(f"{https.url}/a", fd, quiet)


def test_what_is_sent_compressed_all_the_same_is_kept_as_it_came(https: Any, answer: Any, web: Any, fd: int) -> None:
    body = gzip.compress(b"x")
    https.pages["/a"] = answer(body, headers={"Content-Encoding": "gzip"})
    web().download(f"{https.url}/a", fd, quiet)
    assert content(fd) == body


def test_messages_hold_nothing_that_a_terminal_obeys(https: Any, answer: Any, web: Any, fd: int) -> None:
    with pytest.raises(FetchError) as caught:
        web().download(f"{https.url}/\x1b[31m\u202e", fd, quiet)
    assert caught.value.message.isprintable()


def test_file_urls(tmp_path: Path) -> None:
    assert local_path("file:///a/b%20c", "/root") == "/a/b c"
    assert local_path("file://localhost/a", "/root") == "/a"
    assert local_path("FILE:vendor/a.tgz", "/root") == "/root/vendor/a.tgz"
    assert local_path("file:../a", "/root/x") == "/root/a"
    assert local_path("https://h/a", "/root") is None
    for url in ("file://host/a", "file:", "file:a%00b"):
        with pytest.raises(FetchError):
            local_path(url, "/root")


def test_a_local_file_is_copied_in_bounds(tmp_path: Path, fd: int) -> None:
    (tmp_path / "a").write_bytes(BODY)
    assert copy_file(str(tmp_path / "a"), fd, 1 << 30, quiet) == hashlib.sha256(BODY).hexdigest()
    assert content(fd) == BODY
    with pytest.raises(FetchError, match="larger"):
        copy_file(str(tmp_path / "a"), fd, 1000, quiet)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        with pytest.raises(AbsentError):
            copy_file(str(tmp_path / name), fd, 1 << 30, quiet)


def test_loopback() -> None:
    assert [
        host for host in ("localhost", "127.9.9.9", "::1", "10.0.0.1", "localhost.example", None) if is_loopback(host)
    ] == [
        "localhost",
        "127.9.9.9",
        "::1",
    ]
