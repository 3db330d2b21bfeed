"""The status of Anthropic's service, as its status page says."""

from __future__ import annotations

from datetime import datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.durations import countdown

OPERATIONAL = "operational"
_MAX_AGE = timedelta(minutes=15)  # three intervals between two requests


class Component(NamedTuple):
    """A part of the service; ``status`` is the page's word, such as ``partial_outage``."""

    name: str
    status: str


class Incident(NamedTuple):
    """An incident that is not resolved."""

    id: str
    name: str
    impact: str
    status: str
    started_at: datetime | None
    url: str | None


class ServiceStatus(NamedTuple):
    """The status page at ``as_of``; ``indicator`` is ``none`` when all is well."""

    indicator: str
    description: str
    components: tuple[Component, ...]
    incidents: tuple[Incident, ...]
    as_of: datetime

    def stale(self, now: datetime) -> bool:
        """Return whether this is old: no process asks the page any more, or it does not answer."""
        return now - self.as_of > _MAX_AGE

    def trouble(self, now: datetime) -> str | None:
        """Return one line about the components that do not work; ``None`` when all do.

        What is stale is not shown: the trouble may be over.
        """
        affected = [part for part in self.components if part.status != OPERATIONAL]
        if not affected or self.stale(now):
            return None
        names = ", ".join(part.name for part in affected)
        parts = [f"{names}: {affected[0].status.replace('_', ' ')}"]
        if self.incidents:
            newest = self.incidents[0]
            parts.append(newest.name)
            if newest.started_at is not None and newest.started_at < now:
                parts.append(countdown(now - newest.started_at))
        return " · ".join(parts)
