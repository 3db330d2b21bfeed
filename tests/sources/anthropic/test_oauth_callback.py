"""The loopback listener, knocked at with raw sockets, as browsers, scripts and scanners do."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from claude_usage_monitor.errors import LoginFailed
from claude_usage_monitor.sources.anthropic import oauth_callback
from claude_usage_monitor.sources.anthropic.oauth_callback import CallbackListener, Outcome
from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = "state-6c1f0b2a9d"
CODE = "code-canary-41d2e8"
FAST = 1.0  # seconds, in which a callback is answered whatever else goes on
PATIENCE = 20.0


class Callback:
    """A listener under test, and what it has told."""

    def __init__(self) -> None:
        self.told: SimpleQueue[Outcome] = SimpleQueue()
        self.listener = CallbackListener(STATE, self.told.put)
        self.port = self.listener.port

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        connection = socket.create_connection((host, self.port), timeout=PATIENCE)
        connection.settimeout(PATIENCE)
        return connection

    def send(self, content: bytes, host: str = "127.0.0.1") -> str:
        """Return the whole answer to some bytes; empty, if there is none."""
        with self.connect(host) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(content)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(1 << 16):
                    answer += chunk
            return answer.decode()

    def get(self, target: str, *more: str, method: str = "GET", host: str | None = "") -> str:
        """Return the answer to a request; ``host=None`` sends no Host."""
        named = host or f"localhost:{self.port}"
        fields = [*([] if host is None else [f"Host: {named}"]), *more]
        head = "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/1.1", *fields))
        return self.send(f"{head}\r\n".encode("latin-1"))

    def call(self, **fields: str) -> str:
        """Return the answer to a callback with these fields in its query."""
        return self.get(f"/callback?{urlencode(fields)}")

    def outcome(self) -> Outcome:
        return self.told.get(timeout=PATIENCE)

    def waits(self) -> bool:
        """Return whether nothing has been told, and the right callback still counts."""
        with pytest.raises(Empty):
            self.told.get_nowait()
        self.call(code=CODE, state=STATE)
        return self.outcome() == Secret(CODE)


def status(answer: str) -> int:
    return int(answer.split(" ", 2)[1]) if answer else 0


@pytest.fixture
def callback(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callback]:
    """Listen; whatever happens, nothing is printed or logged."""
    caplog.set_level(logging.WARNING)
    made = Callback()
    with made.listener:
        yield made
    told = capfd.readouterr()
    assert ("", "", "") == (told.out, told.err, caplog.text)


def test_the_browser_brings_the_code(callback: Callback) -> None:
    assert 200 == status(callback.call(code=CODE, state=STATE))
    assert Secret(CODE) == callback.outcome()


def test_the_redirect_goes_to_localhost_on_a_random_port(callback: Callback) -> None:
    assert f"http://localhost:{callback.port}/callback" == callback.listener.redirect_uri
    with Callback().listener as other:
        assert other.port != callback.port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_loopback_addresses_answer_on_one_port(callback: Callback, host: str) -> None:
    """Browsers take ``localhost`` for either."""
    request = f"GET /callback?code={CODE}&state={STATE} HTTP/1.1\r\nHost: localhost:"
    answer = callback.send(f"{request}{callback.port}\r\n\r\n".encode(), host)
    assert (200, Secret(CODE)) == (status(answer), callback.outcome())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_other_address_is_listened_on(callback: Callback) -> None:
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    ours = {line[1] for line in lines if line[1].endswith(f":{callback.port:04X}")}
    listening = {line[1] for line in lines if line[3] == "0A"} & ours
    ipv6 = "0" * 24 + "01000000"
    assert {f"0100007F:{callback.port:04X}", f"{ipv6}:{callback.port:04X}"} == listening


# --- what is not the awaited answer -------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=x",
        f"state={STATE}",
        f"state={STATE}&code=",
        f"state={STATE}&code=a%20b",
        f"state={STATE}&code=a%0d%0aX:y",
        f"state={STATE}&code=%ff",
        f"state={STATE}&code=x&code=y",
        f"state={STATE}&state={STATE}&code=x",
        f"state={STATE}&state=other&code=x",
        "state=other&code=x",
        "state=&code=x",
        f"state={STATE[:-1]}&code=x",
        f"state={STATE}x&code=x",
        f"state={STATE.upper()}&code=x",
        "state=%ff%00&code=x",
        "state=ä&code=x",
        f"State={STATE}&code=x",
        "error=access_denied",
        "error=access_denied&state=other",
        f"error=access_denied&error=x&state={STATE}",
        f"state={STATE}&" + "&".join(f"a{n}=1" for n in range(40)) + "&code=x",
    ],
)
def test_anything_but_the_awaited_answer_is_refused_and_the_wait_goes_on(
    callback: Callback, query: str
) -> None:
    assert 400 == status(callback.get(f"/callback?{query}"))
    assert callback.waits()


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/favicon.ico",
        "/callback/",
        "/callback/../callback",
        "//callback",
        "/Callback",
        "/callback;x",
        f"http://localhost/callback?code={CODE}&state={STATE}",
        "*",
    ],
)
def test_nothing_is_at_another_path(callback: Callback, target: str) -> None:
    assert 404 == status(callback.get(target))
    assert callback.waits()


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "BREW"])
def test_only_get_is_understood(callback: Callback, method: str) -> None:
    answer = callback.get(f"/callback?code={CODE}&state={STATE}", method=method)
    assert (405, True) == (status(answer), "\r\nAllow: GET\r\n" in answer)
    assert callback.waits()


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
def test_only_names_of_this_computer_are_served(callback: Callback, host: str | None) -> None:
    """A name that was made to point here (DNS rebinding) gets nothing."""
    named = host and host.format(port=callback.port)
    target = f"/callback?code={CODE}&state={STATE}"
    assert 403 == status(callback.get(target, host=named))
    assert callback.waits()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_each_name_of_this_computer_is_served(callback: Callback, host: str) -> None:
    target = f"/callback?code={CODE}&state={STATE}"
    assert 200 == status(callback.get(target, host=f"{host}:{callback.port}"))


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /callback\r\n\r\n",
        b"GET /callback HTTP/2.0\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n",
        "GET /callback?ä HTTP/1.1\r\n\r\n".encode(),
    ],
)
def test_what_is_no_request_is_refused(callback: Callback, content: bytes) -> None:
    assert 400 == status(callback.send(content))
    assert callback.waits()


def test_an_address_that_is_too_long_is_refused(callback: Callback) -> None:
    """Ten megabytes of it: the answer comes all the same, and nothing is kept."""
    assert 414 == status(callback.send(b"GET /callback?" + b"a" * 10_000_000))
    assert callback.waits()


def test_headers_that_are_too_long_are_refused(callback: Callback) -> None:
    assert 431 == status(callback.get("/callback", *["X-Long: " + "a" * 1000] * 17))
    assert callback.waits()


def test_long_headers_are_no_reason_to_refuse(callback: Callback) -> None:
    """Everything that ever ran on localhost has left its cookies there."""
    cookies = "Cookie: ä" + "a" * 15_000
    assert 200 == status(callback.get(f"/callback?code={CODE}&state={STATE}", cookies))


# --- how it ends --------------------------------------------------------------------------------


def test_the_first_answer_wins(callback: Callback) -> None:
    callback.call(code=CODE, state=STATE)
    later = [
        callback.call(code=CODE, state=STATE),
        callback.call(code="other", state=STATE),
        callback.call(error="access_denied", state=STATE),
    ]
    assert [410, 410, 410] == [status(answer) for answer in later]
    assert 400 == status(callback.call(code=CODE, state="other"))
    assert Secret(CODE) == callback.outcome()
    assert callback.told.empty()


def test_of_many_at_once_one_wins(callback: Callback) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda n: callback.call(code=f"code-{n}", state=STATE), range(32))
        assert [200, *[410] * 31] == sorted(status(answer) for answer in answers)
    callback.outcome()
    assert callback.told.empty()


def test_a_login_that_is_denied_ends_the_wait(callback: Callback) -> None:
    callback.call(error="access_denied", state=STATE)
    error = callback.outcome()
    assert isinstance(error, LoginFailed)
    assert ("login_failed", "The login was denied (access_denied).") == (error.code, error.message)


def test_an_error_weighs_more_than_a_code(callback: Callback) -> None:
    callback.call(error="server_error", state=STATE, code=CODE)
    error = callback.outcome()
    assert isinstance(error, LoginFailed)
    assert "The login service ended the login (server_error)." == error.message


HOSTILE = "<script>alert(1)</script>\"'&\x1b]0;title\x07\x1b[2J\u202e\n\ud7ff"


def test_what_an_error_says_does_no_harm(callback: Callback) -> None:
    """Neither to the page, which escapes it, nor to the terminal, which gets plain text."""
    fields = {"error": f"x{HOSTILE}", "error_description": HOSTILE * 100, "state": STATE}
    answer = callback.get(f"/callback?{urlencode(fields, quote_via=quote)}")
    assert "&lt;script&gt;" in answer
    assert "<script" not in answer
    assert "\x1b" not in answer
    error = callback.outcome()
    assert isinstance(error, LoginFailed)
    assert (True, True) == (error.message.isprintable(), len(error.message) < 400)


@pytest.mark.parametrize("target", ["/callback?state=<b>", "/<script>", "/callback?error=<b>"])
def test_a_page_repeats_nothing_of_a_request(callback: Callback, target: str) -> None:
    answer = callback.get(target)
    assert target not in answer
    assert answer.count("<") == 6


@pytest.mark.parametrize(
    "target", ["/", f"/callback?code={CODE}&state={STATE}", f"/callback?error=x&state={STATE}"]
)
def test_every_page_is_closed_to_everything(callback: Callback, target: str) -> None:
    answer = callback.get(target)
    head, _, body = answer.partition("\r\n\r\n")
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
    assert expected == dict(field.split(": ", 1) for field in fields)
    assert CODE not in answer
    assert STATE not in answer


# --- connections that hold nobody back ----------------------------------------------------------


def test_idle_connections_do_not_delay_the_callback(callback: Callback) -> None:
    """Browsers open connections ahead, and may never use them."""
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(callback.connect())
        half = stack.enter_context(callback.connect())
        half.sendall(b"GET /callback?co")
        started = time.monotonic()
        assert callback.waits()
        assert time.monotonic() - started < FAST


def test_five_hundred_connections_do_not_delay_the_callback(callback: Callback) -> None:
    """The oldest make room; the threads stay one."""
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(callback.connect()) for _ in range(500)]
        for each in opened:
            with contextlib.suppress(ConnectionError):
                each.sendall(b"GET /callback HTTP/1.1\r\nX-Slow: ")
        started = time.monotonic()
        assert callback.waits()
        assert time.monotonic() - started < FAST
        assert before == threading.active_count()
        kept = sum(still_open(each) for each in opened)
        assert 0 < kept <= oauth_callback.MOST_CONNECTIONS


def still_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_no_connection_outstays_its_time(
    callback: Callback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that says nothing nor one that goes on dripping."""
    monkeypatch.setattr(oauth_callback, "LONGEST_CONNECTION", 0.15)
    with callback.connect() as idle, callback.connect() as slow:
        started = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - started < PATIENCE and still_open(slow):
                slow.sendall(b"a")
                time.sleep(0.02)
        assert 0.1 < time.monotonic() - started < FAST
        assert not still_open(idle)
    assert callback.waits()


