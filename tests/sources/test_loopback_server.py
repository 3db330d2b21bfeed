"""The loopback server, over raw sockets, as browsers, scripts and scanners connect to it."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.sources import loopback_server
from claude_usage_monitor.sources.loopback_server import LoopbackServer, Page
from tests.support.loopback import PATIENCE, LoopbackClient, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERY = "a=1&b=2"
TARGET = f"/page?{QUERY}"


class Site(LoopbackClient):
    """A running server with one page, and the targets of its requests."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.server = LoopbackServer(self.page_for)
        super().__init__(self.server.port)
        self.server.start()

    def page_for(self, target: str) -> Page:
        self.targets.append(target)
        if target == "/elsewhere":
            return Page(HTTPStatus.FOUND, "Go there.", "https://example.com/?a=b")
        found = target == TARGET
        return Page(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND, "<Hello>")

    def works(self) -> bool:
        """Return whether a normal request is answered."""
        return status_of(self.get(TARGET)) == 200


@pytest.fixture(autouse=True)
def _closes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback_server, "_POLL_INTERVAL", 0.005)


@pytest.fixture
def site(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Site]:
    """Return a running server, which never prints or logs anything."""
    caplog.set_level(logging.WARNING)
    running = Site()
    yield running
    running.server.close()
    printed = capfd.readouterr()
    assert ("", "", "") == (printed.out, printed.err, caplog.text)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_loopback_addresses_answer_on_one_port(site: Site, host: str) -> None:
    """Browsers take ``localhost`` for either."""
    answer = site.send(f"GET {TARGET} HTTP/1.1\r\nHost: localhost:{site.port}\r\n\r\n", host)
    assert (200, [TARGET]) == (status_of(answer), site.targets)


def test_each_server_has_a_port_of_its_own(site: Site) -> None:
    other = Site()
    other.server.close()
    assert other.port != site.port


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_server_listens_on_loopback_only(site: Site) -> None:
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    port = f":{site.port:04X}"
    listening = {line[1] for line in lines if line[1].endswith(port) and line[3] == "0A"}
    assert {f"0100007F{port}", f"{'0' * 24}01000000{port}"} == listening


# --- requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "BREW"])
def test_only_get_is_supported(site: Site, method: str) -> None:
    answer = site.get(TARGET, method=method)
    assert (405, True) == (status_of(answer), "\r\nAllow: GET\r\n" in answer)
    assert [] == site.targets


@pytest.mark.parametrize(
    "host",
    [
        None,
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "localhost",
        "localhost:1",
        "localhost:{port}.",
        "127.0.0.2:{port}",
        "[::2]:{port}",
        "::1:{port}",
        "user@localhost:{port}",
        "localhost:{port}\r\nHost: localhost:{port}",
    ],
)
def test_a_name_of_another_computer_is_refused(site: Site, host: str | None) -> None:
    """Such as a name that was made to resolve to this computer (DNS rebinding)."""
    answer = site.get(TARGET, host=host and host.format(port=site.port))
    assert (403, []) == (status_of(answer), site.targets)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_every_name_of_this_computer_is_accepted(site: Site, host: str) -> None:
    assert 200 == status_of(site.get(TARGET, host=f"{host}:{site.port}"))


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\r\n\r\n", 0),
        (b"GET\r\n\r\n", 400),
        (b"GET /page\r\n\r\n", 403),
        (b"GET /page HTTP/2.0\r\n\r\n", 505),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 400),
        ("GET /page?ä HTTP/1.1\r\n\r\n".encode(), 403),
    ],
)
def test_anything_but_a_request_is_refused(site: Site, content: bytes, status: int) -> None:
    assert (status, []) == (status_of(site.send(content)), site.targets)
    assert site.works()


def test_a_target_that_is_too_long_is_refused(site: Site) -> None:
    """The server reads all ten megabytes, so that the client gets the answer, and stores none."""
    assert 414 == status_of(site.send(b"GET /page?" + b"a" * 10_000_000))
    assert site.works()


def test_headers_that_are_too_long_are_refused(site: Site) -> None:
    assert 431 == status_of(site.get(TARGET, *["X-Long: " + "a" * 1000] * 17))
    assert site.works()


def test_long_headers_are_accepted(site: Site) -> None:
    """The browser sends the cookies of everything that ever ran on localhost."""
    assert 200 == status_of(site.get(TARGET, "Cookie: ä" + "a" * 15_000))


