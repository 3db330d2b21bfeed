from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from claude_usage_monitor.monitor.subscription.alerts import AccountAlerts
from claude_usage_monitor.store.state.readings import record_usage
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.usage.alerts import AlertSettings
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow, label_for
from claude_usage_monitor.usage.status import CLAUDE_CODE, AccountStatus
from tests.support.lives import life

if TYPE_CHECKING:
    from pathlib import Path

    from claude_usage_monitor.usage.limits.resets import WindowInstance

ADA = "uuid-of-ada"
_NEAR = timedelta(minutes=10)  # windows with resets this close are one


def test_each_reset_and_limit_hit_is_in_the_history_and_in_one_alert(tmp_path: Path) -> None:
    """`tests.endurance.test_alerts` replays a fortnight."""
    replay_life(tmp_path / "state.db", days=3)


def replay_life(path: Path, days: int) -> None:
    """Replay a life as two processes see it."""
    lines = life("agents", 3, 2)
    readings = [line for line in lines if line["type"] == "reading"]
    begin = instant(readings[0]["read_at"])
    end = begin + timedelta(days=days)
    readings = [line for line in readings if instant(line["read_at"]) < end]
    settings = AlertSettings(enabled=True, events=("exhausted", "reset"))
    processes = [
        AccountAlerts(StateStore(path), lambda: ADA, settings, ClockStyle(UTC)) for _ in range(2)
    ]
    state = StateStore(path)
    sent: list[tuple[str, str]] = []
    for read_at, rows in groupby(readings, key=lambda line: line["read_at"]):
        now = instant(read_at)
        usage = Usage(tuple(window_of(row) for row in rows), "api", now)
        state.run(record_usage, ADA, usage)
        for process in processes:
            due = process.due(AccountStatus(CLAUDE_CODE, usage), now)
            sent += [(alert.event, alert.instance) for alert in due]
    stored = state.run(history.windows, ADA, begin)
    truths = [
        line
        for line in lines
        if line["type"] == "window"
        and line["peak"] > 0
        and begin < instant(line["started_at"])
        and instant(line["ended_at"]) < instant(readings[-1]["read_at"])
    ]
    every_truth = [line for line in lines if line["type"] == "window"]
    assert all(any(is_of(each, truth) for truth in every_truth) for each in stored)
    expected: Counter[tuple[str, str]] = Counter()
    for truth in truths:
        (window,) = [each for each in stored if is_of(each, truth)]
        assert "reset" == window.at(now).end, truth
        assert (window.full_at is not None) == (truth["run_out_at"] is not None), truth
        if truth["run_out_at"] is not None:
            expected["exhausted", str(window.id)] += 1
        if window.peak >= settings.reset_after:
            expected["reset", str(window.id)] += 1
    ids = {str(each.id) for each in stored if any(is_of(each, truth) for truth in truths)}
    assert expected == Counter(each for each in sent if each[1] in ids)
    assert {"exhausted", "reset"} == {event for event, _ in expected}


def is_of(window: WindowInstance, truth: dict[str, Any]) -> bool:
    gap = abs(window.resets_at - instant(truth["resets_at"]))
    return bool(window.key == truth["key"] and gap <= _NEAR)


def window_of(row: dict[str, Any]) -> UsageWindow:
    resets_at = row["resets_at"] and instant(row["resets_at"])
    used, now = row["utilization"], instant(row["read_at"])
    return UsageWindow(row["key"], label_for(row["key"]), used, resets_at, "api", now)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
