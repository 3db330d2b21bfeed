"""Summaries of the status page, in the shape that it has; texts are invented."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

STARTED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def summary(code: str, *, indicator: str = "none", incidents: tuple[Any, ...] = ()) -> Any:
    """Return a summary in which Claude Code has a status."""
    names = {
        "claude.ai": "operational",
        "platform.claude.com (formerly console.anthropic.com)": "operational",
        "Claude API (api.anthropic.com)": "operational",
        "Claude Code": code,
    }
    components = [
        {"id": f"c{at}", "name": name, "status": status, "group": False}
        for at, (name, status) in enumerate(names.items())
    ]
    components.append({"id": "g", "name": "Claude API group", "status": "x", "group": True})
    return {
        "page": {"id": "p", "name": "Claude", "url": "https://status.claude.com"},
        "status": {"indicator": indicator, "description": "All Systems Operational"},
        "components": sorted(components, key=lambda each: each["name"] != "Claude Code"),
        "incidents": list(incidents),
        "scheduled_maintenances": [],
    }


OPERATIONAL = summary("operational")
OUTAGE = summary(
    "partial_outage",
    indicator="major",
    incidents=(
        {
            "id": "i1",
            "name": "Elevated errors",
            "status": "investigating",
            "impact": "major",
            "shortlink": "https://stspg.io/abc",
            "started_at": "2026-11-21T12:00:00.000Z",
            "components": [{"name": "Claude Code"}],
        },
        {"id": "i2", "name": "Slow pages", "components": [{"name": "claude.ai"}]},
    ),
)
