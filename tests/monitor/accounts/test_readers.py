from __future__ import annotations

import os
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.accounts.readers import own_email
from claude_usage_monitor.monitor.accounts.services import Services
from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.profile import Profile

if TYPE_CHECKING:
    from pathlib import Path


def test_own_email_is_the_setting_then_the_logins_profile_then_claude_json(home: Path) -> None:
    services = Services(os.environ, Settings(), utc_now)
    config = GlobalConfig(os.environ)
    assert None is own_email(services, config)
    (home / ".claude.json").write_text('{"oauthAccount": {"emailAddress": "file@example.com"}}')
    assert "file@example.com" == own_email(services, config)
    services.state.store_profile("print", Profile(email="login@example.com", account_uuid="uuid"))
    services.state.link_identity("print", "uuid")
    services.state.record_login("claude-code", "uuid", utc_now())
    assert "login@example.com" == own_email(services, config)
    services.settings = Settings(email="set@example.com")
    assert "set@example.com" == own_email(services, config)
