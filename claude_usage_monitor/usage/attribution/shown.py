"""What used a running window, as outputs show it; stored as JSON for those that read nothing.

This module is imported by `--json` once transcripts were read: it imports little.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple

_SAME_RESET = timedelta(minutes=10)
_MAX_SCALED_AGE = timedelta(minutes=30)  # later, other projects may have been used


class ProjectUse(NamedTuple):
    """A project's points of a window, and its share of what was used on this machine in percent.

    ``number`` replaces the name where names are hidden; 0 stands for several projects.
    """

    project: str
    points: float
    share: float
    number: int = 0


class WindowUse(NamedTuple):
    """What used a window: its rows and ``elsewhere`` add up to its utilization.

    ``elsewhere`` is ``None`` as long as it is not known. ``plus_minus`` is the error of a row in
    points, ``basis`` says how the points were computed. ``subagents`` and ``rebuilt`` are the
    points of subagents and of rebuilt caches, which are parts of the rows.
    """

    key: str
    resets_at: datetime
    utilization: float
    as_of: datetime
    rows: tuple[ProjectUse, ...]
    elsewhere: float | None
    plus_minus: float
    basis: str
    subagents: float
    rebuilds: int
    rebuilt: float

    def at(self, utilization: float, resets_at: datetime, now: datetime) -> WindowUse | None:
        """Return the use for a newer reading of the same window, which it is scaled to.

        Returns ``None`` for another window, and when too much time has passed since the transcripts
        were read.
        """
        if abs(resets_at - self.resets_at) > _SAME_RESET:
            return None
        if utilization == self.utilization:
            return self
        if now - self.as_of > _MAX_SCALED_AGE or not self.utilization:
            return None
        factor = utilization / self.utilization
        return self._replace(
            utilization=utilization,
            rows=tuple(row._replace(points=factor * row.points) for row in self.rows),
            elsewhere=None if self.elsewhere is None else factor * self.elsewhere,
            subagents=factor * self.subagents,
            rebuilt=factor * self.rebuilt,
        )

    def largest_rows(self, count: int) -> list[ProjectUse]:
        """Return at most ``count`` rows, of which the last one stands for all others."""
        return merged_rows(self.rows, count, "others")

    def as_json(self) -> str:
        """Return the use as text."""
        moments = (self.resets_at.timestamp(), self.as_of.timestamp())
        return json.dumps([self.key, moments[0], self.utilization, moments[1], *self[4:]])

    @classmethod
    def from_json(cls, text: str) -> WindowUse:
        """Return the use in a text of `as_json`. Raises ValueError, TypeError."""
        key, resets_at, utilization, as_of, rows, *rest = json.loads(text)
        return cls(
            key,
            datetime.fromtimestamp(resets_at, UTC),
            utilization,
            datetime.fromtimestamp(as_of, UTC),
            tuple(ProjectUse(*row) for row in rows),
            *rest,
        )


def merged_rows(rows: Sequence[ProjectUse], count: int, noun: str) -> list[ProjectUse]:
    """Return the first rows, and one for all others if there are more than ``count``."""
    if len(rows) <= count:
        return list(rows)
    first, others = rows[: count - 1], rows[count - 1 :]
    points, share = sum(row.points for row in others), sum(row.share for row in others)
    return [*first, ProjectUse(f"{len(others)} {noun}", points, share)]


def error_text(points: float) -> str:
    """Return the error of points: ``± 2 points``."""
    return f"± {round(points)} point{'' if round(points) == 1 else 's'}"
