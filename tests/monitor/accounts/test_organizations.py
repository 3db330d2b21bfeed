from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.monitor.accounts import add, manage
from claude_usage_monitor.monitor.accounts.organizations import own_email
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import AccountStatus, Profile
from tests.support.saved import registry

if TYPE_CHECKING:
    from pathlib import Path


def test_own_email_is_the_setting_else_that_of_claude_json(home: Path) -> None:
    services = Services(os.environ, Settings(), utc_now)
    config = GlobalConfig(os.environ)
    assert None is own_email(services, config)
    (home / ".claude.json").write_text('{"oauthAccount": {"emailAddress": "file@example.com"}}')
    assert "file@example.com" == own_email(services, config)
    services.state.store_profile("print", Profile(email="login@example.com", account_uuid="uuid"))
    services.state.link_identity("print", "uuid")
    services.state.record_login("claude-code", "uuid", utc_now())
    assert "file@example.com" == own_email(services, config)  # although another was read before
    services.settings = Settings(email="set@example.com")
    assert "set@example.com" == own_email(services, config)


def test_a_removed_organization_is_a_problem_of_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Live mode goes on when another process removes the displayed account."""
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
    add.add_admin_key(registry(), "Org", "sk-ant-admin01-canary-5f2a91")
    running = registry()
    listed = running.find("Org")
    reader = running.reader(listed)
    manage.remove(registry(), "Org")
    problem = reader.read(AccountStatus(listed.account)).problem
    assert problem is not None
    assert ("unknown_account", "The account Org was removed.") == (problem.code, problem.message)
