"""The real Claude Code, a server for it, and a proxy that lets nothing else through."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trustme

from tests.integration.claude_code.claude import ClaudeCode
from tests.integration.claude_code.installed import installed_program
from tests.integration.claude_code.proxy import Proxy
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.command import Command

# Where Claude Code looks for news, plugins and updates. The proxy refuses these, too.
_REFUSED_HOSTS = {"downloads.claude.ai:443", "github.com:443", "raw.githubusercontent.com:443"}


@pytest.fixture(scope="session")
def program() -> Path:
    """Return Claude Code's command."""
    return installed_program()


@pytest.fixture
def claude(
    program: Path, home: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ClaudeCode]:
    """Return Claude Code, not logged in. Nothing it or our command sends may leave loopback."""
    authority = trustme.CA()
    certificate = home / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    with TokenServer() as server, Proxy(authority, urlsplit(server.url).port or 0) as proxy:
        environ = {
            "HTTPS_PROXY": proxy.url,
            "HTTP_PROXY": proxy.url,
            "NODE_EXTRA_CA_CERTS": str(certificate),
            "REQUESTS_CA_BUNDLE": str(certificate),
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        yield ClaudeCode(program, home, server, command)
        for request in server.requests:  # shown when the test fails
            print(request.method, request.path, request.user_agent, request.status)
        assert set(proxy.refused) <= _REFUSED_HOSTS
