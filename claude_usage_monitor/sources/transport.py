"""One HTTP exchange over requests, which another thread can abort.

The exchange uses an adapter of requests without its `requests.Session`. A session would replace the
token with the password in ``.netrc``, follow redirects, read their bodies whole and store cookies.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from claude_usage_monitor.light_typing import Any


class Exchange(HTTPAdapter):
    """Sends one request. ``before_sending`` is called before its first byte is sent.

    It keeps track of its connections and sockets, so that `abort` can shut them down.
    """

    def __init__(self, before_sending: Callable[[], None] = lambda: None) -> None:
        self._before_sending = before_sending
        self.connected = False
        """Whether a connection was established, so that the request may have been sent."""
        self._connections: WeakSet[urllib3.connection.HTTPConnection] = WeakSet()
        self._sockets: WeakSet[Any] = WeakSet()
        self._aborted = False
        self._lock = threading.Lock()  # guards the three fields above
        super().__init__(max_retries=0)

    def fetch(
        self, request: requests.Request, *, idle_timeout: float, ca_file: str | None
    ) -> requests.Response:
        """Send the request and return the response, its body unread.

        An ``http`` URL never uses a proxy: it is on loopback, and a proxy would see its token.
        """
        prepared = request.prepare()
        url = prepared.url or ""
        return self.send(
            prepared,
            stream=True,
            timeout=idle_timeout,
            verify=ca_file or True,
            proxies={} if urlsplit(url).scheme == "http" else get_environ_proxies(url),
        )

    def abort(self) -> None:
        """Shut down every socket, and prevent connections from sending more."""
        with self._lock:
            self._aborted = True
            sockets = {*self._sockets, *(connection.sock for connection in self._connections)}
        for sock in sockets - {None}:
            with contextlib.suppress(OSError):  # already closed
                # Shut down the plain socket: TLS would send a last message, which can block.
                # urllib3's TLS inside TLS is not a socket, but has one.
                socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)

    # --- hooks that requests calls ---------------------------------------------------------------

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in requests
        """Make the manager of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._track(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - as in requests
        """Return the manager of connections through a proxy."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            self._track(manager)
        return manager

    def build_response(
        self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse
    ) -> requests.Response:
        """Return the response, without the cookies that the replaced method would parse.

        The standard library prints a traceback for some cookies.
        """
        response = requests.Response()
        response.request = req
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        return response

    def _track(self, manager: urllib3.PoolManager) -> None:
        """Make every connection of a pool manager report to this exchange."""
        manager.pool_classes_by_scheme = {
            scheme: self._tracking(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def _tracking(self, pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
        exchange = self
        connection_class: Any = pool.ConnectionCls  # SOCKS proxies have their own

        class TrackedConnection(connection_class):  # type: ignore[misc]  # its class is known at run time
            def connect(self) -> None:
                exchange.before_connect(self)
                super().connect()
                exchange.after_connect(self)

        class TrackedPool(pool):  # type: ignore[misc,valid-type]
            ConnectionCls = TrackedConnection

        return TrackedPool

    def before_connect(self, connection: urllib3.connection.HTTPConnection) -> None:
        """Track a connection, because it replaces its socket while it connects."""
        with self._lock:
            self._connections.add(connection)

    def after_connect(self, connection: urllib3.connection.HTTPConnection) -> None:
        """Track a socket, because its connection drops it once the headers have arrived.

        Raises if the exchange was aborted meanwhile: a TLS handshake survives `abort`.
        """
        with self._lock:
            self._sockets.add(connection.sock)
            aborted = self._aborted
        if aborted:
            raise ConnectionAbortedError
        self._before_sending()
        self.connected = True
