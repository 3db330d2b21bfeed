"""One request to the API: bounded in time and size, and every failure one of our errors.

What requests does by itself and must not here: replace the token with ``.netrc``'s password (an
``auth=`` object prevents that), follow redirects and read their bodies whole, wait for ever for
a server that drips bytes, unpack a reply of any size, and raise a dozen kinds of exceptions.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

import requests
import urllib3

from claude_usage_monitor.errors import (
    UnexpectedResponse,
    Unreachable,
    UsageMonitorError,
)
from claude_usage_monitor.sources.text import clean
from claude_usage_monitor.sources.transport import NO_PROXY, Nobody, Session

if TYPE_CHECKING:
    from requests.auth import AuthBase

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")  # the first set one counts

MAX_BODY = 1 << 20  # bytes, unpacked; the largest real reply is under 10 KiB
_CHUNK = 1 << 16
_CLOCK_TOLERANCE = timedelta(seconds=90)  # a clock off by less changes no figure that is shown
_WORST_CLOCK = timedelta(days=36525)  # a date that is off by more is not a clock's
_LONGEST_RETRY_AFTER = timedelta(days=1)


class _Asked(TypedDict, total=False):
    """What differs from request to request, under the names that requests has for it."""

    method: str
    auth: AuthBase
    params: list[tuple[str, str]]
    json: dict[str, str]


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long an exchange may take, in seconds.

    ``silence`` without a byte; ``total`` in all, from the look-up of the name to the last byte.
    """

    silence: float = 10.0
    total: float = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP reply. ``at`` is when it came, by the API's clock where that is known."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: datetime

    def retry_after(self) -> timedelta | None:
        """Return what ``Retry-After`` asks for, at most a day; ``None`` if it makes no sense."""
        raw = self.headers.get("Retry-After", "").strip()
        if raw.isascii() and raw.isdigit():
            seconds = int(raw[:12])
            return min(timedelta(seconds=min(seconds, 10**6)), _LONGEST_RETRY_AFTER)
        moment = _http_date(raw)
        if moment is None:
            return None
        return min(max(moment - self.at, timedelta()), _LONGEST_RETRY_AFTER)


