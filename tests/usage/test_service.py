from __future__ import annotations

from datetime import timedelta

import pytest

from claude_usage_monitor.usage.service import Component, Incident, ServiceStatus
from tests.support.payloads import NOW

INCIDENT = Incident("i", "Elevated errors", "major", "identified", NOW - timedelta(minutes=23), "u")


def status(*statuses: str, incidents: tuple[Incident, ...] = ()) -> ServiceStatus:
    names = ("Claude Code", "Claude API")
    parts = tuple(Component(name, text) for name, text in zip(names, statuses, strict=False))
    return ServiceStatus("minor", "", parts, incidents, NOW)


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (status("operational", "operational"), None),
        (status("operational", "operational", incidents=(INCIDENT,)), None),
        (status("partial_outage", "operational"), "Claude Code: partial outage"),
        (
            status("degraded_performance", "degraded_performance", incidents=(INCIDENT,)),
            "Claude Code, Claude API: degraded performance · Elevated errors · 23m",
        ),
    ],
)
def test_one_line_says_what_does_not_work(service: ServiceStatus, expected: str | None) -> None:
    assert expected == service.trouble(NOW)


def test_what_is_old_is_not_shown() -> None:
    service = status("major_outage", "operational")
    assert not service.stale(NOW + timedelta(minutes=15))
    assert service.trouble(NOW + timedelta(minutes=15)) is not None
    assert service.stale(NOW + timedelta(minutes=16))
    assert service.trouble(NOW + timedelta(minutes=16)) is None
