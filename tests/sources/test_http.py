"""The HTTP client against real servers on loopback: correct, broken, slow and hostile ones."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import socket
import ssl
import sys
import threading
import time
import traceback
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from claude_usage_monitor.errors import (
    InvalidSetting,
    RateLimited,
    Unreachable,
    UsageMonitorError,
)
from claude_usage_monitor.sources.anthropic.api_url import API_URL, API_URL_VARIABLE, base_url_from
from claude_usage_monitor.sources.anthropic.oauth_api import get_profile, get_usage
from claude_usage_monitor.sources.http import HttpClient, TimeLimits
from claude_usage_monitor.sources.reply import Reply
from claude_usage_monitor.usage.secret import Secret
from tests.support.login import TOKEN
from tests.support.payloads import NOW, as_bytes, payload, usage_body
from tests.support.raw_servers import (
    PATIENCE,
    Proxy,
    RawServer,
    drip,
    reply,
    reset,
    send_bytes,
    stay_silent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store
    from tests.support.raw_servers import ServerScript

CANARY = "canary-5f2a91"  # the part of the token that must appear nowhere
USER_AGENT = "claude-code/2.1.240"
REQUEST_SECONDS = TimeLimits().idle  # how long a hung request lasts
PATIENT = TimeLimits(idle=PATIENCE, total=PATIENCE)
USAGE = as_bytes(usage_body())
HTML = b"<!DOCTYPE html><title>Welcome to Hotel Wi-Fi</title>"
FIGURES = send_bytes(reply(USAGE))


@pytest.fixture(autouse=True)
def _no_token_is_printed(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """No log at any level and no output may contain the token."""
    caplog.set_level(logging.DEBUG)
    yield
    printed = capfd.readouterr()
    assert CANARY not in caplog.text + printed.out + printed.err


class Serve(Protocol):
    def __call__(
        self,
        script: ServerScript,
        *,
        tls: ssl.SSLContext | None = None,
        reads_first: bool = True,
        keeps_alive: bool = False,
    ) -> RawServer: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server until the end of the test."""
    with contextlib.ExitStack() as stack:

        def start(script: ServerScript, **options: object) -> RawServer:
            return stack.enter_context(RawServer(script, **options))  # type: ignore[arg-type]  # fields by name

        yield start


def client_of(url: str, limits: TimeLimits = PATIENT, now: datetime = NOW) -> HttpClient:
    return HttpClient(url, USER_AGENT, lambda: now, os.environ, limits)


def send(client: HttpClient, token: str = TOKEN) -> Reply:
    return client.get("/api/oauth/usage", {}, bearer=Secret(token))


def failure(client: HttpClient, token: str = TOKEN) -> UsageMonitorError:
    """Return the error of a request for usage. No part of it contains the token."""
    with pytest.raises(UsageMonitorError) as caught:
        get_usage(client, Secret(token))
    error = caught.value
    shown = [str(error), repr(error), error.message, error.hint, *traceback.format_exception(error)]
    assert CANARY not in "".join(shown)
    assert (None, None) == (error.__cause__, error.__context__)
    return error


