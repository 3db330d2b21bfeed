"""The addresses of the API and of the token endpoint, and which ones may receive a token."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from urllib.parse import urlsplit

from claude_usage_monitor.errors import InvalidSetting

API_URL = "https://api.anthropic.com"
TOKEN_URL = "https://platform.claude.com"  # noqa: S105 - an address
API_URL_VARIABLE = "CLAUDE_USAGE_MONITOR_API_URL"


def base_url_from(environ: Mapping[str, str]) -> str:
    """Return the API's base URL, without a slash at its end.

    Raises InvalidSetting for anything but ``https``, or ``http`` on loopback: no token may cross
    a network unencrypted.
    """
    url = environ.get(API_URL_VARIABLE) or API_URL
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # either may raise
    except ValueError:
        parts, host = urlsplit(""), None
    base_only = not any(mark in url for mark in "@?#\\ ")  # no user, query or fragment
    printable = url.isascii() and url.isprintable()
    secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    if not (host and base_only and printable and secure):
        raise InvalidSetting(
            f"{API_URL_VARIABLE} is not an address that a token may be sent to.",
            "Use an https:// address (http:// on loopback only), or unset it.",
        )
    return url.rstrip("/")


def token_base_url_from(environ: Mapping[str, str]) -> str:
    """Return the token endpoint's base URL: the API's if the user set it, else `TOKEN_URL`.

    Raises as `base_url_from` does.
    """
    return base_url_from(environ) if environ.get(API_URL_VARIABLE) else TOKEN_URL


def _is_loopback(host: str | None) -> bool:
    if host in ("localhost", "::1"):
        return True
    try:
        return IPv4Address(host or "").is_loopback
    except AddressValueError:
        return False
