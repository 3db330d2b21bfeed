"""requests, restricted: no credential but ours, no redirects, no cookies, sockets we can close."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict

from claude_usage_monitor.usage.secret import Secret


class NoAuth(AuthBase):
    """No credential, not even one from ``.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request unchanged."""
        return request


class SecretHeader(AuthBase):
    """A header with a token or key: as an ``auth`` object it takes precedence over ``.netrc``."""

    def __init__(self, name: str, secret: Secret, prefix: str = "") -> None:
        self._name = name
        self._secret = secret
        self._prefix = prefix

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header to a request."""
        request.headers[self._name] = self._prefix + self._secret.reveal()
        return request


class _NoCookies(RequestsCookieJar):
    """Ignores every cookie: the standard library prints a traceback for an invalid one."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Store nothing."""


_NO_PROXY: Any = {"http": None, "https": None, "all": None}  # overrides the environment


class Session(requests.Session):
    """A session for one request, which another thread can abort."""

    def __init__(self, before_sending: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.cookies = _NoCookies()
        self._adapters = (_Adapter(before_sending), _Adapter(before_sending))
        for scheme, adapter in zip(("https://", "http://"), self._adapters, strict=True):
            self.mount(scheme, adapter)

    def fetch(
        self, request: requests.Request, *, idle_timeout: float, ca_file: str | None
    ) -> requests.Response:
        """Send a request and return the response, its body unread.

        An ``http`` URL is on loopback, and a proxy would see its token: it never uses one.
        """
        prepared = self.prepare_request(request)
        url = prepared.url or ""
        proxies = _NO_PROXY if urlsplit(url).scheme == "http" else {}
        settings = self.merge_environment_settings(
            url, proxies, stream=True, verify=ca_file or True, cert=None
        )
        return self.send(prepared, timeout=idle_timeout, allow_redirects=False, **settings)

    @property
    def connected(self) -> bool:
        """Whether a connection was established, so that the request may have been sent."""
        return any(adapter.connected for adapter in self._adapters)

    def abort(self) -> None:
        """End the request, and do not let it send anything more."""
        for adapter in self._adapters:
            adapter.abort()

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return no target: otherwise requests reads the whole body of a redirect."""
        del resp
        return None


class _Adapter(HTTPAdapter):
    """An adapter that keeps track of its sockets, to shut them down from another thread."""

    def __init__(self, before_sending: Callable[[], None]) -> None:
        self._before_sending = before_sending
        self.connected = False
        self._connections: WeakSet[urllib3.connection.HTTPConnection] = WeakSet()
        self._sockets: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()  # guards _connections, _sockets and _aborted
        self._aborted = False
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*args, **kwargs)
        self._track(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if is_new:
            self._track(manager)
        return manager

    def build_response(
        self, req: requests.PreparedRequest, resp: urllib3.BaseHTTPResponse
    ) -> requests.Response:
        """Return the response. The method that this replaces would also read its cookies."""
        response = requests.Response()
        response.request, response.url = req, req.url or ""
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        return response

    def _track(self, manager: urllib3.PoolManager) -> None:
        """Let every connection of a pool manager report to this adapter."""
        manager.pool_classes_by_scheme = {
            scheme: self._tracking(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def _tracking(self, pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
        adapter = self
        connection_class: Any = pool.ConnectionCls  # SOCKS proxies have their own

        class TrackedConnection(connection_class):  # type: ignore[misc]
            def connect(self) -> None:
                adapter.before_connect(self)
                super().connect()
                adapter.after_connect(self)

        class TrackedPool(pool):  # type: ignore[misc,valid-type]
            ConnectionCls = TrackedConnection

        return TrackedPool

    def before_connect(self, connection: urllib3.connection.HTTPConnection) -> None:
        """Remember a connection: while it connects, it replaces its socket."""
        with self._lock:
            self._connections.add(connection)

    def after_connect(self, connection: urllib3.connection.HTTPConnection) -> None:
        """Remember a socket: its connection forgets it once the headers have arrived.

        Raises if the request was aborted meanwhile: a TLS handshake survives `abort`.
        """
        with self._lock:
            self._sockets.add(connection.sock)
            aborted = self._aborted
        if aborted:
            raise ConnectionAbortedError
        self._before_sending()
        self.connected = True

    def abort(self) -> None:
        """Shut down every socket, and let no connection send anything."""
        with self._lock:
            self._aborted = True
            sockets = {*self._sockets, *(connection.sock for connection in self._connections)}
        for sock in sockets - {None}:
            with contextlib.suppress(OSError):  # it is closed already
                # Shut down the plain socket: TLS would send a last message, which can block.
                # urllib3's TLS inside TLS is not a socket, but has one.
                socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)
