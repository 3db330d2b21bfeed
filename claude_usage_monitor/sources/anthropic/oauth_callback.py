"""The loopback address that the browser comes back to after a login (RFC 8252).

Anybody on this computer, and any web page in the browser, can knock there. So only a GET of the
one path under a name of this computer counts, with the state that nobody else knows; everything
else is answered and forgotten. Browsers also open connections they never use: those hold nobody
back. Nothing is ever logged: the code is in the request line.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from html import escape
from http import HTTPStatus
from typing import NamedTuple, Self
from urllib.parse import parse_qsl

from claude_usage_monitor.errors import LoginFailed
from claude_usage_monitor.sources.claude_code.credentials_file import TOKEN_PATTERN
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.usage.secret import Secret

PATH = "/callback"
MOST_CONNECTIONS = 64  # at once; one more, and the oldest has to go
LONGEST_CONNECTION = 5.0  # seconds, whatever it does
LONGEST_HEAD = 16 << 10  # bytes
_BACKLOG = 512  # not yet accepted; one more would be put off by seconds
_MOST_FIELDS = 32  # in a query; a callback has two or three
_PORTS_TO_TRY = 20  # until one is free under both addresses
_PAUSE = 0.02  # seconds, after a connection that could not be accepted
_LONGEST_END = 2.0  # seconds that ending may take

_REQUEST_LINE = re.compile(r"([A-Z]{1,20}) ([!-~]+) HTTP/1\.[01]")
_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Security-Policy: default-src 'none'\r\n"
    "Cache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Connection: close\r\n"
    "Allow: GET\r\n"
)

Outcome = Secret | LoginFailed


class _Page(NamedTuple):
    status: HTTPStatus
    text: str

    def as_bytes(self) -> bytes:
        body = (
            "<!doctype html><meta charset=utf-8><title>claude-usage-monitor</title>"
            f"<p>{escape(self.text)}</p>\n"
        ).encode()
        head = f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n{_HEADERS}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class CallbackListener:
    """Waits for the browser on a random port of this computer, on a thread of its own.

    ``tell`` is called on that thread, once at most: with the code, or with the LoginFailed that
    the login service sent instead.
    """

    def __init__(self, state: str, tell: Callable[[Outcome], None]) -> None:
        """Start to listen. Raises LoginFailed when no port can be had."""
        self._state = state.encode()
        self._tell = tell
        self._told = False
        self._connections: dict[_Connection, None] = {}  # in order of their coming
        sockets = _listening_sockets()
        self.port: int = sockets[0].getsockname()[1]
        self.redirect_uri = f"http://localhost:{self.port}{PATH}"
        """The address that the login service sends the browser to."""
        self._names = {f"{name}:{self.port}" for name in ("localhost", "127.0.0.1", "[::1]")}
        self._coming: set[asyncio.Task[object]] = set()  # connections that are being accepted
        self._loop = asyncio.SelectorEventLoop()
        # Its words would hold parts of requests, and land in the middle of a terminal.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._end = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(sockets,), name="login callback", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End, with the port free again."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_LONGEST_END)

    def _run(self, sockets: list[socket.socket]) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve(sockets))

    async def _serve(self, sockets: list[socket.socket]) -> None:
        for each in sockets:
            self._loop.add_reader(each, self._accept, each)
        await self._end.wait()
        for each in sockets:
            self._loop.remove_reader(each)
            each.close()
        if self._coming:
            await asyncio.wait(self._coming)
        for connection in list(self._connections):
            connection.drop()
        await asyncio.sleep(0)  # closing a transport takes one more turn

    def _accept(self, listening: socket.socket) -> None:
        try:
            made, _ = listening.accept()
        except BlockingIOError:  # it has gone already
            return
        except OSError:  # too many files are open
            time.sleep(_PAUSE)
            return
        coming = self._loop.create_task(
            self._loop.connect_accepted_socket(lambda: _Connection(self), made)
        )
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)

    # --- what its connections ask it --------------------------------------------------------

    def opened(self, connection: _Connection) -> None:
        """Count a connection in; the oldest makes room when there are too many."""
        if len(self._connections) >= MOST_CONNECTIONS:
            next(iter(self._connections)).drop()
        self._connections[connection] = None

    def closed(self, connection: _Connection) -> None:
        """Count a connection out."""
        self._connections.pop(connection, None)

    def page_for(self, head: bytes) -> _Page:
        """Return the answer to a request, and tell its outcome if it is the awaited one."""
        line, *fields = head.decode("latin-1").split("\r\n")
        parts = _REQUEST_LINE.fullmatch(line)
        if parts is None:
            return _Page(HTTPStatus.BAD_REQUEST, "This is no request.")
        hosts = [
            value.strip().lower()
            for name, _, value in (field.partition(":") for field in fields)
            if name.lower() == "host"
        ]
        if len(hosts) != 1 or hosts[0] not in self._names:
            return _Page(HTTPStatus.FORBIDDEN, "This address is for this computer alone.")
        method, target = parts.groups()
        if method != "GET":
            return _Page(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is understood here.")
        path, _, query = target.partition("?")
        if path != PATH:
            return _Page(HTTPStatus.NOT_FOUND, "There is nothing here.")
        outcome = outcome_of(fields_of(query), self._state)
        if outcome is None:
            return _Page(
                HTTPStatus.BAD_REQUEST, "This is not the answer to the login that is under way."
            )
        if self._told:
            return _Page(HTTPStatus.GONE, "The answer to this login had arrived before.")
        self._told = True
        self._tell(outcome)
        came = outcome.message if isinstance(outcome, LoginFailed) else "The answer has arrived."
        more = "You can close this page; the terminal says how it goes on."
        return _Page(HTTPStatus.OK, f"{came} {more}")


def fields_of(query: str) -> Mapping[str, str]:
    """Return the fields of a URL's query; none, when one is there twice, or too many are."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else {}


