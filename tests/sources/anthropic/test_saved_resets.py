"""The block of saved resets: what is known, what is not, and that it affects nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.usage.limits.saved_resets import SavedResets
from tests.support.payloads import NOW, as_bytes, payload, usage_body


def grant(identifier: str, left: object = 1, days: float | None = 3, **more: object) -> Any:
    ends_at = None if days is None else (NOW + timedelta(days=days)).isoformat()
    return {
        "id": identifier,
        "resets_left": left,
        "ends_at": ends_at,
        "clears": ["five_hour", "seven_day"],
        **more,
    }


def saved(block: object) -> SavedResets | None:
    usage = usage_from(as_bytes({**usage_body(), "cedar_ember": block}), NOW)
    assert 4 == len(usage.windows) + (usage.extra_usage is not None)  # with any block
    return usage.saved_resets


def block(*grants: object, **more: object) -> dict[str, object]:
    return {"eligible": True, "ineligible_reason": None, "grants": list(grants), **more}


def test_the_recorded_block() -> None:
    usage = usage_from(payload("usage_2026-10_cedar_ember_saved_resets"), NOW)
    assert usage.saved_resets is not None
    assert 0 == usage.saved_resets.count(NOW)  # it expired a month ago
    before = NOW - timedelta(days=50)
    assert 1 == usage.saved_resets.count(before)
    assert "2026-10-22T16:00:00+00:00" == str(usage.saved_resets.use_by(before)).replace(" ", "T")
    assert ("five_hour", "seven_day", "seven_day_overage_included") == usage.saved_resets.clears(
        before
    )


def test_each_grant_counts_once_until_it_expires() -> None:
    found = saved(
        block(
            grant("a", 2, 3),
            grant("a", 9, 9),  # the same id again
            grant("b", 1, 1, usable_now=False, paused=True),  # still held
            grant("c", 4, -1),  # expired
            grant("d", 1, None),
            grant("e", 1, None, ends_at="soon"),  # an unreadable date is no date
            grant("f", 0, 0.5),
        )
    )
    assert found is not None
    assert (5, NOW + timedelta(days=1)) == (found.count(NOW), found.use_by(NOW))
    assert 4 == found.count(NOW + timedelta(days=2))
    assert 2 == found.count(NOW + timedelta(days=99))
    assert None is found.use_by(NOW + timedelta(days=99))


def test_no_grants_are_none_and_not_unknown() -> None:
    found = saved(block())
    assert found is not None
    assert (0, None, ()) == (found.count(NOW), found.use_by(NOW), found.clears(NOW))


@pytest.mark.parametrize(
    "unknown",
    [
        None,
        [],
        "1",
        {},
        {"eligible": False, "ineligible_reason": "surface", "grants": []},
        {"eligible": False, "ineligible_reason": "tier", "grants": []},
        {"eligible": True},
        {"eligible": True, "grants": None},
        block("grant"),
        block(grant("a"), None),
        block(grant("a", None)),
        block(grant("a", -1)),
        block(grant("a", 1.5)),
        block(grant("a", 10**9)),
        block({"resets_left": 1}),
    ],
)
def test_a_block_that_is_absent_refused_or_malformed_is_unknown(unknown: object) -> None:
    assert None is saved(unknown)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["eligible", "grants", "id", "resets_left", "ends_at", "clears"]),
                inner,
                max_size=6,
            )
        ),
    )
)
def test_no_block_costs_the_windows(odd: object) -> None:
    found = saved(json.loads(json.dumps(odd)))
    assert found is None or found.count(NOW) >= 0
