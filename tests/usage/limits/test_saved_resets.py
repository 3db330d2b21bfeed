from __future__ import annotations

from datetime import timedelta

from claude_usage_monitor.usage.limits.saved_resets import (
    ResetGrant,
    SavedResets,
    cleared_limits,
)
from tests.support.payloads import NOW


def test_expired_and_empty_grants_do_not_count() -> None:
    soon, later = NOW + timedelta(days=1), NOW + timedelta(days=2)
    saved = SavedResets(
        (
            ResetGrant(2, later, ("five_hour",)),
            ResetGrant(1, soon, ("seven_day", "five_hour")),
            ResetGrant(4, NOW, ("spent",)),
            ResetGrant(0, soon, ("none",)),
        ),
        NOW,
    )
    assert (3, soon) == (saved.count(NOW), saved.use_by(NOW))
    assert ("five_hour", "seven_day") == saved.clears(NOW)
    assert (2, later, ("five_hour",)) == (
        saved.count(soon),
        saved.use_by(soon),
        saved.clears(soon),
    )
    assert (0, None, ()) == (saved.count(later), saved.use_by(later), saved.clears(later))


def test_the_cleared_limits_in_words() -> None:
    assert "5-hour and week" == cleared_limits(("five_hour", "seven_day"))
    assert "5-hour, week and model limits" == cleared_limits(
        ("five_hour", "seven_day", "seven_day_overage_included")
    )
    assert "odd one" == cleared_limits(("odd_one",))
    assert "" == cleared_limits(())


def test_a_grant_without_resets_clears_nothing() -> None:
    empty = SavedResets((ResetGrant(0, None, ("five_hour",)),), NOW)
    assert (0, ()) == (empty.count(NOW), empty.clears(NOW))