def outcome_of(fields: Mapping[str, str], state: bytes) -> Outcome | None:
    """Return what a redirect's fields tell; ``None`` when they are of no or another login."""
    theirs = fields.get("state", "").encode(errors="surrogatepass")
    if not hmac.compare_digest(theirs, state):
        return None
    if "error" in fields:
        return _denied(fields)
    code = fields.get("code", "")
    return Secret(code) if TOKEN_PATTERN.fullmatch(code) else None


def _denied(fields: Mapping[str, str]) -> LoginFailed:
    kind, words = clean(fields["error"], 60), clean(fields.get("error_description", ""))
    said = ": ".join(part for part in (kind, words) if part)
    if kind == "access_denied":
        return LoginFailed(f"The login was denied ({said}).")
    return LoginFailed(f"The login service ended the login ({said or 'no reason given'}).")


class _Connection(asyncio.Protocol):
    """One connection: a request's head in, one page out, and no longer than it may take."""

    def __init__(self, listener: CallbackListener) -> None:
        self._listener = listener
        self._head = bytearray()
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - it is no pipe
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(LONGEST_CONNECTION, self.drop)
        self._listener.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._timer.cancel()
        self._listener.closed(self)

    def drop(self) -> None:
        """End at once."""
        self._listener.closed(self)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return  # read on, unheeded: closing now could take the page back
        self._head += data[: LONGEST_HEAD + 1]
        head, end, _ = self._head.partition(b"\r\n\r\n")
        if end and len(head) <= LONGEST_HEAD:
            self._say(self._listener.page_for(bytes(head)))
        elif len(self._head) > LONGEST_HEAD:
            whole_line = b"\r\n" in self._head
            status = 431 if whole_line else 414
            self._say(_Page(HTTPStatus(status), "This request is too long."))

    def _say(self, page: _Page) -> None:
        self._answered = True
        self._head.clear()
        self._transport.write(page.as_bytes())
        if self._transport.can_write_eof():
            self._transport.write_eof()


# --- the port -----------------------------------------------------------------------------------

_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_LACKING = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def _listening_sockets() -> list[socket.socket]:
    """Return sockets that listen on one port of 127.0.0.1 and, where there is IPv6, of ::1.

    Raises LoginFailed when there is no such port.
    """
    for _ in range(_PORTS_TO_TRY):
        found: list[socket.socket] = []
        try:
            for family, address in _LOOPBACK:
                port = found[0].getsockname()[1] if found else 0
                found += _listening(family, address, port)
        except OSError:
            for each in found:
                each.close()
        else:
            if found:
                return found
    raise LoginFailed("No port of this computer is free for the browser to come back to.")


def _listening(family: socket.AddressFamily, address: str, port: int) -> list[socket.socket]:
    """Return a socket that listens; none where this computer has no such address."""
    with contextlib.ExitStack() as undo:
        try:
            made = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            if sys.platform == "win32":  # else another program could listen on the same port too
                made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            made.bind((address, port))
        except OSError as error:
            if error.errno in _LACKING:
                return []
            raise
        made.settimeout(0)
        made.listen(_BACKLOG)
        undo.pop_all()
        return [made]