def every_request_ends() -> bool:
    """Wait until no thread of a request is left; return whether that happened."""
    deadline = time.monotonic() + PATIENCE
    while any(thread.name == "http" for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


# --- what is sent -------------------------------------------------------------------------------


def test_a_request_has_these_headers_and_no_others(serve: Serve) -> None:
    server = serve(FIGURES)
    get_usage(client_of(server.url), Secret(TOKEN))
    line, *fields = server.heads[0].decode().strip().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    del headers["Accept-Encoding"]  # depends on the libraries of this computer
    expected = {
        "Host": f"127.0.0.1:{server.port}",
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Connection": "close",
        "anthropic-beta": "oauth-2025-04-20",
        "Authorization": f"Bearer {TOKEN}",
    }
    assert ("GET /api/oauth/usage HTTP/1.1", expected) == (line, headers)


def test_a_base_url_keeps_its_path(serve: Serve) -> None:
    server = serve(FIGURES)
    send(client_of(f"{server.url}/base"))
    assert server.heads[0].startswith(b"GET /base/api/oauth/usage ")


def test_each_request_uses_a_new_connection(serve: Serve) -> None:
    """Requests are minutes apart: an idle connection may be dead without our noticing."""
    used = set[socket.socket]()

    def answer_once(connection: socket.socket) -> None:
        if connection in used:
            stay_silent(connection)
        used.add(connection)
        connection.sendall(reply(USAGE))

    server = serve(answer_once, keeps_alive=True)
    client = client_of(server.url)
    assert [200, 200] == [send(client).status for _ in range(2)]


def test_no_cookie_is_sent_back(serve: Serve) -> None:
    server = serve(send_bytes(reply(USAGE, headers=[("Set-Cookie", "id=1; Path=/")])))
    client = client_of(server.url)
    send(client)
    send(client)
    assert b"Cookie" not in server.heads[1]


@pytest.mark.parametrize(
    "cookie", ["id=1; max-age=" + "9" * 400, "a=" + "b" * 60_000, "id=1; expires=\xff", "=", ""]
)
def test_an_odd_cookie_is_ignored(
    serve: Serve, capfd: pytest.CaptureFixture[str], cookie: str
) -> None:
    """The standard library would print a traceback for some, in the middle of the dashboard."""
    server = serve(send_bytes(reply(USAGE, headers=[("Set-Cookie", cookie)])))
    assert USAGE == send(client_of(server.url)).body
    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize("odd", ["\n", "\r\nX-Injected: 1", "\0", "\x1b[2J", "\u2028", "é", "漢"])
@pytest.mark.parametrize("at_end", [False, True])
def test_a_user_agent_is_sent_without_invalid_characters(
    serve: Serve, odd: str, at_end: bool
) -> None:
    """It comes from the settings or from the name of a file."""
    server = serve(FIGURES)
    user_agent = f"monitor/1{odd}" if at_end else f"{odd} monitor/1"
    client = HttpClient(server.url, user_agent, lambda: NOW, os.environ, PATIENT)
    assert 200 == send(client).status
    lines = server.heads[0].decode("latin-1").split("\r\n")
    (sent,) = (line for line in lines if line.startswith("User-Agent: "))
    assert "monitor/1" in sent
    assert sent.isascii()
    assert sent.isprintable()
    assert not any(line.startswith("X-Injected") for line in lines)


NETRC = "machine 127.0.0.1 login user password secret\ndefault login user password secret\n"


@pytest.mark.parametrize("entry", [*NETRC.splitlines(), "machine 127.0.0.1 login", "\0\xff"])
@pytest.mark.parametrize("named", [False, True], ids=["in home", "by NETRC"])
def test_netrc_never_replaces_the_token(
    home: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, entry: str, named: bool
) -> None:
    path = home / ("elsewhere" if named else ".netrc")
    path.write_text(f"{entry}\n", "latin-1")
    path.chmod(0o600)
    if named:
        monkeypatch.setenv("NETRC", str(path))
    server = serve(FIGURES)
    send(client_of(server.url))
    assert f"Authorization: Bearer {TOKEN}\r\n".encode() in server.heads[0]
    assert b"Basic" not in server.heads[0]


def test_the_command_never_uses_netrc(command: Command, api: Api, store: Store, home: Path) -> None:
    (home / ".netrc").write_text(NETRC)
    (home / ".netrc").chmod(0o600)
    store.login()
    assert 0 == command.run("--once").returncode
    sent = {request.headers["Authorization"] for request in api.requests}
    assert {f"Bearer {TOKEN}"} == sent


# --- where a token may be sent ------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://api.anthropic.com",
        "http://10.0.0.1",
        "http://127.0.0.1@evil",
        "http://127.0.0.1:80@evil.com",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com",
        "http://localhost.",
        "http://2130706433",
        "http://0.0.0.0",
        "http://127.1",
        "http://127.0.0.1000",
        "http://127.0.0.1.",
        "http://[::1].evil.com",
        "http://[::2]",
        "http://127.0.0.1\\@evil.com",
        "https://evil.com\\@api.anthropic.com",
        "https://user@host",
        "https://user:password@host",
        "https://@host",
        "https://:@host",
        "https://host?query",
        "https://host?",
        "https://host#fragment",
        "https://host#",
        "https://host:port",
        "https://host:65536",
        "https://host:-1",
        "https://hos t",
        "https://host\n",
        "https://host\tname",
        "https://höst",
        "https://[::1",
        "https://",
        "https:host",
        "https:///path",
        "host",
        "//host",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        " ",
    ],
)
def test_a_token_is_not_sent_to_this_address(url: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        base_url_from({API_URL_VARIABLE: url})
    assert API_URL_VARIABLE in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http://127.0.0.1:8080",
        "http://127.0.0.2",
        "http://localhost:1",
        "http://[::1]:8080",
        "https://api.anthropic.com",
        "https://10.0.0.1:8443/base",
        "https://[2001:db8::1]",
    ],
)
def test_a_token_may_be_sent_to_this_address(url: str) -> None:
    assert url == base_url_from({API_URL_VARIABLE: url})


def test_a_base_url_ends_without_a_slash() -> None:
    assert "https://host/base" == base_url_from({API_URL_VARIABLE: "https://host/base//"})


@pytest.mark.parametrize("environ", [{}, {API_URL_VARIABLE: ""}])
def test_the_default_is_the_public_api(environ: dict[str, str]) -> None:
    assert API_URL == base_url_from(environ)


@given(st.text() | st.from_regex(r"https?://[-.:@\[\]\\/?#\w]*"))
def test_any_address_is_accepted_or_refused(url: str) -> None:
    """No string raises anything but InvalidSetting, and no accepted one hides another host."""
    with contextlib.suppress(InvalidSetting):
        accepted = base_url_from({API_URL_VARIABLE: url})
        assert not set("@?#\\ \n") & set(accepted)


def test_the_command_refuses_an_unencrypted_address(command: Command, store: Store) -> None:
    store.login()
    done = command.run("--once", environ={API_URL_VARIABLE: "http://api.invalid"})
    assert (2, "") == (done.returncode, done.stdout)
    assert API_URL_VARIABLE in done.stderr


