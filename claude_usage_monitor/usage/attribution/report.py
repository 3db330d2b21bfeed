"""What the command `usage` reports, and the whole points that add up to the shown percent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.attribution.messages import Tokens
from claude_usage_monitor.usage.attribution.window_use import By, UseRow
from claude_usage_monitor.usage.limits.windows import whole_percent


class ReportedWindow(NamedTuple):
    """The window of a report."""

    key: str
    label: str
    started_at: datetime
    resets_at: datetime
    utilization: float
    is_running: bool


class LastRise(NamedTuple):
    """The last increase of a window, and the project and session that used most of it."""

    began_at: datetime
    ended_at: datetime
    points: float
    project: str | None
    session: str | None


class UseReport(NamedTuple):
    """What was used, in rows. Without a window there are no points, only tokens.

    ``elsewhere`` is ``None`` as long as it is not known. ``files``, ``bytes`` and ``skipped_lines``
    say what was read.
    """

    account: str
    by: By
    window: ReportedWindow | None
    rows: Sequence[UseRow]
    totals: Tokens
    elsewhere: float | None = None
    plus_minus: float | None = None
    basis: str | None = None
    subagents: float | None = None
    rebuilds: int = 0
    rebuilt: float = 0.0
    last_rise: LastRise | None = None
    files: int = 0
    bytes: int = 0
    skipped_lines: int = 0


def point_figures(points: Sequence[float], utilization: float) -> list[str]:
    """Return the numbers of `whole_points` as text, ``<1`` for a use that they round to 0."""
    whole = whole_points(points, utilization)
    return [
        "<1" if 0 < exact < 1 and not shown else str(shown)
        for exact, shown in zip(points, whole, strict=True)
    ]


def whole_points(points: Iterable[float], utilization: float) -> list[int]:
    """Return whole numbers that add up to the whole percent of a utilization.

    Those below a point become 0 where possible; each is at most one point from the exact one.
    """
    exact, whole = list(points), whole_percent(utilization)
    floors = [int(each) for each in exact]
    missing = whole - sum(floors)
    by_fraction = sorted(
        range(len(exact)), key=lambda n: (exact[n] < 1, floors[n] - exact[n], -exact[n])
    )
    for number in (by_fraction * 2)[: max(0, missing)]:
        floors[number] += 1
    for number in reversed(by_fraction):  # the percent was rounded down
        if missing < 0 and floors[number] > 0:
            floors[number] -= 1
            missing += 1
    return floors


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the last part of each project's path, and more of it where two would be the same."""
    parts = {path: path.replace("\\", "/").rstrip("/").split("/") for path in paths}
    names = dict.fromkeys(parts, 1)
    while True:
        shown = {path: "/".join(parts[path][-count:]) or path for path, count in names.items()}
        seen: dict[str, list[str]] = {}
        for path, name in shown.items():
            seen.setdefault(name, []).append(path)
        longer = [
            path
            for same in seen.values()
            if len(same) > 1
            for path in same
            if names[path] < len(parts[path])
        ]
        if not longer:
            return shown
        for path in longer:
            names[path] += 1


def hidden_names(
    report: UseReport, projects: Mapping[str, int], sessions: Mapping[str, int]
) -> UseReport:
    """Return the report with numbers instead of the names of projects and sessions."""
    numbers = {"project": projects, "session": sessions}.get(report.by)
    rows = report.rows
    if numbers is not None:
        rows = [row._replace(name=placeholder(report.by, numbers.get(row.name))) for row in rows]
    rise = report.last_rise
    if rise is not None:
        rise = rise._replace(
            project=rise.project and placeholder("project", projects.get(rise.project)),
            session=rise.session and placeholder("session", sessions.get(rise.session)),
        )
    return report._replace(rows=rows, last_rise=rise)


def placeholder(kind: str, number: int | None) -> str:
    """Return the name that replaces a project's or a session's."""
    return kind if number is None else f"{kind} {number}"