def test_closing_frees_the_port_at_once(callback: Callback) -> None:
    with callback.connect(), callback.connect() as half:
        half.sendall(b"GET /")
        started = time.monotonic()
        callback.listener.close()
        assert time.monotonic() - started < FAST
    for host in ("127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError), callback.connect(host):
            pass
    assert "login callback" not in {thread.name for thread in threading.enumerate()}
    callback.listener.close()  # once more does no harm


def test_not_even_a_mistake_of_ours_is_printed(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """What asyncio would say of it holds the request."""

    def tell(outcome: Outcome) -> None:
        raise RuntimeError(outcome)

    made = Callback()
    with CallbackListener(STATE, tell) as listener:
        made.listener.close()
        made.port = listener.port
        assert "" == made.call(code=CODE, state=STATE)
    told = capfd.readouterr()
    assert ("", "", "") == (told.out, told.err, caplog.text)


# --- the port -----------------------------------------------------------------------------------


def test_nobody_else_can_listen_on_the_port(callback: Callback) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((host, callback.port))


def refusing(
    monkeypatch: pytest.MonkeyPatch, host: str, times: int, number: int
) -> list[tuple[str, int]]:
    """Let binding to an address fail so many times; returns all that was bound to."""
    asked = list[tuple[str, int]]()
    plain = socket.socket

    class Refusing(plain):  # type: ignore[misc,valid-type]
        def bind(self, address: tuple[str, int]) -> None:
            asked.append(address)
            if address[0] == host and sum(each[0] == host for each in asked) <= times:
                raise OSError(number, "no")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Refusing)
    return asked


def test_another_port_is_taken_when_one_is_taken_under_one_of_the_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = refusing(monkeypatch, "::1", 2, errno.EADDRINUSE)
    with Callback().listener as listener:
        assert [("127.0.0.1", 0), ("::1", listener.port)] == asked[-2:]
        assert 6 == len(asked)


@pytest.mark.parametrize("lacking", ["127.0.0.1", "::1"])
def test_one_loopback_address_is_enough(monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    refusing(monkeypatch, lacking, 1000, errno.EADDRNOTAVAIL)
    made = Callback()
    with made.listener:
        other = "::1" if lacking == "127.0.0.1" else "127.0.0.1"
        with made.connect(other):
            pass
        with pytest.raises(ConnectionRefusedError), made.connect(lacking):
            pass


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_without_a_free_port_it_says_so(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    refusing(monkeypatch, host, 1000, errno.EADDRINUSE)
    with pytest.raises(LoginFailed, match="No port"):
        Callback()
