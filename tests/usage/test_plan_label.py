from __future__ import annotations

import pytest

from claude_usage_monitor.usage.status import plan_label


@pytest.mark.parametrize(
    ("plan_type", "tier", "seat_tier", "expected"),
    [
        ("claude_max", "default_claude_max_5x", None, "Max 5x"),
        ("claude_max", "default_claude_max_20x", None, "Max 20x"),
        ("claude_max", "default_claude_ai", None, "Max"),
        ("max", "default_claude_max_5x", None, "Max 5x"),
        ("claude_pro", "default_claude_ai", None, "Pro"),
        ("claude_enterprise", "default_claude_max_5x", None, "Enterprise"),
        ("claude_team", "default_raven", "team_standard", "Team Standard"),
        ("claude_team", "default_claude_max_5x", "team_tier_1", "Team Premium"),
        ("claude_team", None, "team_tier_9", "Team team_tier_9"),
        ("claude_free", None, None, "Free"),
        ("claude_galaxy", None, None, "claude_galaxy"),
        ("claude_ultra", None, None, "Ultra"),
        ("claude_max", "default_claude_ultra", None, "Ultra"),
        ("Ultra_2026", "default_claude_max_20x", None, "Ultra"),
        (None, "default_claude_ultra", None, "Ultra"),
        ("claude_enterprise", "default_claude_ultra", None, "Enterprise"),
        ("claude_team", "default_claude_ultra", "team_standard", "Team Standard"),
        (None, "default_claude_max_5x", None, None),
    ],
)
def test_the_plan_type_decides_and_the_tier_is_a_suffix(
    plan_type: str | None, tier: str | None, seat_tier: str | None, expected: str | None
) -> None:
    assert expected == plan_label(plan_type, tier, seat_tier)
