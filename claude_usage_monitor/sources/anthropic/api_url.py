"""The addresses of the API and of the token endpoint, and which ones may receive a token."""

from __future__ import annotations

import re
from collections.abc import Mapping

from claude_usage_monitor.errors import InvalidSetting

API_URL = "https://api.anthropic.com"
TOKEN_URL = "https://platform.claude.com"  # noqa: S105 - an address
API_URL_VARIABLE = "CLAUDE_USAGE_MONITOR_API_URL"

# `urllib.parse` and `ipaddress` would do, but importing them takes 2 ms at each start.
_BASE_URL = (
    r"(https://([\w.-]+|\[[\w:.%]+\])|http://(localhost|127(\.\d{1,3}){3}|\[::1\]))"
    r"(:(?P<port>\d{0,5}))?(/[!-~]*)?"
)
_MAX_PORT = 65_535


def base_url_from(environ: Mapping[str, str]) -> str:
    """Return the API's base URL, without a slash at its end.

    Raises InvalidSetting for anything but ``https``, or ``http`` on loopback: no token may cross
    a network unencrypted.
    """
    url = environ.get(API_URL_VARIABLE)
    if not url:
        return API_URL
    match = re.fullmatch(_BASE_URL, url, re.ASCII | re.IGNORECASE)
    base_only = not any(mark in url for mark in "@?#\\")  # no user, query or fragment
    if not (match and base_only and int(match["port"] or 0) <= _MAX_PORT):
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