# --- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(serve: Serve, status: int) -> None:
    """The second server sees no connection, and the first one no second request."""
    other = serve(FIGURES)
    there = [("Location", f"{other.url}/api/oauth/usage")]
    first = serve(send_bytes(reply(HTML, f"{status} Moved", there)))
    assert "unexpected_response" == failure(client_of(first.url)).code
    assert (0, 1) == (other.connections, first.connections)


@pytest.mark.parametrize(
    "location",
    ["http://[::1", "/elsewhere", "//evil", "", "file:///etc/passwd", "javascript:1", "ht\xfftp:"],
)
def test_no_redirect_target_does_harm(serve: Serve, location: str) -> None:
    server = serve(send_bytes(reply(b"", "302 Found", [("Location", location)])))
    assert "unexpected_response" == failure(client_of(server.url)).code
    assert 1 == server.connections


@pytest.mark.parametrize("status", ["200 OK", "302 Found"])
def test_an_endless_body_is_not_read_to_its_end(serve: Serve, status: str) -> None:
    """Of 200 MB, the client reads one mebibyte; the sockets' buffers take some more."""
    size, chunk = 200_000_000, bytes(1 << 16)
    sent = [0]

    def pour(connection: socket.socket) -> None:
        connection.sendall(
            f"HTTP/1.1 {status}\r\nLocation: /\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        while sent[0] < size:
            connection.sendall(chunk)
            sent[0] += len(chunk)

    server = serve(pour)
    assert "unexpected_response" == failure(client_of(server.url)).code
    server.end()
    assert sent[0] < 40_000_000


def test_the_command_follows_no_redirect(command: Command, api: Api, store: Store) -> None:
    store.login()
    with RawServer(FIGURES) as other:
        api.answer(HTML, 302, {"Location": other.url})
        done = command.run("--once")
        assert (4, 0) == (done.returncode, other.connections)
    assert "network login page" in done.stderr
    assert CANARY not in done.stdout + done.stderr


# --- slow servers -------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, ServerScript] = {
    "silence": stay_silent,
    "header drips": drip(HEAD + b"X-Slow: ", b"a"),
    "headers without end": drip(HEAD, b"X-Slow: a\r\n"),
    "body drips": drip(HEAD + b"Content-Length: 99999\r\n\r\n", b" "),
    "body drips, and closes": drip(HEAD + b"Connection: close\r\n\r\n", b" "),
    "chunks drip": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "gzip drips": drip(
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\0\0\0\xff\xff"
    ),
    "continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "continue, in a hurry": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40, pause=0),
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
def test_an_endless_reply_is_cut_off(serve: Serve, script: ServerScript) -> None:
    """Only the total timeout can end a server that keeps sending. The thread ends too."""
    error = failure(client_of(serve(script).url, TimeLimits(idle=10, total=0.1)))
    assert isinstance(error, Unreachable)
    assert "127.0.0.1 cannot be reached (no answer" in error.message
    assert every_request_ends()


@pytest.mark.parametrize("script", [SLOW["header drips"], SLOW["body drips, and closes"]])
def test_an_endless_reply_is_cut_off_under_tls(
    serve: Serve, trusted: Trusted, script: ServerScript
) -> None:
    server = serve(script, tls=trusted.context())
    assert "unreachable" == failure(client_of(server.url, TimeLimits(10, 0.15))).code
    assert every_request_ends()


def test_a_silent_server_is_cut_off_before_the_total_time(serve: Serve) -> None:
    error = failure(client_of(serve(stay_silent).url, TimeLimits(idle=0.1, total=PATIENCE)))
    assert "127.0.0.1 cannot be reached (no answer in time)." == error.message


def test_a_request_can_have_a_shorter_timeout(serve: Serve) -> None:
    """``timeout`` limits the time without a byte, too."""
    client = client_of(serve(stay_silent).url)
    with pytest.raises(Unreachable):
        client.get("/", {}, bearer=Secret(TOKEN), timeout=0.1)


def test_a_tls_handshake_that_stalls_is_cut_off(serve: Serve) -> None:
    server = serve(stay_silent, reads_first=False)
    error = failure(client_of(f"https://127.0.0.1:{server.port}", TimeLimits(0.1, PATIENCE)))
    assert "127.0.0.1 cannot be reached (no answer in time)." == error.message


def test_a_connection_that_is_not_accepted_is_cut_off() -> None:
    """With a full backlog, nothing on loopback answers, as if packets were dropped."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert "unreachable" == failure(client_of(url, TimeLimits(10, 0.15))).code
    assert every_request_ends()


def test_after_a_timeout_the_client_works_again(serve: Serve) -> None:
    scripts = iter([SLOW["body drips"], FIGURES, SLOW["header drips"], FIGURES])

    def take_turns(connection: socket.socket) -> None:
        next(scripts)(connection)

    client = client_of(serve(take_turns).url)
    for _ in range(2):
        with pytest.raises(Unreachable):
            client.get("/", {}, bearer=Secret(TOKEN), timeout=0.15)
        assert 200 == send(client).status


def test_after_a_timeout_nothing_is_sent(trusted: Trusted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TLS handshake cannot be aborted; the request after it must not be sent."""
    timed_out, received = threading.Event(), list[bytes]()

    def shake_hands_late(connection: socket.socket) -> None:
        timed_out.wait(PATIENCE)
        with trusted.context().wrap_socket(connection, server_side=True) as secured:
            received.append(secured.recv(1 << 16))

    # Because of the proxy's pause, the handshake's own timeout ends after the total one.
    with RawServer(shake_hands_late, reads_first=False) as server, Proxy(pause=0.3) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client = client_of(f"https://127.0.0.1:{server.port}", TimeLimits(0.6, 0.6))
        assert "unreachable" == failure(client).code
        timed_out.set()
        assert every_request_ends()
    assert b"" == b"".join(received)


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_a_hung_request_does_not_delay_the_exit_of_the_dashboard(
    command: Command, store: Store, serve: Serve, key: str
) -> None:
    server = serve(stay_silent)
    store.login()
    terminal = command.open(environ={API_URL_VARIABLE: server.url})
    terminal.wait_for(lambda: server.heads != [])
    started = time.monotonic()
    terminal.type(key)
    assert 0 == terminal.wait_for_exit()
    assert time.monotonic() - started < REQUEST_SECONDS


def test_a_hung_request_does_not_delay_the_exit_of_once(
    command: Command, store: Store, serve: Serve
) -> None:
    server = serve(stay_silent)
    store.login()
    terminal = command.open("--once", environ={API_URL_VARIABLE: server.url})
    terminal.wait_for(lambda: server.heads != [])
    started = time.monotonic()
    terminal.type("\x03")
    assert 130 == terminal.wait_for_exit()
    assert time.monotonic() - started < REQUEST_SECONDS


# --- large and broken replies -------------------------------------------------------------------


def bomb(wbits: int) -> bytes:
    """Return 408 kB that decompress to 400 MiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, wbits)
    mebibyte = bytes(1 << 20)
    start = compressor.compress(mebibyte) + compressor.flush(zlib.Z_FULL_FLUSH)
    again = compressor.compress(mebibyte) + compressor.flush(zlib.Z_FULL_FLUSH)
    return start + again * 399


BOMBS = {
    "gzip": bomb(31),
    "deflate": bomb(15),
    "gzip, gzip": gzip.compress(bomb(31)),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_a_decompression_bomb_is_refused(serve: Serve, encoding: str) -> None:
    server = serve(send_bytes(reply(BOMBS[encoding], headers=[("Content-Encoding", encoding)])))
    client = client_of(server.url)
    tracemalloc.start()
    error = failure(client)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "unexpected_response" == error.code
    assert peak < 8 << 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", "unknown"])
def test_a_compressed_reply_is_decompressed(serve: Serve, encoding: str) -> None:
    packed = {"gzip": gzip.compress(USAGE), "deflate": zlib.compress(USAGE)}.get(encoding, USAGE)
    server = serve(send_bytes(reply(packed, headers=[("Content-Encoding", encoding)])))
    assert USAGE == send(client_of(server.url)).body


@pytest.mark.parametrize(("size", "fits"), [(1 << 20, True), ((1 << 20) + 1, False)])
def test_a_reply_may_have_one_mebibyte(serve: Serve, size: int, fits: bool) -> None:
    client = client_of(serve(send_bytes(reply(bytes(size)))).url)
    with contextlib.nullcontext() if fits else pytest.raises(UsageMonitorError, match="1 MiB"):
        assert size == len(send(client).body)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "garbage": b"\x16\x03\x01 what is this\r\n\r\n",
    "another protocol": b"220 mail.example ESMTP\r\n",
    "a newer protocol": b"HTTP/9.9 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "status 7": b"HTTP/1.1 7 Seven\r\n\r\n",
    "half a status": b"HTTP/1.1 20",
    "70 kB of status": b"HTTP/1.1 200 " + b"a" * 70_000 + b"\r\n\r\n",
    "70 kB of header": HEAD + b"X-Long: " + b"a" * 70_000 + b"\r\n\r\n",
    "150 headers": HEAD + b"X-Many: a\r\n" * 150 + b"\r\n",
    "half a body": HEAD + b"Content-Length: 5000\r\n\r\n" + USAGE,
    "no body": HEAD + b"Content-Length: 5000\r\n\r\n",
    "an absurd length": HEAD + b"Content-Length: 1" + b"0" * 40 + b"\r\n\r\n" + USAGE,
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + USAGE,
    "no gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot packed",
    "a chunk of no size": CHUNKED + b"zz\r\n" + USAGE,
    "half a chunk": CHUNKED + b"ffff\r\n" + USAGE,
    "an absurd chunk": CHUNKED + b"f" * 40 + b"\r\n" + USAGE,
    "chunks without end": CHUNKED + b"1\r\n \r\n",
    "70 kB of chunk size": CHUNKED + b"1" * 70_000,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_malformed_reply_counts_as_a_broken_connection(serve: Serve, data: bytes) -> None:
    error = failure(client_of(serve(send_bytes(data)).url))
    assert isinstance(error, Unreachable)
    assert "127.0.0.1 cannot be reached (the connection broke)." == error.message


@pytest.mark.parametrize("start", [b"", HEAD, HEAD + b"Content-Length: 500\r\n\r\n{", CHUNKED])
def test_a_reset_connection_counts_as_unreachable(serve: Serve, start: bytes) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        reset(connection)

    assert "unreachable" == failure(client_of(serve(script).url)).code


@pytest.mark.parametrize("data", [HEAD, HEAD + b"Content-Le", HEAD + b"\r\n" + USAGE[:50]])
def test_a_truncated_body_is_an_unexpected_response(serve: Serve, data: bytes) -> None:
    """In HTTP/1.1 these are complete replies with an empty or shorter body."""
    assert "unexpected_response" == failure(client_of(serve(send_bytes(data)).url)).code


@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"five_hour":' * 50_000, b"9" * 500_000])
def test_a_body_made_to_break_parsers_is_an_unexpected_response(serve: Serve, body: bytes) -> None:
    assert "unexpected_response" == failure(client_of(serve(send_bytes(reply(body))).url)).code


def test_a_refused_connection_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(client_of(f"http://127.0.0.1:{port}"))
    assert "127.0.0.1 cannot be reached (connection refused)." == error.message


def test_an_unknown_host_is_reported(command: Command, store: Store) -> None:
    store.login()
    done = command.run("--once", environ={API_URL_VARIABLE: "https://api.invalid"})
    assert (4, "") == (done.returncode, done.stdout)
    assert "api.invalid cannot be reached (no such host: DNS)." in done.stderr


@pytest.mark.parametrize("url", ["https://a..b", f"https://{'a' * 64}.invalid", "https://*.b"])
def test_an_invalid_host_name_is_reported(url: str) -> None:
    assert "cannot be used" in failure(client_of(url)).message


# --- replies without figures --------------------------------------------------------------------


def problem(kind: str, message: str = "No.") -> bytes:
    return as_bytes({"type": "error", "error": {"type": kind, "message": message}})


NO_JSON = (HTML, b"", b"null", b"[]", b'"error"')
ANY = (*NO_JSON, b"{}", b'{"error": "text"}', problem("api_error"), USAGE)
CODES: list[tuple[str, tuple[bytes, ...], str]] = [
    ("200 OK", NO_JSON, "unexpected_response"),
    ("200 OK", (b'{"welcome": "hotel"}', problem("odd_error")), "unexpected_response"),
    ("200 OK", (problem("not_found_error"), problem("")), "unexpected_response"),
    ("200 OK", (problem("rate_limit_error"), payload("error_429_usage")), "rate_limited"),
    ("200 OK", (problem("authentication_error"),), "unauthorized"),
    ("200 OK", (payload("error_401_expired_2026"),), "credentials_expired"),
    ("200 OK", (payload("error_403_scope_user_profile"),), "missing_scope"),
    ("200 OK", (problem("permission_error"),), "forbidden"),
    ("200 OK", (payload("error_529_overloaded"), problem("api_error")), "server_error"),
    ("204 No Content", (b"",), "unexpected_response"),
    ("206 Partial Content", (USAGE,), "unexpected_response"),
    ("304 Not Modified", (b"",), "unexpected_response"),
    ("400 Bad Request", ANY, "unexpected_response"),
    ("401 Unauthorized", ANY, "unauthorized"),
    ("401 Unauthorized", (payload("error_401_invalid_credentials"),), "unauthorized"),
    ("401 Unauthorized", (payload("error_401_missing_beta_header"),), "unauthorized"),
    ("401 Unauthorized", (payload("error_401_expired_2026"),), "credentials_expired"),
    ("401 Unauthorized", (payload("error_401_expired_legacy"),), "credentials_expired"),
    ("403 Forbidden", NO_JSON, "unexpected_response"),
    ("403 Forbidden", (payload("error_403_scope_user_profile"),), "missing_scope"),
    ("403 Forbidden", (payload("error_403_oauth_org_not_allowed"), b"{}"), "forbidden"),
    ("404 Not Found", ANY, "unexpected_response"),
    ("407 Proxy Authentication Required", ANY, "unexpected_response"),
    ("408 Request Timeout", ANY, "server_error"),
    ("418 I'm a teapot", ANY, "unexpected_response"),
    ("429 Too Many Requests", ANY, "rate_limited"),
    ("500 Internal Server Error", ANY, "server_error"),
    ("502 Bad Gateway", ANY, "server_error"),
    ("503 Service Unavailable", ANY, "server_error"),
    ("511 Network Authentication Required", ANY, "unexpected_response"),
    ("529 Overloaded", ANY, "server_error"),
    ("999 Whatever", ANY, "server_error"),
]


@pytest.mark.parametrize(("status", "bodies", "code"), CODES)
def test_a_status_and_a_body_give_an_error_code(
    serve: Serve, status: str, bodies: tuple[bytes, ...], code: str
) -> None:
    """Only a 401, or an error in JSON, is about the login: network portals answer in HTML."""
    answers = iter(bodies)
    server = serve(lambda connection: connection.sendall(reply(next(answers), status)))
    client = client_of(server.url)
    assert [code] * len(bodies) == [failure(client).code for _ in bodies]


def test_a_challenge_page_is_not_about_the_login(serve: Serve) -> None:
    """A bot filter in front of the API answers with one."""
    server = serve(send_bytes(reply(HTML, "403 Forbidden", [("cf-mitigated", "challenge")])))
    error = failure(client_of(server.url))
    assert ("unexpected_response", True) == (error.code, "login page" in error.hint)


def test_a_profile_fails_as_usage_does(serve: Serve) -> None:
    client = client_of(serve(send_bytes(reply(HTML, "503 Service Unavailable"))).url)
    with pytest.raises(UsageMonitorError) as caught:
        get_profile(client, Secret(TOKEN))
    assert "server_error" == caught.value.code


# --- Retry-After and the clock ------------------------------------------------------------------

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def retry_after(raw: str | None) -> timedelta | None:
    headers = {} if raw is None else {"Retry-After": raw}
    return Reply(429, headers, b"", NOW).retry_after()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("0", timedelta()),
        ("1", SECOND),
        (" 700 ", 700 * SECOND),
        ("0060", 60 * SECOND),
        ("86400", DAY),
        ("86401", DAY + SECOND),
        ("1000000000000", 365 * DAY),
        ("9" * 5000, 365 * DAY),
        (format_datetime(NOW + 5 * SECOND, usegmt=True), 5 * SECOND),
        (format_datetime(NOW + 9 * DAY, usegmt=True), 9 * DAY),
        (format_datetime(NOW - 9 * DAY, usegmt=True), timedelta()),
        ("Sat, 21 Nov 2026 13:19:10 +0100", 600 * SECOND - 590 * SECOND),
        ("Sat, 21 Nov 2026 12:19:10 -0000", 10 * SECOND),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("0x10", None),
        ("NaN", None),
        ("Infinity", None),
        ("soon", None),
        ("٣", None),
        ("²", None),
        ("60, 60", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_unknown(
    raw: str | None, expected: timedelta | None
) -> None:
    assert expected == retry_after(raw)


@given(st.text() | st.datetimes().map(format_datetime) | st.integers().map(str))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Sat, 21 Nov 2026 12:19:10 +99999999")
def test_any_retry_after_is_at_most_a_year(raw: str) -> None:
    found = retry_after(raw)
    assert found is None or timedelta() <= found <= 365 * DAY


def test_a_rate_limit_has_the_time_to_wait(serve: Serve) -> None:
    server = serve(send_bytes(reply(b"", "429 Too Many Requests", [("Retry-After", "700")])))
    error = failure(client_of(server.url))
    assert isinstance(error, RateLimited)
    assert timedelta(seconds=700) == error.retry_after


@pytest.mark.parametrize("ahead", [-7 * DAY, -91 * SECOND, 91 * SECOND, 9999 * SECOND, 20000 * DAY])
def test_the_time_of_a_reply_is_by_the_clock_of_the_api(serve: Serve, ahead: timedelta) -> None:
    date = format_datetime(NOW - ahead, usegmt=True)
    client = client_of(serve(send_bytes(reply(headers=[("Date", date)]))).url)
    assert (NOW - ahead, ahead) == (send(client).at, client.clock_skew)


@pytest.mark.parametrize(
    "date",
    [
        "",
        "0",
        "yesterday",
        format_datetime(NOW - 60 * SECOND, usegmt=True),
        format_datetime(NOW + 60 * SECOND, usegmt=True),
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Sat, 01 Jan 0100 00:00:00 +2359",
        "Sat, 21 Nov 2026 12:19:10 +99999999",
        "Sat, 99 Nov 2026 99:99:99 GMT",
    ],
)
def test_an_implausible_date_does_not_change_the_clock(serve: Serve, date: str) -> None:
    client = client_of(serve(send_bytes(reply(headers=[("Date", date)]))).url)
    assert (NOW, timedelta()) == (send(client).at, client.clock_skew)


def test_each_reply_corrects_the_clock_again(serve: Serve) -> None:
    dates = iter([NOW - DAY, NOW])
    server = serve(
        lambda connection: connection.sendall(
            reply(headers=[("Date", format_datetime(next(dates), usegmt=True))])
        )
    )
    client = client_of(server.url)
    send(client)
    assert (NOW, timedelta()) == (send(client).at, client.clock_skew)


# --- TLS ----------------------------------------------------------------------------------------


class Trusted:
    """The test's own CA, in the file that ``REQUESTS_CA_BUNDLE`` names."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(str(file))

    def context(self, name: str = "127.0.0.1", *, years_ago: int = 0) -> ssl.SSLContext:
        """Return a server's TLS context, with a certificate for a name."""
        start = datetime.now(UTC) - timedelta(days=365 * years_ago + 1)
        certificate = self._ca.issue_cert(
            name, not_before=start, not_after=start + timedelta(days=365)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trusted:
    ca = Trusted(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca.file))
    return ca


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_each_of_these_variables_sets_the_ca(
    serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(variable, str(trusted.file))
    server = serve(FIGURES, tls=trusted.context())
    assert 200 == send(client_of(server.url)).status


def test_the_command_trusts_the_ca_in_ssl_cert_file(
    command: Command, store: Store, serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    store.login()
    body = as_bytes(usage_body(datetime.now(UTC)))
    server = serve(send_bytes(reply(body)), tls=trusted.context())
    environ = {API_URL_VARIABLE: server.url, "SSL_CERT_FILE": str(trusted.file)}
    done = command.run("--once", environ=environ)
    assert (0, "") == (done.returncode, done.stderr)


UNTRUSTED: dict[str, Callable[[Trusted, Trusted], ssl.SSLContext]] = {
    "unknown CA": lambda _, other: other.context(),
    "wrong host": lambda trusted, _: trusted.context("localhost"),
    "expired": lambda trusted, _: trusted.context(years_ago=3),
    "not yet valid": lambda trusted, _: trusted.context(years_ago=-3),
}


@pytest.mark.parametrize("context", UNTRUSTED.values(), ids=UNTRUSTED)
def test_no_token_is_sent_to_an_untrusted_server(
    serve: Serve,
    trusted: Trusted,
    tmp_path: Path,
    context: Callable[[Trusted, Trusted], ssl.SSLContext],
) -> None:
    server = serve(FIGURES, tls=context(trusted, Trusted(tmp_path / "other.pem")))
    error = failure(client_of(server.url))
    expected = "127.0.0.1 cannot be reached (TLS: its certificate is not trusted here)."
    assert expected == error.message
    assert [] == server.heads


def test_a_tls_failure_names_the_ca_in_use(serve: Serve, trusted: Trusted) -> None:
    server = serve(FIGURES, tls=trusted.context("localhost"))
    hint = failure(client_of(server.url)).hint
    assert f"The CA in use is REQUESTS_CA_BUNDLE={trusted.file}." in hint


def test_without_a_variable_the_ca_is_certifis(
    serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    server = serve(FIGURES, tls=trusted.context())
    hint = failure(client_of(server.url)).hint
    assert "The CA in use is certifi's." in hint
    assert "REQUESTS_CA_BUNDLE" in hint


def test_a_ca_files_name_is_shown_as_plain_text(
    serve: Serve, trusted: Trusted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File names may contain escape sequences, and surrogates that cannot be encoded."""
    odd = tmp_path / "\x1b]0;title\x07\udcff.pem"
    odd.write_bytes(trusted.file.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(odd))
    server = serve(FIGURES, tls=trusted.context("localhost"))
    assert failure(client_of(server.url)).hint.isprintable()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "broken"])
def test_a_server_without_tls_is_not_called_untrusted(serve: Serve, secure: bool) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"\x15\x03\x03\0\2\2\x28" if secure else reply(HTML, "400 Bad Request"))

    server = serve(answer, reads_first=False)
    error = failure(client_of(f"https://127.0.0.1:{server.port}"))
    assert "127.0.0.1 cannot be reached (TLS: no secure connection)." == error.message


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_missing_ca_file_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "missing.pem"))
    error = failure(client_of("https://127.0.0.1:1"))
    assert isinstance(error, Unreachable)
    expected = (f"The CA file that {variable} names cannot be read.", True)
    assert expected == (error.message, "unset it" in error.hint)


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\0\xff" * 500])
def test_a_ca_file_without_a_certificate_is_reported(
    serve: Serve, trusted: Trusted, content: bytes
) -> None:
    trusted.file.write_bytes(content)
    server = serve(FIGURES, tls=trusted.context())
    error = failure(client_of(server.url))
    assert "127.0.0.1 cannot be reached (TLS: no secure connection)." == error.message
    assert str(trusted.file) in error.hint


# --- proxies ------------------------------------------------------------------------------------

PROXY_USER = "user:proxy-password"


def with_user(url: str) -> str:
    return url.replace("://", f"://{PROXY_USER}@")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("secure", [False, True], ids=["http proxy", "https proxy"])
def test_https_goes_through_the_proxy(
    serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch, variable: str, secure: bool
) -> None:
    """The proxy sees the target of the request, but not the request."""
    server = serve(FIGURES, tls=trusted.context())
    with Proxy(tls=trusted.context() if secure else None) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        assert 200 == send(client_of(server.url)).status
        assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
    assert CANARY.encode() not in proxy.heads[0]


def test_through_a_proxy_the_callback_before_sending_is_called_once(
    serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(2)  # the document
        connection.sendall(reply(b"{}"))

    server = serve(answer, tls=trusted.context())
    calls = list[int]()
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client_of(server.url).post("/", {}, lambda: calls.append(len(server.heads)))
    assert [0] == calls


def test_the_proxy_receives_its_password(
    serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(FIGURES, tls=trusted.context())
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", with_user(proxy.url))
        send(client_of(server.url))
    assert b"Proxy-Authorization: Basic dXNlcjpwcm94eS1wYXNzd29yZA==" in proxy.heads[0]
    assert b"Proxy-Authorization" not in server.heads[0]


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "*", "example.com, 127.0.0.0/8"])
def test_no_proxy_is_honored(
    serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    server = serve(FIGURES, tls=trusted.context())
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert 200 == send(client_of(server.url)).status
        assert 0 == proxy.connections


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_http_on_loopback_never_goes_through_a_proxy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    """A proxy would see the token unencrypted."""
    server, proxy = serve(FIGURES), serve(FIGURES)
    monkeypatch.setenv(variable, proxy.url)
    url = base_url_from({API_URL_VARIABLE: server.url.replace("http", scheme)})
    assert 200 == send(client_of(url)).status
    assert (1, 0) == (server.connections, proxy.connections)


REFUSALS = ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"]


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_of_the_proxy_is_reported_without_its_password(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    proxy = serve(send_bytes(reply(HTML, status)))
    monkeypatch.setenv("HTTPS_PROXY", with_user(proxy.url))
    error = failure(client_of("https://127.0.0.1:1"))
    assert "127.0.0.1 cannot be reached (the proxy does not connect)." == error.message
    assert "proxy-password" not in error.hint


@pytest.mark.parametrize("script", [send_bytes(b""), reset, send_bytes(b"HTTP/1.1 2")])
def test_a_server_that_hangs_up_behind_a_proxy_is_not_blamed_on_the_proxy(
    serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch, script: ServerScript
) -> None:
    server = serve(script, tls=trusted.context())
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure(client_of(server.url))
    assert "127.0.0.1 cannot be reached (the connection broke)." == error.message


def test_an_untrusted_server_behind_a_proxy_is_not_blamed_on_the_proxy(
    serve: Serve, trusted: Trusted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(FIGURES, tls=Trusted(tmp_path / "other.pem").context())
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure(client_of(server.url))
    assert "its certificate is not trusted here" in error.message


def test_a_missing_proxy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://{PROXY_USER}@127.0.0.1:{port}")
    error = failure(client_of("https://127.0.0.1:1"))
    assert "127.0.0.1 cannot be reached (the proxy does not connect)." == error.message


@pytest.mark.parametrize(
    "proxy",
    [
        "foo://user:proxy-password@127.0.0.1:1",
        "http://user:proxy-password@",
        "http://user:proxy-password@[::1",
        "http://user:proxy-password@127.0.0.1:port",
        "http://user:proxy-password@a..b:1",
        "http://user:proxy-password@a b:1",
    ],
)
def test_an_invalid_proxy_address_is_reported_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = failure(client_of("https://127.0.0.1:1"))
    expected = "127.0.0.1 cannot be reached (its address or the proxy's cannot be used)."
    assert expected == error.message


@pytest.mark.parametrize("script", [stay_silent, drip(b"HTTP/1.1 ", b"2")], ids=["silent", "drips"])
@pytest.mark.parametrize("secure", [False, True], ids=["http proxy", "https proxy"])
def test_a_proxy_that_never_answers_is_cut_off(
    serve: Serve,
    trusted: Trusted,
    monkeypatch: pytest.MonkeyPatch,
    script: ServerScript,
    secure: bool,
) -> None:
    proxy = serve(script, tls=trusted.context() if secure else None)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert "unreachable" == failure(client_of("https://127.0.0.1:1", TimeLimits(10, 0.15))).code
    assert every_request_ends()


@pytest.mark.parametrize("script", [SLOW["body drips"], SLOW["body drips, and closes"]])
def test_an_endless_reply_is_cut_off_behind_an_https_proxy(
    serve: Serve, trusted: Trusted, monkeypatch: pytest.MonkeyPatch, script: ServerScript
) -> None:
    """TLS inside TLS is not a plain socket, and has to be shut down differently."""
    server = serve(script, tls=trusted.context())
    with Proxy(tls=trusted.context()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert "unreachable" == failure(client_of(server.url, TimeLimits(10, 0.3))).code
        assert every_request_ends()


# --- the token ----------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ["\n", "\r\nX-Injected: 1", " ", "\0", "\u2028", "\xff", "漢"])
@pytest.mark.parametrize("at_end", [False, True])
def test_a_token_that_is_invalid_in_a_header_is_not_quoted(
    serve: Serve, odd: str, at_end: bool
) -> None:
    """The libraries quote the whole header in their errors."""
    server = serve(send_bytes(reply(HTML)))
    failure(client_of(server.url), f"{TOKEN}{odd}" if at_end else f"{odd}{TOKEN}")
    assert b"X-Injected" not in b"".join(server.heads)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_command_line_contains_the_token(command: Command, store: Store, serve: Serve) -> None:
    server = serve(stay_silent)
    store.login()
    terminal = command.open(environ={API_URL_VARIABLE: server.url})
    terminal.wait_for(lambda: server.heads != [])
    lines = list[bytes]()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            lines.append(path.read_bytes())
    assert Path(f"/proc/{terminal.pid}/cmdline").read_bytes() in lines
    assert CANARY.encode() not in b"".join(lines)


def test_modules_in_the_working_directory_are_not_imported(
    command: Command, api: Api, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that somebody left in a shared folder must not run with the user's token."""
    for name in ("requests", "rich", "urllib3", "ssl", "json", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(tmp_path)
    store.login()
    done = command.run("--once")
    assert (0, "", 1) == (done.returncode, done.stderr, len(api.usage_requests))
