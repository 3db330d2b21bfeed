"""An account with generated transcripts and the readings that were recorded meanwhile."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow, label_for
from tests.support.transcripts import generate

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = "0a000000-0000-4000-8000-000000000001/0b000000-0000-4000-8000-000000000002"


def generate_used(
    folder: Path, state: StateStore, now: datetime, seed: int = 1, days: float = 12
) -> list[dict[str, Any]]:
    """Create transcripts until about ``now``, and store the readings before it.

    Returns the truth about every window.
    """
    readings = folder.with_name(f"{folder.name}-readings.jsonl")
    end = (now + timedelta(days=1)).date()
    generate(folder, seed, 3, 60, days=days, end=end.isoformat(), readings=readings)
    lines = [json.loads(line) for line in readings.read_text().splitlines()]
    record(state, [line for line in lines if line["type"] == "reading"], now)
    return [line for line in lines if line["type"] == "window"]


def record(state: StateStore, lines: list[dict[str, Any]], until: datetime) -> None:
    """Store the readings that changed something, through the same rules as live ones."""
    by_time = defaultdict(list)
    previous: dict[str, tuple[float, object]] = {}
    for line in lines:
        read_at = datetime.fromisoformat(line["read_at"])
        if read_at <= until:
            resets_at = line["resets_at"] and datetime.fromisoformat(line["resets_at"])
            key, utilization = line["key"], line["utilization"]
            hour = line["resets_at"] and line["resets_at"][:15]  # the seconds wobble
            if previous.get(key) == (utilization, hour) and read_at < until - timedelta(hours=1):
                continue
            previous[key] = (utilization, hour)
            by_time[read_at].append(
                UsageWindow(key, label_for(key), utilization, resets_at, "api", read_at)
            )
    for read_at, windows in sorted(by_time.items()):
        state.record_usage(IDENTITY, Usage(tuple(windows), "api", read_at))
    assert state.run(history.windows, IDENTITY)
