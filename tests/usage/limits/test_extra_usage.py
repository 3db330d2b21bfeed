from __future__ import annotations

import pytest

from claude_usage_monitor.usage.limits.extra_usage import off_text


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (None, "off"),
        ("", "off"),
        ("org_level_disabled_until", "off: your organization has paused it"),
        ("out_of_credits", "off: out of credits"),
        ("a_new_one", "off (reason: a new one)"),
    ],
)
def test_a_reason_is_a_phrase_and_an_unknown_one_is_quoted(
    reason: str | None, expected: str
) -> None:
    assert expected == off_text(reason)
