"""Claude Pace Maker's state in the JSON document."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from claude_usage_monitor.formats.json_values import Json, instant, rounded
from claude_usage_monitor.usage.throttling import COMPUTED, PacedWindow, Throttling


def throttling_json(throttling: Throttling, now: datetime) -> Json:
    """Return the state; ``computed`` names the fields that Pace Maker did not store."""
    return {
        "enabled": throttling.enabled,
        "throttling": throttling.throttling(now),
        "delay_seconds": throttling.delay_seconds,
        "decided_at": instant(throttling.decided_at),
        "window": throttling.window(now),
        "target": rounded(throttling.target(now), 1),
        "deviation": rounded(throttling.deviation(now), 1),
        "tempo": throttling.tempo,
        "tempo_engaged": throttling.tempo_engaged(now),
        "mode": throttling.mode,
        "limiters": asdict(throttling.limiters),
        "backoff_until": instant(throttling.backoff_until if throttling.backing_off(now) else None),
        "blockages": [asdict(blockage) for blockage in throttling.blockages(now)],
        "windows": [_window_json(window, now) for window in throttling.windows],
        "computed": list(COMPUTED),
        "gaps": [str(gap) for gap in throttling.gaps],
        "as_of": instant(throttling.as_of),
        "stale": throttling.stale(now),
    }


def _window_json(window: PacedWindow, now: datetime) -> Json:
    return {
        "key": window.key,
        "utilization": rounded(window.utilization, 1),
        "synthetic": window.synthetic,
        "resets_at": instant(window.resets_at),
        "target": rounded(window.target(now), 1),
        "deviation": rounded(window.deviation(now), 1),
        "stale": window.stale(now),
    }
