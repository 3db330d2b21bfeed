"""Claude Pace Maker's folder, ``~/.claude-pace-maker``, however it was installed: read only.

We never import its code, read its secrets, or create or change a file in its folder. An unreadable
part is reported as a gap; the rest is still shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from claude_usage_monitor.errors import UnexpectedResponse
from claude_usage_monitor.files import StrPath
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.anthropic.usage_body import usage_from
from claude_usage_monitor.sources.pace_maker import database, folder
from claude_usage_monitor.sources.pace_maker.folder import Settings
from claude_usage_monitor.sources.pace_maker.rows import DATABASE, Rows
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.throttling import Gap, GapReason, Mode, PacedWindow, Throttling

_CLOCK_TICK = timedelta(seconds=1)  # a second change within it may leave the same mtime
_MAX_BACKOFF = timedelta(days=1)  # no Retry-After is longer
_FIRST_BACKOFF, _MAX_DOUBLED_BACKOFF = timedelta(minutes=5), timedelta(hours=1)
_MAX_CATEGORY_LENGTH = 40
_NO_ROWS = Rows({}, {}, {}, {}, {})


class PaceMakerSnapshot(NamedTuple):
    """Pace Maker's state, and the last usage that it has received from the API.

    ``polled_at`` is when it received this usage, by this computer's clock. ``refused_at`` is the
    latest possible time at which the API began to refuse its requests. ``backoff_known`` is
    whether the table with its back-off could be read.
    """

    throttling: Throttling
    usage: Usage | None = None
    polled_at: datetime | None = None
    refused_at: datetime | None = None
    backoff_known: bool = True


class PaceMaker:
    """Reads the folder again only after one of its files has changed."""

    def __init__(self, folder: StrPath) -> None:
        self.folder = folder
        self._path = Path(folder)
        self._database = self._path / DATABASE
        self._cached: tuple[object, PaceMakerSnapshot] | None = None
        self._last_rows = _NO_ROWS

    def read(self, now: datetime, clock_skew: timedelta = timedelta()) -> PaceMakerSnapshot | None:
        """Return Pace Maker's current state; ``None`` if it is not installed. Raises nothing.

        ``clock_skew`` is how far this computer's clock is ahead of the API's: the usage is
        returned with the API's time.
        """
        signature = database.signature(self._database)
        files = tuple(database.stamp(self._path / name) for name in (folder.CONFIG, folder.STATE))
        if signature[0] is None and files[0] is None:
            return None
        key = (clock_skew, signature, files)
        if self._cached is not None and self._cached[0] == key:
            return self._cached[1]
        try:
            self._last_rows = database.read_rows(self._database, now)
            gaps = list(self._last_rows.gaps)
        except database.Unreadable as error:
            gaps = [error.gap]  # the last rows are shown
        settings = folder.read_settings(self._path, gaps)
        snapshot = _snapshot(self._last_rows, settings, now, clock_skew, gaps)
        if _unchanged_for_a_tick((*signature, *files), now):
            self._cached = key, snapshot
        return snapshot


def _unchanged_for_a_tick(stamps: tuple[object, ...], now: datetime) -> bool:
    """Return whether the last change is so old that a later one gets a different mtime."""
    newest = max((stamp[0] for stamp in stamps if isinstance(stamp, tuple)), default=0)
    return bool(newest < (now - _CLOCK_TICK).timestamp() * 1e9)


def _snapshot(
    rows: Rows, settings: Settings, now: datetime, clock_skew: timedelta, gaps: list[Gap]
) -> PaceMakerSnapshot:
    mode = _mode(rows)
    polled_at = values.instant(rows.api_cache.get("timestamp"))
    usage = _usage(rows, polled_at, clock_skew, gaps)
    backoff_until = _backoff_until(rows, now, gaps)
    throttling = Throttling(
        enabled=settings.enabled,
        should_throttle=_flag(rows.pacing_decisions.get("should_throttle")),
        delay_seconds=values.number(rows.pacing_decisions.get("delay_seconds")),
        decided_at=values.instant(rows.pacing_decisions.get("timestamp")),
        tempo=settings.tempo,
        mode=mode,
        limiters=settings.limiters,
        backoff_until=backoff_until,
        windows=_windows(rows, settings, estimating=mode == "fallback"),
        blockage_events=_blockage_events(rows),
        as_of=values.instant(rows.snapshot.get("timestamp")),
        last_interaction=settings.last_interaction,
        tempo_threshold=settings.tempo_threshold,
        poll_interval=settings.poll_interval,
        gaps=tuple(gaps),
    )
    return PaceMakerSnapshot(
        throttling,
        usage,
        polled_at,
        refused_at=_refused_at(rows, backoff_until),
        backoff_known=not any(gap.part in (DATABASE, "backoff_state") for gap in gaps),
    )


def _flag(value: object) -> bool | None:
    figure = values.number(value)
    return None if figure is None else figure != 0


def _mode(rows: Rows) -> Mode | None:
    """Return the mode; an empty table means normal."""
    state = rows.fallback_state.get("state")
    if state == "fallback":
        return "fallback"
    table_known = rows != _NO_ROWS and all(gap.part != "fallback_state_v2" for gap in rows.gaps)
    return "normal" if state == "normal" or (state is None and table_known) else None


def _windows(rows: Rows, settings: Settings, *, estimating: bool) -> tuple[PacedWindow, ...]:
    """Return the windows that Pace Maker paces by; while it estimates, without utilizations."""
    if not estimating and not rows.snapshot:
        return ()
    windows = []
    for key, suffix, limited in (
        ("five_hour", "5h", settings.limiters.five_hour),
        ("seven_day", "7d", settings.limiters.seven_day),
    ):
        if estimating:
            utilization = None
            resets_at = values.instant(rows.fallback_state.get(f"resets_at_{suffix}"))
        else:
            utilization = values.percent(rows.snapshot.get(f"{key}_util"))
            resets_at = values.instant(rows.snapshot.get(f"{key}_resets_at"))
            if utilization == 0 and resets_at is None:
                utilization = None  # the API did not report this window
        windows.append(
            PacedWindow(key, utilization, resets_at, limited, estimating, settings.preload)
        )
    return tuple(windows)


def _usage(
    rows: Rows, polled_at: datetime | None, clock_skew: timedelta, gaps: list[Gap]
) -> Usage | None:
    """Return the last response of the API as a reading."""
    body = rows.api_cache.get("raw_response")
    if not isinstance(body, str) or polled_at is None:
        return None
    try:
        return usage_from(body.encode(), polled_at - clock_skew, "pace-maker")
    except UnexpectedResponse:
        gaps.append(Gap("api_cache", GapReason.UNUSABLE_VALUE, ("raw_response",)))
        return None


def _backoff_until(rows: Rows, now: datetime, gaps: list[Gap]) -> datetime | None:
    """Return the end of Pace Maker's back-off, unless it is impossibly late."""
    until = values.instant(rows.backoff_state.get("backoff_until"))
    if until is not None and until > now + _MAX_BACKOFF:
        gaps.append(Gap("backoff_state", GapReason.UNUSABLE_VALUE, ("backoff_until",)))
        return None
    return until


def _refused_at(rows: Rows, until: datetime | None) -> datetime | None:
    """Return the latest possible start of a back-off.

    Its length is at least what Pace Maker waits without a Retry-After: 10 min, doubling to an hour.
    """
    if until is None:
        return None
    count = values.number(rows.backoff_state.get("consecutive_429s")) or 1.0
    wait: timedelta = _FIRST_BACKOFF * 2 ** int(min(count, 10.0))
    return until - min(wait, _MAX_DOUBLED_BACKOFF)


def _blockage_events(rows: Rows) -> tuple[tuple[str, datetime], ...]:
    events = (
        (values.text(category, _MAX_CATEGORY_LENGTH), values.instant(at))
        for category, at in rows.blockage_events
    )
    return tuple((category, at) for category, at in events if category and at)
