"""Findings about the connection to the API: its address, proxy, certificates, and a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.sources.anthropic.api_url import API_URL_VARIABLE, base_url_from
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.findings import Finding
from claude_usage_monitor.usage.status import AccountStatus

_AREA = "Network"
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


def network_findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings about the settings of the connection. Sends no request."""
    try:
        url = base_url_from(environ)
    except InvalidSetting as error:
        yield Finding(_AREA, "API", "problem", error.message, error.hint)
    else:
        yield Finding(_AREA, "API", "note" if API_URL_VARIABLE in environ else "ok", url)
    # Only the names: a proxy's URL may contain a password.
    proxies = ", ".join(name for name in _PROXY_VARIABLES if environ.get(name))
    yield Finding(_AREA, "proxy", "ok", f"set by {proxies}" if proxies else "none")
    variable = next((name for name in _CA_VARIABLES if environ.get(name)), None)
    certificates = f"{variable}={environ[variable]}" if variable else "those of certifi"
    yield Finding(_AREA, "certificates", "ok", certificates)
    if environ.get("SSLKEYLOGFILE"):
        yield Finding(
            _AREA,
            "SSLKEYLOGFILE",
            "problem",
            "set: TLS session keys are written to a file",
            "Unset it: anyone who can read that file can read your token.",
        )


def request_finding(
    status: AccountStatus, *, was_sent: bool, now: datetime, style: ClockStyle
) -> Finding:
    """Return the finding about a request for usage; ``status`` is the account's status after it."""
    name = "request"
    if status.problem is not None:
        text = problem_text.message(status.problem, now, style)
        hint = problem_text.hint(status, now, style, live=False)
        return Finding(_AREA, name, "problem", text, hint)
    if not was_sent:
        return Finding(_AREA, name, "note", "not sent: the request budget does not allow it yet")
    return Finding(_AREA, name, "ok", "the API answers")
