"""Requests to one HTTP API, bounded in time and size. Failures are raised as our errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
from requests.utils import default_headers

from claude_usage_monitor.errors import UnexpectedResponse, Unreachable
from claude_usage_monitor.sources.connection_errors import REQUEST_ERRORS, CaFile, unreachable
from claude_usage_monitor.sources.reply import Reply, http_date
from claude_usage_monitor.sources.transport import Exchange
from claude_usage_monitor.threads import run_in_thread
from claude_usage_monitor.usage.secret import Secret

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")  # the first one set wins

MAX_BODY = 1 << 20  # bytes, decompressed; the largest real reply is under 10 KiB
_CHUNK = 1 << 16  # bytes
_CLOCK_TOLERANCE = timedelta(seconds=90)  # a smaller skew changes no figure on the screen
_MAX_CLOCK_SKEW = timedelta(days=36525)  # a Date header that differs by more is invalid
_NOT_IN_A_HEADER = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a request may take, in seconds.

    ``idle`` limits the time without a byte, ``total`` everything from the DNS lookup to the last
    byte.
    """

    idle: float = 10.0
    total: float = 20.0


class HttpClient:
    """Sends requests to one API, each on a new connection.

    Requests are minutes apart. A connection that stays open for so long may die unnoticed, and the
    next request would hang on it.
    """

    def __init__(
        self,
        base_url: str,
        user_agent: str,
        clock: Callable[[], datetime],
        environ: Mapping[str, str],
        limits: TimeLimits = TimeLimits(),
    ) -> None:
        self._base_url = base_url
        self._user_agent = _NOT_IN_A_HEADER.sub("", user_agent).strip()
        self._clock = clock
        self._ca_file = next(
            (CaFile(name, environ[name]) for name in CA_VARIABLES if environ.get(name)), None
        )
        self._limits = limits
        self.clock_skew = timedelta()
        """How far this computer's clock is ahead of the API's, according to the last reply."""

    @property
    def host(self) -> str:
        """The API's host name."""
        return urlsplit(self._base_url).hostname or self._base_url

    def get(  # noqa: PLR0913 - a request has many parts
        self,
        path: str,
        headers: Mapping[str, str],
        *,
        bearer: Secret | None = None,
        api_key: Secret | None = None,
        query: Sequence[tuple[str, str]] = (),
        timeout: float | None = None,
        max_bytes: int = MAX_BODY,
    ) -> Reply:
        """Return the reply, of any status, within ``timeout`` seconds.

        The request carries a ``bearer`` token or an ``api_key``. Raises Unreachable when no
        complete reply arrived in time, UnexpectedResponse when it is larger than ``max_bytes``.
        """
        sent_headers = dict(headers)
        if bearer is not None:
            sent_headers["Authorization"] = f"Bearer {bearer.reveal()}"
        if api_key is not None:
            sent_headers["x-api-key"] = api_key.reveal()
        request = requests.Request(
            "GET", self._base_url + path, headers=sent_headers, params=list(query)
        )
        return self._exchange(Exchange(), request, timeout or self._limits.total, max_bytes)

    def post(
        self, path: str, document: Mapping[str, str], before_sending: Callable[[], None]
    ) -> Reply:
        """Post a JSON document and return the reply, of any status.

        ``before_sending`` is called when the connection is established, before the first byte of
        the request; if it raises, nothing is sent. Raises as `get` does; ``sent`` of the error says
        whether the server may have received the request.
        """
        request = requests.Request("POST", self._base_url + path, json=document)
        return self._exchange(Exchange(before_sending), request, self._limits.total, MAX_BODY)

    def _exchange(
        self, exchange: Exchange, request: requests.Request, timeout: float, max_bytes: int
    ) -> Reply:
        """Send a request in a separate thread, and stop waiting for it after ``timeout``.

        No timeout of requests covers the DNS lookup, or a server that never stops sending.
        """
        future = run_in_thread(lambda: self._send(exchange, request, timeout, max_bytes), "http")
        try:
            error = future.exception(timeout)
        except TimeoutError:
            exchange.abort()
            error = Unreachable(f"{self.host} cannot be reached (no answer within {timeout:g} s).")
        if error is None:
            status, headers, body = future.result()
            return Reply(status, headers, body, self._api_time(headers))
        if isinstance(error, REQUEST_ERRORS):
            error = unreachable(error, self.host, self._ca_file, sent=exchange.connected)
        if isinstance(error, Unreachable | UnexpectedResponse):
            error.sent = exchange.connected
        raise error from None

    def _send(
        self, exchange: Exchange, request: requests.Request, timeout: float, max_bytes: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        request.headers = {
            "Accept": "application/json",
            "Accept-Encoding": default_headers()["Accept-Encoding"],
            "Connection": "close",
            "User-Agent": self._user_agent,
            **request.headers,
        }
        idle = min(self._limits.idle, timeout)
        ca_file = self._ca_file.path if self._ca_file else None
        with (
            contextlib.closing(exchange),
            exchange.fetch(request, idle_timeout=idle, ca_file=ca_file) as response,
        ):
            return response.status_code, response.headers, _bounded_body(response, max_bytes)

    def _api_time(self, headers: Mapping[str, str]) -> datetime:
        """Return the API's current time, and store how far our clock is ahead of it."""
        now = self._clock()
        date = http_date(headers.get("Date", ""))
        skew = timedelta() if date is None else now - date
        self.clock_skew = skew if _CLOCK_TOLERANCE < abs(skew) < _MAX_CLOCK_SKEW else timedelta()
        return now - self.clock_skew


def _bounded_body(response: requests.Response, max_bytes: int) -> bytes:
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > max_bytes:
            raise UnexpectedResponse(f"The reply is larger than {max_bytes >> 20} MiB.")
    return bytes(body)
