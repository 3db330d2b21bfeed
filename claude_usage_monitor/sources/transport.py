"""How requests is made to keep to our rules: the token, redirects, and sockets that can be shut."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from claude_usage_monitor.usage.secret import Secret

if TYPE_CHECKING:
    import urllib3


class Bearer(AuthBase):
    """The token as an ``auth`` object: a header would lose to ``.netrc``."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on a request."""
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


class ApiKey(AuthBase):
    """An Admin API key, as an ``auth`` object too: requests then adds no other credential."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the key on a request."""
        request.headers["x-api-key"] = self._key.reveal()
        return request


class Nobody(AuthBase):
    """No credential at all, not even one from ``.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return request


NO_PROXY: Any = {"http": None, "https": None, "all": None}  # None masks the environment's


class Session(requests.Session):
    """A session for one exchange, which can be cut off from another thread."""

    def __init__(self, before_sending: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._watched = (_Adapter(before_sending), _Adapter(before_sending))
        for scheme, adapter in zip(("https://", "http://"), self._watched, strict=True):
            self.mount(scheme, adapter)

    @property
    def connected(self) -> bool:
        """Whether a connection came to be, so that something may have been sent."""
        return any(adapter.connected for adapter in self._watched)

    def cut_off(self) -> None:
        """End what is under way, and let nothing begin."""
        for adapter in self._watched:
            adapter.shut_sockets()

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Know no target: even unfollowed, requests would read a redirect's body whole."""
        del resp
        return None


class _Adapter(HTTPAdapter):
    """An adapter that can shut its sockets, so that a reply that drips for ever ends."""

    def __init__(self, before_sending: Callable[[], None]) -> None:
        self._before_sending = before_sending
        self.connected = False
        self._connections: WeakSet[urllib3.connection.HTTPConnection] = WeakSet()
        self._sockets: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()  # over the two sets
        self._shut = False
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            self._watch(manager)
        return manager

    def _watch(self, manager: urllib3.PoolManager) -> None:
        manager.pool_classes_by_scheme = {
            scheme: self._watched(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def _watched(self, pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
        adapter = self
        plain: Any = pool.ConnectionCls  # that of a SOCKS proxy is one of its own

        class Watched(plain):  # type: ignore[misc]
            def connect(self) -> None:
                adapter.before_connect(self)
                super().connect()
                adapter.after_connect(self)

        class WatchedPool(pool):  # type: ignore[misc,valid-type]
            ConnectionCls = Watched

        return WatchedPool

    def before_connect(self, connection: urllib3.connection.HTTPConnection) -> None:
        """Remember a connection: while it connects, its socket changes."""
        with self._lock:
            self._connections.add(connection)

    def after_connect(self, connection: urllib3.connection.HTTPConnection) -> None:
        """Remember a socket: a connection lets go of it at a reply's head, not at its end.

        Nothing is sent any more once the sockets were shut: a TLS handshake survives that.
        """
        with self._lock:
            self._sockets.add(connection.sock)
            late = self._shut
        if late:
            raise ConnectionAbortedError
        self._before_sending()
        self.connected = True

    def shut_sockets(self) -> None:
        """End every exchange under way, and let none begin."""
        with self._lock:
            self._shut = True
            found = {*self._sockets, *(connection.sock for connection in self._connections)}
        for sock in found - {None}:
            with contextlib.suppress(OSError):  # it is closed already
                # Of the plain socket, also under TLS: no farewell that could block. TLS inside
                # TLS is no socket, but has one.
                socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)
