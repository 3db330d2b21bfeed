"""Recorded replies, and bodies made for a moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

PAYLOADS = Path(__file__).parent.parent / "payloads"
NOW = datetime(2026, 11, 21, 12, 19, tzinfo=UTC)


def payload(name: str) -> bytes:
    """Return a recorded reply."""
    return (PAYLOADS / f"{name}.json").read_bytes()


def usage_body(
    now: datetime = NOW, *, five_hour: float | None = 78.0, fable: float | None = 94
) -> dict[str, object]:
    """Return a body with the figures of the sketches in the documents, as of ``now``."""
    week_end = (now + timedelta(days=3, hours=2, minutes=21)).isoformat()
    session_end = (now + timedelta(hours=2, minutes=11)).isoformat()
    return {
        "five_hour": {"utilization": five_hour, "resets_at": session_end},
        "seven_day": {"utilization": 35.0, "resets_at": week_end},
        "seven_day_opus": None,
        "limits": [
            {
                "kind": "weekly_scoped",
                "group": "weekly",
                "percent": fable,
                "resets_at": week_end,
                "scope": {"model": {"id": None, "display_name": "Fable"}, "surface": None},
                "is_active": True,
            }
        ],
        "extra_usage": {
            "is_enabled": True,
            "monthly_limit": 14000,
            "used_credits": 4752.0,
            "utilization": 33.94285714285714,
            "currency": "USD",
        },
    }


def as_bytes(body: object) -> bytes:
    """Return a body as the API would send it."""
    return json.dumps(body).encode()
