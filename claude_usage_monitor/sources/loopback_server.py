"""A small web server for the browser of this computer: loopback only, GET only, bounded.

Every program on this computer can connect to it, and web pages can make the browser connect. So it
answers only requests for a name of this computer, limits their size, time and number, never quotes
a request in a page, and logs nothing.
"""

from __future__ import annotations

import errno
import io
import socket
import sys
import threading
import time
from collections.abc import Callable
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

from claude_usage_monitor.light_typing import Any, NamedTuple

MAX_CONNECTIONS = 64  # on each address; a browser opens a handful
CONNECTION_TIMEOUT = 5.0  # seconds for a whole request, however slowly a client sends it
MAX_HEAD = 16 << 10  # bytes of request line and headers: a browser may send many cookies
_POLL_INTERVAL = 0.05  # seconds between checks for `close`
_PORT_ATTEMPTS = 20  # until a port is free on both addresses

_ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_NO_SUCH_ADDRESS = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
    "Allow": "GET",
}


class Page(NamedTuple):
    """What the browser shows, and the URL it is redirected to, if any."""

    status: HTTPStatus
    text: str
    location: str | None = None


class LoopbackServer:
    """Serves pages on one random port of 127.0.0.1 and ::1, from `start` to `close`.

    Browsers use either address for ``localhost``. If one were free, another program could receive
    their requests there. ``page_for`` is called with the path and query of a GET request, on a
    thread of the server.
    """

    def __init__(self, page_for: Callable[[str], Page]) -> None:
        """Reserve a port. Raises OSError when none is free."""
        self._servers = _bind(page_for)
        self.port = self._servers[0].port

    def start(self) -> None:
        """Start answering requests."""
        for server in self._servers:
            threading.Thread(
                target=server.serve_forever, args=(_POLL_INTERVAL,), name="loopback", daemon=True
            ).start()

    def close(self) -> None:
        """Stop accepting requests, and free the port."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _bind(page_for: Callable[[str], Page]) -> list[_Server]:
    """Return a server for each loopback address that this computer has, all on one port."""
    for _ in range(_PORT_ATTEMPTS):
        servers: list[_Server] = []
        try:
            for family, host in _ADDRESSES:
                port = servers[0].port if servers else 0
                try:
                    servers.append(_Server(family, host, port, page_for))
                except OSError as error:
                    if error.errno not in _NO_SUCH_ADDRESS:
                        raise
        except OSError:  # the port is in use on the second address
            for server in servers:
                server.server_close()
        else:
            if servers:
                return servers
    raise OSError(errno.EADDRINUSE, "no port is free")


class _Server(ThreadingTCPServer):
    """The server on one address, with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128  # pending connections; the kernel delays further ones by seconds

    def __init__(
        self,
        family: socket.AddressFamily,
        host: str,
        port: int,
        page_for: Callable[[str], Page],
    ) -> None:
        self.address_family = family
        self.page_for = page_for
        self._free_connections = threading.Semaphore(MAX_CONNECTIONS)
        super().__init__((host, port), _Handler)
        self.port: int = self.server_address[1]

    def server_bind(self) -> None:
        if sys.platform == "win32":  # otherwise another program could use the same port
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Start a thread for a connection, or close it if there are too many."""
        if self._free_connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free_connections.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: a client may disconnect, and a traceback may quote its request."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one request with one page."""

    server: _Server

    def handle(self) -> None:
        self._deadline = time.monotonic() + CONNECTION_TIMEOUT
        head = b""
        while b"\r\n\r\n" not in head and len(head) <= MAX_HEAD:
            data = self._receive()
            if not data:
                return
            head += data
        if len(head) <= MAX_HEAD:
            self.rfile = io.BufferedReader(io.BytesIO(head))
            self.handle_one_request()
        else:
            self.send_error(431 if b"\r\n" in head else 414)
        self.request.shutdown(socket.SHUT_WR)
        while self._receive():
            pass  # closing a connection with unread data would discard the page

    def _receive(self) -> bytes:
        self.request.settimeout(max(self._deadline - time.monotonic(), 0.001))
        data: bytes = self.request.recv(1 << 14)
        return data

    def do_GET(self) -> None:
        names = {f"{name}:{self.server.port}" for name in ("localhost", "127.0.0.1", "[::1]")}
        hosts = self.headers.get_all("Host", [])
        if len(hosts) == 1 and hosts[0].strip().lower() in names:
            self._send(self.server.page_for(self.path))
        else:
            self._send(Page(HTTPStatus.FORBIDDEN, "This address is for this computer only."))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that `http.server` does not accept."""
        del message, explain  # they quote the request
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == 501 else HTTPStatus(code)
        self._send(Page(status, "This request is not supported."))

    def _send(self, page: Page) -> None:
        title = "<!doctype html><meta charset=utf-8><title>claude-usage-monitor</title>"
        body = f"{title}<p>{escape(page.text)}</p>\n".encode()
        location = {} if page.location is None else {"Location": page.location}
        self.request_version = "HTTP/1.1"  # also answer HTTP/0.9 with a status line
        self.send_response_only(page.status)
        for name, value in {**_HEADERS, **location, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Log nothing."""
