"""What ``doctor`` says of our files and of the way to the API."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.sources.anthropic.api_url import API_URL_VARIABLE, base_url_from
from claude_usage_monitor.store.paths import config_path, state_path
from claude_usage_monitor.usage.findings import Finding

if TYPE_CHECKING:
    from claude_usage_monitor.store.state.state_store import StateStore

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


def files(
    environ: Mapping[str, str], state: StateStore, warnings: Sequence[str]
) -> Iterator[Finding]:
    """Yield how our own files are: where, and who else may read them."""
    path = state_path(environ)
    if state.notice is not None:
        yield Finding(
            "Files",
            "state",
            "problem",
            state.notice,
            "Mend that, or set CLAUDE_USAGE_MONITOR_HOME to another folder.",
        )
    else:
        yield _private(path)
    config = config_path(environ)
    there = "read" if os.access(config, os.R_OK) else "not there (it need not be)"
    if not warnings:
        yield Finding("Files", "settings", "ok", f"{config}: {there}")
    for warning in warnings:
        yield Finding("Files", "settings", "problem", warning, "Correct or remove that line.")


def _private(path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077 and sys.platform != "win32":
        return Finding(
            "Files",
            "state",
            "problem",
            f"{path}: others may read it ({mode:o})",
            f"chmod 600 {path}",
        )
    return Finding("Files", "state", "ok", f"{path}: yours alone ({mode:o})")


def network(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what stands between us and the API: its address, proxy, certificates."""
    area = "Network"
    try:
        url = base_url_from(environ)
    except UsageMonitorError as error:
        yield Finding(area, "API", "problem", error.message, error.hint)
    else:
        own = API_URL_VARIABLE in environ
        yield Finding(area, "API", "note" if own else "ok", url)
    proxies = [name for name in _PROXY_VARIABLES if environ.get(name)]
    yield Finding(area, "proxy", "ok", f"set by {', '.join(proxies)}" if proxies else "none")
    variable = next((name for name in _CA_VARIABLES if environ.get(name)), None)
    authority = f"{variable}={environ[variable]}" if variable else "certifi's"
    yield Finding(area, "certificates", "ok", authority)
    if environ.get("SSLKEYLOGFILE"):
        yield Finding(
            area,
            "SSLKEYLOGFILE",
            "problem",
            "set: TLS keys are written to a file",
            "Whoever reads it can read your token. Unset it.",
        )
