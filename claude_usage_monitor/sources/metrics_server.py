"""The HTTP endpoint for Prometheus: one path, GET and HEAD, and only for requests meant for it.

A web page can make a browser send requests to this computer under a domain name of the page's
owner. Such a request has that name in its Host header, and is refused.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from socketserver import TCPServer
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.light_typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/metrics"
_CONNECTION_TIMEOUT = 10.0  # seconds without data from a client; a scrape takes milliseconds
_POLL_INTERVAL = 0.05  # seconds between checks for `close`
_LOCAL_ADDRESS = "claude_usage_monitor.local_address"  # where a connection came in


class Gauge(Protocol):
    """A metric: its full name, its help text, and its samples as labels and value."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as the class says
    @property
    def help(self) -> str: ...  # noqa: D102 - as the class says
    @property
    def samples(self) -> Sequence[tuple[Mapping[str, str], float]]: ...  # noqa: D102 - as the class says


class Tls(NamedTuple):
    """The files of a server's certificate, and of the authority of its clients' certificates."""

    certfile: str
    keyfile: str
    client_cafile: str | None = None


class MetricsServer:
    """Serves the gauges that ``collect`` returns, from `start` to `close`.

    ``hosts`` are further names that clients may use for this computer. Raises OSError if the
    address is in use or not of this computer, InvalidSetting if a file of ``tls`` is unusable.
    """

    def __init__(
        self,
        address: tuple[str, int],
        collect: Callable[[], Iterable[Gauge]],
        hosts: Iterable[str] = (),
        tls: Tls | None = None,
    ) -> None:
        registry = CollectorRegistry()
        registry.register(_Collector(collect))
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        context = None if tls is None else _tls_context(tls)
        self._server = _Server(family, address, context)
        self._server.set_app(_restricted(make_wsgi_app(registry), frozenset(hosts)))
        self.port = self._server.server_port

    def start(self) -> None:
        """Start answering requests."""
        threading.Thread(
            target=self._server.serve_forever, args=(_POLL_INTERVAL,), name="metrics", daemon=True
        ).start()

    def close(self) -> None:
        """Stop accepting requests, and free the port."""
        self._server.shutdown()
        self._server.server_close()


class _Collector(Collector):
    def __init__(self, collect: Callable[[], Iterable[Gauge]]) -> None:
        self._collect = collect

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing: which metrics exist is known at a scrape."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges of this moment."""
        for gauge in self._collect():
            family = GaugeMetricFamily(gauge.name, gauge.help)
            for labels, value in gauge.samples:
                family.add_sample(gauge.name, dict(labels), value)
            yield family


def _restricted(metrics: WSGIApplication, hosts: frozenset[str]) -> WSGIApplication:
    """Return an application that passes GET and HEAD requests for the path to ``metrics``."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = _response(metrics, hosts, environ)
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return application


def _response(
    metrics: WSGIApplication, hosts: frozenset[str], environ: WSGIEnvironment
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and body of the response, as for GET."""
    if not _is_for_this_computer(environ, hosts):
        refusal = HTTPStatus.FORBIDDEN
        text = "This name is not allowed. Add it to `hosts` in the [serve] section."
    elif environ["PATH_INFO"] != PATH:
        refusal, text = HTTPStatus.NOT_FOUND, f"The metrics are at {PATH}."
    elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        refusal, text = HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are supported."
    else:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start(
            status: str, headers: list[tuple[str, str]], *_: object
        ) -> Callable[[bytes], None]:
            started.append((status, headers))
            return lambda _: None  # the old way to write a body, which this application never uses

        body = b"".join(metrics({**environ, "REQUEST_METHOD": "GET"}, start))
        return *started[0], body
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Allow", "GET, HEAD")]
    return f"{refusal.value} {refusal.phrase}", headers, f"{text}\n".encode()


def _is_for_this_computer(environ: WSGIEnvironment, hosts: frozenset[str]) -> bool:
    try:
        name = urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name in hosts:
        return True
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(name)
        return address.is_loopback or address == ipaddress.ip_address(environ[_LOCAL_ADDRESS])
    return False


def _tls_context(tls: Tls) -> ssl.SSLContext:
    for key, path in tls._asdict().items():  # the errors of `ssl` do not name the file
        if path is not None:
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise _unusable_file(f"{key} {path}: {error.strerror}.") from error
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.client_cafile)
    except ssl.SSLError as error:
        raise _unusable_file(f"client_cafile {tls.client_cafile}: no PEM certificate.") from error
    try:
        context.load_cert_chain(tls.certfile, tls.keyfile)
    except ssl.SSLError as error:
        files = f"certfile {tls.certfile}, keyfile {tls.keyfile}"
        raise _unusable_file(f"{files}: not a PEM certificate and its key.") from error
    if tls.client_cafile is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _unusable_file(message: str) -> InvalidSetting:
    return InvalidSetting(message, "Correct it in the section [serve] of config.toml.")


class _Server(ThreadingWSGIServer):
    """A thread for each connection; with TLS, also for its handshake."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, family: socket.AddressFamily, address: tuple[str, int], tls: ssl.SSLContext | None
    ) -> None:
        self.address_family = family
        self._tls = tls
        WSGIServer.__init__(self, address, _Handler)

    def server_bind(self) -> None:
        # WSGIServer's own looks up the name of the computer, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(_CONNECTION_TIMEOUT)
        if self._tls is None:
            return connection, address
        encrypted = self._tls.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return encrypted, address

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: a client may disconnect, or not speak TLS."""


class _Handler(WSGIRequestHandler):
    timeout = _CONNECTION_TIMEOUT

    def get_environ(self) -> dict[str, Any]:
        hosts = self.headers.get_all("Host", [])
        environ = super().get_environ()
        environ["HTTP_HOST"] = hosts[0].strip().lower() if len(hosts) == 1 else ""
        local_address: str = self.connection.getsockname()[0]
        return {**environ, _LOCAL_ADDRESS: local_address}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Log nothing."""
