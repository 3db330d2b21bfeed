"""The rows of Claude Pace Maker's database that are of use here, whatever its schema has become.

A table or a column that is missing, or cannot be read, is a gap with a name and costs no other.
The ``secrets`` table is never named.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, TypeAlias

Row: TypeAlias = dict[str, object]
Pairs: TypeAlias = tuple[tuple[object, object], ...]

# What a damaged database makes of a query; its own words may be damaged too.
ERRORS = (sqlite3.Error, UnicodeError, OverflowError)

_MOST_BLOCKAGES = 1000
_MOST_COSTS = 50_000
_HOUR = 3600

_ONE_ROW = {  # table -> the columns wanted of its last row
    "api_cache": (
        "timestamp",
        "five_hour_util",
        "five_hour_resets_at",
        "seven_day_util",
        "seven_day_resets_at",
        "raw_response",
    ),
    "pacing_decisions": ("timestamp", "should_throttle", "delay_seconds"),
    "fallback_state_v2": (
        "state",
        "baseline_5h",
        "baseline_7d",
        "resets_at_5h",
        "resets_at_7d",
        "tier",
        "entered_at",
        "rollover_cost_5h",
        "rollover_cost_7d",
    ),
    "backoff_state": ("consecutive_429s", "backoff_until"),
}
_SNAPSHOT = _ONE_ROW["api_cache"][:-1]


class Rows(NamedTuple):
    """The last row of each table, as it stands there, and what could not be read.

    ``snapshot`` is that of ``api_cache``, or of the older ``usage_snapshots``. ``blockages`` are
    the last hour's: (category, epoch). While it estimates, ``costs`` are its token costs since it
    began to: (epoch, dollars), and ``coefficients`` its calibrated ones.
    """

    api_cache: Row
    pacing_decisions: Row
    fallback_state: Row
    backoff_state: Row
    snapshot: Row
    blockages: Pairs = ()
    costs: Pairs = ()
    coefficients: Row | None = None
    gaps: tuple[str, ...] = ()


def rows_of(connection: sqlite3.Connection, now: datetime, gaps: list[str]) -> Rows:
    """Return the rows of an open database. Nothing is raised: what fails joins ``gaps``."""
    return _Reading(connection, list(gaps)).rows(now)


def reason_of(error: Exception | None) -> str:
    """Return what an error of SQLite means for who wants to read, in words."""
    words = str(error)
    if "locked" in words or "busy" in words:
        return "is locked by another program"
    if "unable to open" in words or "readonly" in words:
        return "cannot be read while it is in use"
    if "interrupted" in words:
        return "is too slow to read"
    if (
        isinstance(error, UnicodeError)
        or "malformed" in words
        or "not a database" in words
        or "encrypted" in words
    ):
        return "is damaged"
    return "cannot be read"


class _Reading:
    """One pass over an open database; what fails is named in ``gaps`` and costs nothing else."""

    def __init__(self, connection: sqlite3.Connection, gaps: list[str]) -> None:
        self._connection = connection
        self._gaps = gaps

    def rows(self, now: datetime) -> Rows:
        last = {table: self._last(table, wanted) for table, wanted in _ONE_ROW.items()}
        fallback = last["fallback_state_v2"]
        estimating = fallback.get("state") == "fallback"
        return Rows(
            api_cache=last["api_cache"],
            pacing_decisions=last["pacing_decisions"],
            fallback_state=fallback,
            backoff_state=last["backoff_state"],
            snapshot=last["api_cache"] or self._last("usage_snapshots", _SNAPSHOT, named=False),
            blockages=self._blockages(now.timestamp() - _HOUR),
            costs=self._costs(fallback.get("entered_at") or 0) if estimating else (),
            coefficients=self._coefficients(fallback.get("tier")) if estimating else None,
            gaps=tuple(self._gaps),
        )

    def _columns(self, table: str, wanted: Iterable[str], *, named: bool = True) -> list[str]:
        """Return which of the wanted columns there are."""
        there = {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}
        missing = [column for column in wanted if column not in there]
        if named and not there:
            self._gaps.append(f"usage.db has no table {table}")
        elif named and missing:
            self._gaps.append(f"{table} has no {', '.join(missing)}")
        return [column for column in wanted if column in there]

    def _last(self, table: str, wanted: Iterable[str], *, named: bool = True) -> Row:
        try:
            columns = self._columns(table, wanted, named=named)
            if not columns:
                return {}
            row = self._connection.execute(
                f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid DESC LIMIT 1"  # noqa: S608
            ).fetchone()
        except ERRORS as error:
            self._fail(table, error)
            return {}
        return dict(zip(columns, row, strict=True)) if row else {}

    def _blockages(self, since: float) -> Pairs:
        """Return category and epoch of what was blocked since, of the newest rows there are."""
        found = self._pairs(
            "blockage_events",
            ("category", "timestamp"),
            "SELECT category, timestamp FROM (SELECT category, timestamp FROM blockage_events"
            " ORDER BY rowid DESC LIMIT ?) WHERE timestamp >= ?",
            (_MOST_BLOCKAGES, since),
        )
        if len(found) == _MOST_BLOCKAGES:
            self._gaps.append(f"blockage_events: only the newest {_MOST_BLOCKAGES} are counted")
        return found

    def _costs(self, since: object) -> Pairs:
        """Return epoch and dollars of the token costs since."""
        found = self._pairs(
            "accumulated_costs",
            ("timestamp", "cost_dollars"),
            "SELECT timestamp, cost_dollars FROM accumulated_costs WHERE timestamp >= ? LIMIT ?",
            (since, _MOST_COSTS),
        )
        if len(found) == _MOST_COSTS:
            self._gaps.append(f"accumulated_costs: only {_MOST_COSTS} are counted")
        return found

    def _pairs(
        self, table: str, wanted: tuple[str, str], query: str, bounds: tuple[object, object]
    ) -> Pairs:
        try:
            if len(self._columns(table, wanted)) < len(wanted):
                return ()
            return tuple(self._connection.execute(query, bounds).fetchall())
        except ERRORS as error:
            self._fail(table, error)
            return ()

    def _coefficients(self, tier: object) -> Row | None:
        """Return the tier's calibrated coefficients, if it has any."""
        wanted = ("coefficient_5h", "coefficient_7d")
        try:
            if len(self._columns("calibrated_coefficients", wanted)) < len(wanted):
                return None
            row = self._connection.execute(
                "SELECT coefficient_5h, coefficient_7d FROM calibrated_coefficients"
                " WHERE tier = ? AND sample_count >= 1",
                (tier,),
            ).fetchone()
        except ERRORS as error:
            self._fail("calibrated_coefficients", error)
            return None
        return dict(zip(wanted, row, strict=True)) if row else None

    def _fail(self, table: str, error: Exception) -> None:
        self._gaps.append(f"{table} {reason_of(error)}")
