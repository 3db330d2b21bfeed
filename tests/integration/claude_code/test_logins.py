from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.claude_code.claude import TURN_TIMEOUT, send
from tests.support.command import TIMEOUT, environ_with_short_floor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.claude_code.claude import ClaudeCode
    from tests.support.command import Command

# The poller checks for a new login every five seconds; with this, every half second.
CHECK_OFTEN = """
import datetime
import claude_usage_monitor.monitor.live.poller as poller
poller._LOGIN_CHECK_INTERVAL = datetime.timedelta(seconds=0.5)
"""

LIFETIME = 20.0  # seconds of a login: three panes show figures before it ends, on a busy machine

# A browser that consents at once, and opens the login page of the test's server.
BROWSER = """#!{python} -I
import sys, urllib.request
from urllib.parse import urlsplit
query = urlsplit(sys.argv[-1]).query
without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
without_proxy.open("{server}/oauth/authorize?" + query).read()
"""


@pytest.fixture
def environ(home: Path, tmp_path: Path) -> dict[str, str]:
    return environ_with_short_floor(home, tmp_path, CHECK_OFTEN)


@pytest.fixture
def browser(claude: ClaudeCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "browser"
    path.write_text(BROWSER.format(python=sys.executable, server=claude.server.url))
    path.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(path))


def add_copy(command: Command, environ: dict[str, str]) -> None:
    done = command.run("accounts", "add", "Copy", "--from-claude-code", environ=environ)
    assert 0 == done.returncode, done.stderr


def test_claude_code_alone_refreshes_an_expired_login_and_everyone_follows(
    claude: ClaudeCode, command: Command, environ: dict[str, str]
) -> None:
    family = claude.log_in(expires_in=LIFETIME)
    add_copy(command, environ)
    panes = [
        command.open("--interval", "5", *more, rows=40, environ=environ)
        for more in ((), ("--account", "Copy"), ("--all-accounts",))
    ]
    for pane in panes:
        pane.wait_for("78 %")
    for pane in panes:
        pane.wait_for("expired", LIFETIME + TIMEOUT)

    claude.server.figures["work"] = 82.0
    claude.prompt()

    for pane in panes:
        pane.wait_for("82 %")
        assert "expired" not in pane.wait_until_quiet()
    (refresh,) = claude.server.refreshes
    assert ("axios", True) == (refresh.user_agent.partition("/")[0], refresh.rotated)
    assert claude.server.alive(family)
    assert claude.server.accepts(json.loads(claude.credentials.read_text()))


def test_a_pane_follows_slash_login_as_another_account(
    claude: ClaudeCode, command: Command, environ: dict[str, str], browser: None
) -> None:
    family = claude.log_in()
    add_copy(command, environ)
    pane = command.open("--interval", "5", environ=environ)
    pane.wait_for("work@example.com")
    claude.server.figures["home"] = 33.0
    claude.server.browser_account = "home"
    terminal = claude.open()
    send(terminal, "/login")
    terminal.wait_for("Select login method")
    terminal.type("\r")
    terminal.wait_for("Login successful", TURN_TIMEOUT)

    pane.wait_for("33 %")
    pane.wait_for("home@example.com")

    # The copy is now the only place of the first login, which Claude Code has not revoked.
    copy = command.run("--account", "Copy", "--once", environ=environ)
    assert (0, True) == (copy.returncode, "78 %" in copy.stdout), copy
    assert claude.server.alive(family)
    assert [] == claude.server.refreshes


def test_a_pane_follows_slash_logout_and_a_login_as_another_account(
    claude: ClaudeCode, command: Command, environ: dict[str, str], browser: None
) -> None:
    family = claude.log_in()
    add_copy(command, environ)
    pane = command.open("--interval", "5", environ=environ)
    pane.wait_for("work@example.com")
    terminal = claude.open()

    send(terminal, "/logout")

    terminal.wait_for_exit(TURN_TIMEOUT)
    pane.wait_for("Not logged in")
    assert not claude.server.alive(family)  # 2.1.330 revokes its login: the copy has ended, too
    (copy,) = json.loads(command.run("--account", "Copy", "--json", environ=environ).stdout)[
        "accounts"
    ]
    assert ("unauthorized", 78.0) == (copy["problem"]["code"], copy["windows"][0]["utilization"])
    assert [] == claude.server.refreshes

    claude.server.figures["home"] = 33.0
    claude.server.browser_account = "home"
    done = claude.run("auth", "login")
    assert 0 == done.returncode, done
    pane.wait_for("33 %")
    pane.wait_for("home@example.com")