@pytest.mark.parametrize("target", ["/<script>", "/page?<b>", TARGET])
def test_a_page_repeats_nothing_of_the_request(site: Site, target: str) -> None:
    answer = site.get(target)
    assert target not in answer
    assert "&lt;Hello&gt;" in answer
    assert 6 == answer.count("<")


@pytest.mark.parametrize("target", [TARGET, "/elsewhere", "/nothing"])
def test_a_page_may_load_and_store_nothing(site: Site, target: str) -> None:
    head, _, body = site.get(target).partition("\r\n\r\n")
    _, *fields = head.split("\r\n")
    expected = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "default-src 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        "Allow": "GET",
        "Content-Length": str(len(body.encode())),
    }
    if target == "/elsewhere":
        expected["Location"] = "https://example.com/?a=b"
    assert expected == dict(field.split(": ", 1) for field in fields)


# --- connections --------------------------------------------------------------------------------


def test_idle_connections_do_not_delay_a_request(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Browsers open connections in advance and may never use them."""
    monkeypatch.setattr(loopback_server, "CONNECTION_TIMEOUT", PATIENCE)
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(site.connect())
        half = stack.enter_context(site.connect())
        half.sendall(b"GET /page?a")
        assert site.works()
        assert still_open(half)


def test_too_many_connections_are_closed_until_others_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of threads is bounded, and the server recovers by itself."""
    monkeypatch.setattr(loopback_server, "CONNECTION_TIMEOUT", 1.0)
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(site.connect()) for _ in range(100)]
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /page HTTP/1.1\r\nX-Slow: ")
        assert threading.active_count() - before <= loopback_server.MAX_CONNECTIONS
        deadline = time.monotonic() + PATIENCE
        while not site.works():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_no_connection_lasts_longer_than_the_timeout(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it sends nothing, or a byte now and then."""
    monkeypatch.setattr(loopback_server, "CONNECTION_TIMEOUT", 0.15)
    with site.connect() as idle, site.connect() as slow:
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(ConnectionError):
            while still_open(slow):
                assert time.monotonic() < deadline
                slow.sendall(b"a")
                time.sleep(0.02)
        while still_open(idle):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert site.works()


def still_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_closing_frees_the_port_in_spite_of_open_connections(site: Site) -> None:
    with site.connect(), site.connect() as half:
        half.sendall(b"GET /")
        site.server.close()
        for host in ("127.0.0.1", "::1"):
            with pytest.raises(ConnectionRefusedError), site.connect(host):
                pass
    site.server.close()  # a second time does no harm


def test_a_bug_in_a_page_is_not_printed(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A traceback would quote the request, in the middle of the dashboard."""

    def fail(target: str) -> Page:
        raise RuntimeError(target)

    server = LoopbackServer(fail)
    server.start()
    assert "" == LoopbackClient(server.port).get(TARGET)
    server.close()
    printed = capfd.readouterr()
    assert ("", "", "") == (printed.out, printed.err, caplog.text)


# --- the port -----------------------------------------------------------------------------------


def test_no_other_program_can_listen_on_the_port(site: Site) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((host, site.port))


def refuse_to_bind(
    monkeypatch: pytest.MonkeyPatch, host: str, times: int, number: int
) -> list[tuple[str, int]]:
    """Let binding to an address fail so many times; returns all attempts."""
    attempts = list[tuple[str, int]]()
    plain = socket.socket

    class Refusing(plain):  # type: ignore[misc,valid-type]
        def bind(self, address: tuple[str, int]) -> None:
            attempts.append(address)
            if address[0] == host and sum(each[0] == host for each in attempts) <= times:
                raise OSError(number, "no")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Refusing)
    return attempts


def test_a_port_in_use_on_one_address_is_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = refuse_to_bind(monkeypatch, "::1", 2, errno.EADDRINUSE)
    site = Site()
    site.server.close()
    assert [("127.0.0.1", 0), ("::1", site.port)] == attempts[-2:]
    assert 6 == len(attempts)


@pytest.mark.parametrize("missing", ["127.0.0.1", "::1"])
def test_one_loopback_address_is_enough(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    refuse_to_bind(monkeypatch, missing, 1000, errno.EADDRNOTAVAIL)
    site = Site()
    with site.connect("::1" if missing == "127.0.0.1" else "127.0.0.1"):
        pass
    with pytest.raises(ConnectionRefusedError), site.connect(missing):
        pass
    site.server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_without_a_free_port_there_is_no_server(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    refuse_to_bind(monkeypatch, host, 1000, errno.EADDRINUSE)
    with pytest.raises(OSError, match="no port is free"):
        Site()
