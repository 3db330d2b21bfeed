"""Turn every exception of requests and urllib3 into one of our errors.

This module compares only their classes and never quotes their texts, which may contain the token
or the proxy's password.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import requests
import urllib3

from claude_usage_monitor.errors import Unreachable
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources.text import clean

REQUEST_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,  # a missing CA file
    TypeError,  # a proxy address with a user and no host
    ValueError,  # an address or a header that cannot be encoded
)
"""Everything that requests raises for a request that fails."""

_INVALID_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,  # a SOCKS proxy without the library for it
    urllib3.exceptions.LocationValueError,
    TypeError,
)
_MAX_CAUSES = 10  # a real chain of causes has three or four


class CaFile(NamedTuple):
    """A file of CA certificates, and the environment variable that names it."""

    variable: str
    path: str


def unreachable(
    error: BaseException, host: str, ca_file: CaFile | None, *, sent: bool
) -> Unreachable:
    """Return the error for a failed request to ``host``.

    ``sent`` is whether a connection was established, so that the request may have been sent.
    """
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        untrusted = _is_caused_by(error, ssl.SSLCertVerificationError)
        reason = "its certificate is not trusted here" if untrusted else "no secure connection"
        in_use = f"{ca_file.variable}={clean(ca_file.path)}" if ca_file else "certifi's"
        return Unreachable(
            f"{host} cannot be reached (TLS: {reason}).",
            f"The CA in use is {in_use}. If a proxy replaces certificates with its own, set "
            "REQUESTS_CA_BUNDLE to the file of its CA.",
        )
    if ca_file and _is_plain_os_error(error) and not Path(ca_file.path).exists():
        return Unreachable(
            f"The CA file that {ca_file.variable} names cannot be read.",
            "Correct the variable, or unset it.",
        )
    return Unreachable(f"{host} cannot be reached ({_reason(error, sent=sent)}).")


def _reason(error: BaseException, *, sent: bool) -> str:
    # urllib3 also blames the proxy when the server hangs up on an established connection.
    if isinstance(error, requests.exceptions.ProxyError) and not sent:
        return "the proxy does not connect"
    if isinstance(error, _INVALID_ADDRESS):
        return "its address or the proxy's cannot be used"
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if _is_caused_by(error, socket.gaierror):
        return "no such host: DNS"
    if _is_caused_by(error, ConnectionRefusedError):
        return "connection refused"
    return "the connection broke"


def _is_plain_os_error(error: BaseException) -> bool:
    return isinstance(error, OSError) and not isinstance(error, requests.RequestException)


def _is_caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Return whether the error, or an error that it wraps, is a ``kind``."""
    cause: object = error
    for _ in range(_MAX_CAUSES):
        if not isinstance(cause, BaseException):
            return False
        if isinstance(cause, kind):
            return True
        inner = getattr(cause, "reason", None) or (cause.args[0] if cause.args else None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__
    return False