def _http_date(raw: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(raw)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class HttpClient:
    """Asks one API, each time on a new connection.

    Requests are minutes apart: a connection kept that long may have died unnoticed, and the next
    request would wait in vain on it.
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
        self._user_agent = user_agent
        self._clock = clock
        self._ca_variable = next((name for name in CA_VARIABLES if environ.get(name)), None)
        self._ca_file = environ[self._ca_variable] if self._ca_variable else None
        self._limits = limits
        self.clock_skew = timedelta()
        """How far this computer's clock is ahead of the API's, as of the last reply."""

    @property
    def host(self) -> str:
        """The name of the host that is asked."""
        return urlsplit(self._base_url).hostname or self._base_url

    def get(  # noqa: PLR0913 - a request has many parts
        self,
        path: str,
        auth: AuthBase,
        headers: Mapping[str, str],
        *,
        query: Sequence[tuple[str, str]] = (),
        at_most: float | None = None,
        most_bytes: int = MAX_BODY,
    ) -> Reply:
        """Return the reply, whatever its status, waiting ``at_most`` so many seconds for it.

        Raises Unreachable when no complete reply came in time, UnexpectedResponse when it is
        larger than ``most_bytes``.
        """
        asked: _Asked = {"method": "GET", "auth": auth, "params": list(query)}
        return self._exchange(Session(), path, headers, asked, at_most, most_bytes)

    def post(
        self, path: str, document: Mapping[str, str], before_sending: Callable[[], None]
    ) -> Reply:
        """Post a JSON document and return the reply, whatever its status.

        ``before_sending`` is called once the connection stands, before a byte of the request goes
        out; nothing is sent if it raises. Raises as `get` does; ``Unreachable.sent`` tells whether
        the request may have arrived.
        """
        asked: _Asked = {"method": "POST", "auth": Nobody(), "json": dict(document)}
        return self._exchange(Session(before_sending), path, {}, asked, None, MAX_BODY)

    def _exchange(  # noqa: PLR0913, PLR0917 - a request has many parts
        self,
        session: Session,
        path: str,
        headers: Mapping[str, str],
        asked: _Asked,
        at_most: float | None,
        most_bytes: int,
    ) -> Reply:
        total = self._limits.total if at_most is None else at_most
        silence = min(self._limits.silence, total)
        exchange = _Exchange(
            lambda: self._reply(session, path, headers, asked, silence, most_bytes)
        )
        exchange.start()
        exchange.join(total)
        if exchange.is_alive():
            session.cut_off()
            error: UsageMonitorError = self._unreachable(f"no answer within {total:g} s")
        elif exchange.error is not None:
            error = self._as_ours(exchange.error)
        else:
            assert exchange.reply is not None  # noqa: S101 - it ended, without an error
            status, found, body = exchange.reply
            return Reply(status, found, body, self._time_of(found))
        if isinstance(error, Unreachable):
            error.sent = session.connected
        raise error from None

    def _reply(  # noqa: PLR0913, PLR0917 - as above
        self,
        session: Session,
        path: str,
        headers: Mapping[str, str],
        asked: _Asked,
        silence: float,
        most_bytes: int,
    ) -> tuple[int, Mapping[str, str], bytes]:
        url = self._base_url + path
        with (
            session,
            session.request(
                **asked,
                url=url,
                headers={
                    "Accept": "application/json",
                    "Connection": "close",
                    "User-Agent": self._user_agent,
                    **headers,
                },
                timeout=(silence, silence),
                allow_redirects=False,
                stream=True,
                verify=self._ca_file or True,
                proxies=NO_PROXY if urlsplit(url).scheme == "http" else None,
            ) as response,
        ):
            return response.status_code, response.headers, _bounded_body(response, most_bytes)

    def _time_of(self, headers: Mapping[str, str]) -> datetime:
        now = self._clock()
        theirs = _http_date(headers.get("Date", ""))
        ahead = now - theirs if theirs is not None else timedelta()
        believable = _CLOCK_TOLERANCE < abs(ahead) < _WORST_CLOCK
        self.clock_skew = ahead if believable else timedelta()
        return now - self.clock_skew

    # --- failures ---------------------------------------------------------------------------

    def _as_ours(self, error: Exception) -> UsageMonitorError:
        if isinstance(error, UsageMonitorError):
            return error
        if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
            untrusted = _caused_by(error, ssl.SSLCertVerificationError)
            reason = "its certificate is not trusted here" if untrusted else "no secure connection"
            return Unreachable(
                f"{self.host} cannot be reached (TLS: {reason}).",
                f"The CA in force is {self._ca_in_force()}. Behind a proxy that signs for "
                "itself, name its CA in REQUESTS_CA_BUNDLE.",
            )
        if isinstance(error, requests.exceptions.ProxyError):
            return self._unreachable("the proxy does not connect")
        if isinstance(error, _BAD_ADDRESS):
            return self._unreachable("its address or the proxy's cannot be used")
        if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
            return self._unreachable("no answer in time")
        if self._ca_file and isinstance(error, OSError) and "CA certificate bundle" in str(error):
            return Unreachable(
                f"The CA file that {self._ca_variable} names cannot be read.",
                "Correct the variable, or unset it.",
            )
        if _caused_by(error, socket.gaierror):
            return self._unreachable("no such host: DNS")
        if _caused_by(error, ConnectionRefusedError):
            return self._unreachable("connection refused")
        return self._unreachable("the connection broke")

    def _unreachable(self, reason: str) -> Unreachable:
        return Unreachable(f"{self.host} cannot be reached ({reason}).")

    def _ca_in_force(self) -> str:
        return f"{self._ca_variable}={clean(self._ca_file)}" if self._ca_file else "certifi's"


_BAD_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,  # a SOCKS proxy, without the library for it
    urllib3.exceptions.LocationValueError,
    TypeError,
)


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Return whether the error, or one it came from, is of a kind."""
    seen = 0
    cause: object = error
    while isinstance(cause, BaseException) and seen < 10:  # a chain of causes is short
        if isinstance(cause, kind):
            return True
        inner = getattr(cause, "reason", None) or (cause.args[0] if cause.args else None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__
        seen += 1
    return False


class _Exchange(threading.Thread):
    """A request on a thread of its own: a deadline over name look-up, connect, headers and body.

    No time-out of requests covers all of these; the caller stops waiting, whatever hangs.
    """

    def __init__(self, get: Callable[[], tuple[int, Mapping[str, str], bytes]]) -> None:
        super().__init__(name="http", daemon=True)
        self._get = get
        self.reply: tuple[int, Mapping[str, str], bytes] | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.reply = self._get()
        except (
            UsageMonitorError,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,  # a CA file that is missing
            TypeError,  # a proxy's address with a user and no host
            ValueError,  # an address or a header that cannot be encoded
            RecursionError,
        ) as error:
            self.error = error


def _bounded_body(response: requests.Response, most_bytes: int) -> bytes:
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > most_bytes:
            raise UnexpectedResponse(
                f"The reply was not usage figures: it is larger than {most_bytes >> 20} MiB."
            )
    return bytes(body)
