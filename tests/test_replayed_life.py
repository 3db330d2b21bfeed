"""Every reset, limit hit and alert of a life is seen once: in the dashboard, history and alerts."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.replayed_life import Replay, ReplayedLife, row_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command, Terminal
    from tests.support.login import Store

LOG = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')"
NEAR = timedelta(minutes=10)
MARKS = "◇◆"
RESET_AFTER = 90


def test_a_day_is_seen_once_by_all_outputs(
    command: Command, api: Api, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tests.endurance.test_alerts` replays a fortnight."""
    store.login(expires_in=86400)
    replay_days(1, command, api, tmp_path, monkeypatch)


def replay_days(
    days: int, command: Command, api: Api, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replay days of an agent's life, and compare all outputs with the truth."""
    log = folder / "alerts.jsonl"
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(folder / "monitor"))
    (folder / "monitor").mkdir()
    alert_command = json.dumps([sys.executable, "-c", LOG, str(log)])
    (folder / "monitor" / "config.toml").write_text(
        f'[alerts]\nenabled = true\nevents = ["exhausted", "reset"]\nreset_after = {RESET_AFTER}\n'
        f'channels = ["command"]\ncommand = {alert_command}\n'
    )
    life = ReplayedLife("agents", 2, days)
    replay = Replay(life, command, api, monkeypatch)
    for figures, pane in replay.run():
        for key, row in figures.items():
            if row["utilization"] >= 100:
                pane.wait_for(partial(is_marked, pane, key))
    hits = {window for window in life.windows if window.peak >= 100}
    assert all(window.ran_out for window in hits)
    resets = {window for window in life.windows if window.peak >= RESET_AFTER}
    assert hits
    assert resets

    history = replay.history()["windows"]
    for window in life.windows:
        (row,) = [row for row in history if is_of(row, window.key, window.started_at)]
        assert "reset" == row["end"]
        assert (row["full_at"] is not None) == (window in hits), window

    alerts = alerts_in(log, len(hits) + len(resets))
    for window in life.windows:
        during = [a for a in alerts if window.started_at <= a["at"] < window.ended_at]
        after = [a for a in alerts if window.ended_at <= a["at"] < window.ended_at + 3 * NEAR]
        assert (window in hits) == count(during, "exhausted", window.key), window
        assert (window in resets) == count(after, "reset", window.key), window


def is_marked(pane: Terminal, key: str) -> bool:
    """Return whether the row of a limit has the mark of an alert."""
    return any(mark in row_of(pane, key) for mark in MARKS)


def alerts_in(log: Path, least: int) -> list[dict[str, Any]]:
    """Return the alerts that the command wrote, once there are enough: it runs in background."""
    deadline = time.monotonic() + 60
    lines: list[str] = []
    while len(lines) < least and time.monotonic() < deadline:
        time.sleep(0.1)
        lines = log.read_text().splitlines() if log.exists() else []
    alerts = [json.loads(line) for line in lines]
    return [{**alert, "at": datetime.fromisoformat(alert["at"])} for alert in alerts]


def count(alerts: list[dict[str, Any]], event: str, key: str) -> int:
    return sum(alert["event"] == event and alert["window"]["key"] == key for alert in alerts)


def is_of(row: dict[str, Any], key: str, started_at: datetime) -> bool:
    return bool(
        row["key"] == key and abs(datetime.fromisoformat(row["started_at"]) - started_at) <= NEAR
    )
