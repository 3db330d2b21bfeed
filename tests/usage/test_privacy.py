from __future__ import annotations

import json

from claude_usage_monitor.formats import load_format
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage.privacy import hidden
from claude_usage_monitor.usage.status import Account
from tests.support.payloads import NOW
from tests.support.statuses import NORMAL

NAMES = ("Ada", "ada@example.com", "Analytical Engines", "Secret client")


def test_no_name_is_left_in_the_document() -> None:
    named = NORMAL._replace(account=Account("Secret client", email="ada@example.com"))
    text = load_format("json")(hidden((NORMAL, named)), NOW, FormatOptions())
    assert not [name for name in NAMES if name in text]
    first, second = json.loads(text)["accounts"]
    assert ("claude-code", "account 2") == (first["name"], second["name"])
    assert "user 1" == first["profile"]["email"]
    assert first["windows"] == second["windows"]
