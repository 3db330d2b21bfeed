"""Foreign figures, as odd as they may be, in every output."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claude_usage_monitor.formats import FORMATS, load_format
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.usage.limits.windows import CreditPool, ExtraUsage, Usage, UsageWindow
from claude_usage_monitor.usage.status import Account, AccountStatus
from claude_usage_monitor.usage.throttling import PacedWindow, Throttling
from tests.support.mutations import read_mutants
from tests.support.payloads import NOW

SEEDS = range(10)
MUTANTS = 500  # for each seed


def status_with(utilization: float, hours_left: float | None) -> AccountStatus:
    """Return a status that has one utilization wherever it can have one."""
    resets_at = None if hours_left is None else NOW + timedelta(hours=hours_left)
    window = UsageWindow("five_hour", "5-hour", utilization, resets_at, "api", NOW, is_active=True)
    week = window._replace(key="seven_day", label="7-day")
    unknown_length = window._replace(key="tangelo", label="Tangelo")
    paced = PacedWindow("five_hour", utilization, resets_at, limited=True)
    return AccountStatus(
        Account("claude-code"),
        Usage(
            (window, week, unknown_length),
            "api",
            NOW,
            ExtraUsage(True, 5.0, 10.0, "USD", utilization),
            (CreditPool("cinder_cove", "Cinder cove", None, None, utilization, "USD"),),
        ),
        throttling=Throttling(enabled=True, windows=(paced,), as_of=NOW, decided_at=NOW),
    )


@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.floats(0, 1e-7) | st.floats(99, 101),
    st.none() | st.floats(-200, 200),
    st.sampled_from([20, 40, 100]),
)
@example(5e-324, 2.0, 40)
@example(1e-7, 4.999999, 40)
@example(-0.0, 2.0, 40)
@example(1.7976931348623157e308, 2.0, 40)
@example(-1.7976931348623157e308, 2.0, 40)
def test_every_output_shows_any_utilization(
    utilization: float, hours_left: float | None, width: int
) -> None:
    """Zero of either sign, subnormal, negative and huge numbers: none raises an error."""
    status = status_with(utilization, hours_left)
    for row in FORMATS:
        text = load_format(row.name)((status, status), NOW, FormatOptions(width))
        if row.name == "json":
            json.loads(text, parse_constant=pytest.fail)
    for statuses, height in (((status,), None), ((status,), 5), ((status,) * 3, 8)):
        lines = dashboard(statuses, NOW, width, height, RenderOptions())
        assert all(line.cell_len <= width for line in lines)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mutated_reply_gives_figures_or_one_of_our_errors(seed: int) -> None:
    """No error or output contains a token that the reply repeats."""
    failures, successes = read_mutants(seed, MUTANTS)
    assert [] == failures
    assert successes > MUTANTS / 4  # otherwise the mutations are too coarse to test anything
