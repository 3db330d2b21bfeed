"""Claude Pace Maker's folder, ``~/.claude-pace-maker``, whichever way it was installed: read only.

Its code is never imported, its secrets are never looked at, and not a byte in its folder is made
or changed. What cannot be read is a gap with a name, and costs nothing else.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from claude_usage_monitor.errors import UnexpectedResponse
from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.pace_maker import database, folder
from claude_usage_monitor.sources.pace_maker.database import Unreadable
from claude_usage_monitor.sources.pace_maker.estimate import windows_from
from claude_usage_monitor.sources.pace_maker.rows import Rows
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.throttling import Mode, Throttling

_UNSETTLED = timedelta(seconds=1)  # a change this young may have another in the same clock tick
_LONGEST_BACKOFF = timedelta(days=1)  # no Retry-After is longer
_FIRST_BACKOFF, _BACKOFF_CAP = timedelta(seconds=300), timedelta(seconds=3600)
_MAX_CATEGORY = 40
_NOTHING = Rows({}, {}, {}, {}, {})


class Seen(NamedTuple):
    """What the folder holds: its state, and the last usage body the API gave it.

    ``usage`` is that body as a reading, ``polled_at`` when it came, by this computer's clock.
    ``refused_at`` is the latest instant at which the API can have begun to refuse it.
    """

    throttling: Throttling
    usage: Usage | None = None
    polled_at: datetime | None = None
    refused_at: datetime | None = None


class PaceMaker:
    """The folder, read anew only when one of its files has changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = folder / "usage.db"
        self._seen: tuple[object, datetime | None, Seen] | None = None
        self._rows: tuple[object, Rows] | None = None

    def read(self, now: datetime, clock_skew: timedelta = timedelta()) -> Seen | None:
        """Return what it holds at ``now``; ``None`` where there is no Claude Pace Maker.

        ``clock_skew`` is how far this computer's clock is ahead of the API's: readings are told
        in the API's time. Nothing is raised.
        """
        signature = database.signature(self._database)
        files = tuple(database.stamp(self.folder / name) for name in (folder.CONFIG, folder.STATE))
        if signature[0] is None and files[0] is None:
            return None  # a folder that is not, or no longer, Pace Maker's
        state = (clock_skew, signature, files)
        if self._seen is not None:
            known, good_until, seen = self._seen
            if known == state and (good_until is None or now < good_until):
                return seen
        gaps: list[str] = []
        rows = self._read_rows(signature, now, gaps)
        seen, good_until = self._assembled(rows, now, clock_skew, gaps)
        if _settled((*signature, *files), now):
            self._seen = state, good_until, seen
        return seen

    def _read_rows(self, signature: tuple[object, ...], now: datetime, gaps: list[str]) -> Rows:
        """Return the database's rows; while it cannot be read, those of the last time it could."""
        if self._rows is not None and self._rows[0] == signature:
            rows = self._rows[1]
        else:
            try:
                rows = database.read_rows(self._database, now)
            except Unreadable as error:
                gaps.append(str(error))
                return self._rows[1] if self._rows else _NOTHING
            self._rows = (signature if _settled(signature, now) else None), rows
        gaps += rows.gaps
        return rows

    def _assembled(
        self, rows: Rows, now: datetime, clock_skew: timedelta, gaps: list[str]
    ) -> tuple[Seen, datetime | None]:
        """Return what it holds, and until when that is so if nothing changes."""
        told = folder.read_settings(self.folder, gaps)
        mode = _mode(rows)
        windows, good_until = windows_from(
            rows, now, told.limiters, told.preload, synthetic=mode == "fallback"
        )
        polled_at = values.instant(rows.api_cache.get("timestamp"))
        usage = _usage(rows, polled_at, clock_skew, gaps)
        backoff_until = _backoff_until(rows, now, gaps)
        throttling = Throttling(
            enabled=told.enabled,
            should_throttle=_flag(rows.pacing_decisions.get("should_throttle")),
            delay_seconds=values.number(rows.pacing_decisions.get("delay_seconds")),
            decided_at=values.instant(rows.pacing_decisions.get("timestamp")),
            tempo=told.tempo,
            mode=mode,
            limiters=told.limiters,
            backoff_until=backoff_until,
            windows=windows,
            blocked=_blocked(rows),
            as_of=values.instant(rows.snapshot.get("timestamp")),
            last_interaction=told.last_interaction,
            tempo_rest=told.tempo_rest,
            poll_interval=told.poll_interval,
            gaps=tuple(gaps),
        )
        return Seen(throttling, usage, polled_at, _refused_at(rows, backoff_until)), good_until


def _settled(signature: tuple[object, ...], now: datetime) -> bool:
    """Return whether the last change is long enough ago that another would show."""
    newest = max((part[0] for part in signature if isinstance(part, tuple)), default=0)
    return bool(newest < (now - _UNSETTLED).timestamp() * 1e9)


def _flag(value: object) -> bool | None:
    return None if (figure := values.number(value)) is None else figure != 0


def _mode(rows: Rows) -> Mode | None:
    """Return its mode. It is normal until its table has a row."""
    state = rows.fallback_state.get("state")
    if state == "fallback":
        return "fallback"
    known = state is None and not any("fallback_state_v2" in gap for gap in rows.gaps)
    return "normal" if state == "normal" or (known and rows != _NOTHING) else None


def _usage(
    rows: Rows, polled_at: datetime | None, clock_skew: timedelta, gaps: list[str]
) -> Usage | None:
    """Return the last body the API gave it as a reading."""
    body = rows.api_cache.get("raw_response")
    if not isinstance(body, str) or polled_at is None:
        return None
    # Brings decimal in, only for those who run Pace Maker.
    from claude_usage_monitor.sources.anthropic.usage_body import usage_from

    try:
        return usage_from(body.encode(), polled_at - clock_skew, "pace-maker")
    except UnexpectedResponse:
        gaps.append("api_cache: raw_response is not usage figures")
        return None


def _backoff_until(rows: Rows, now: datetime, gaps: list[str]) -> datetime | None:
    """Return until when the API refuses it; nothing that is over or beyond reason."""
    until = values.instant(rows.backoff_state.get("backoff_until"))
    if until is not None and until > now + _LONGEST_BACKOFF:
        gaps.append("backoff_state: backoff_until is beyond reason")
        return None
    return until


def _refused_at(rows: Rows, until: datetime | None) -> datetime | None:
    """Return when a back-off began at the latest: it doubles from ten minutes to an hour."""
    if until is None:
        return None
    repeats = values.number(rows.backoff_state.get("consecutive_429s")) or 1.0
    doubled: timedelta = _FIRST_BACKOFF * 2 ** int(min(repeats, 10.0))
    return until - min(doubled, _BACKOFF_CAP)


def _blocked(rows: Rows) -> tuple[tuple[str, datetime], ...]:
    found = (
        (values.text(category, _MAX_CATEGORY), values.instant(at))
        for category, at in rows.blockages
    )
    return tuple((category, at) for category, at in found if category and at)
