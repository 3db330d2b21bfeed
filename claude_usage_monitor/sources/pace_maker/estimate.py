"""The windows Claude Pace Maker paces by: as the API told it, or as it estimates them itself.

While the API refuses it, it goes on from the last figures by the tokens used since: baseline plus
dollars times a coefficient. Redone here by its own rule, so that what is shown is what it acts on.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.sources import values
from claude_usage_monitor.usage.throttling import Limiters, PacedWindow
from claude_usage_monitor.usage.throttling_targets import FIVE_HOURS, SEVEN_DAYS

if TYPE_CHECKING:
    from claude_usage_monitor.sources.pace_maker.rows import Rows

# tier -> percent of a window a dollar is, as a share: the five-hour one, the seven-day one
_COEFFICIENTS = {"5x": (0.0075, 0.0011), "20x": (0.001875, 0.000275)}
_HIGHEST_ESTIMATE = 100.0
_LONGEST_AGO = timedelta(days=366)  # older rows are not rolled forward


class _Kind(NamedTuple):
    key: str
    prefix: str  # in api_cache
    suffix: str  # in fallback_state_v2
    length: timedelta


_KINDS = (
    _Kind("five_hour", "five_hour", "5h", FIVE_HOURS),
    _Kind("seven_day", "seven_day", "7d", SEVEN_DAYS),
)


def windows_from(
    rows: Rows, now: datetime, limiters: Limiters, preload: timedelta, *, synthetic: bool
) -> tuple[tuple[PacedWindow, ...], datetime | None]:
    """Return its windows, and until when estimates hold: an estimated window rolls on."""
    if not synthetic and not rows.snapshot:
        return (), None
    windows = []
    for kind, limited in zip(_KINDS, (limiters.five_hour, limiters.seven_day), strict=True):
        utilization, resets_at = _estimated(rows, kind, now) if synthetic else _reported(rows, kind)
        windows.append(PacedWindow(kind.key, utilization, resets_at, limited, synthetic, preload))
    ends = [window.resets_at for window in windows if window.resets_at is not None]
    return tuple(windows), min(ends, default=None) if synthetic else None


def _reported(rows: Rows, kind: _Kind) -> tuple[float | None, datetime | None]:
    """Return a window's figures; 0 % that never resets is how it stores what it was not told."""
    utilization = values.percent(rows.snapshot.get(f"{kind.prefix}_util"))
    resets_at = values.instant(rows.snapshot.get(f"{kind.prefix}_resets_at"))
    return (None if resets_at is None and not utilization else utilization), resets_at


def _estimated(rows: Rows, kind: _Kind, now: datetime) -> tuple[float | None, datetime | None]:
    state = rows.fallback_state
    resets_at = values.instant(state.get(f"resets_at_{kind.suffix}"))
    tier = values.text(state.get("tier")) or "5x"
    position = _KINDS.index(kind)
    default = _COEFFICIENTS.get(tier, _COEFFICIENTS["5x"])[position]
    calibrated = (rows.coefficients or {}).get(f"coefficient_{kind.suffix}")
    coefficient = values.number(calibrated)
    per_dollar = (default if coefficient is None else coefficient) * 100
    began = values.number(state.get("entered_at")) or 0.0
    if resets_at is not None and now - _LONGEST_AGO < resets_at <= now:
        resets_at += ((now - resets_at) // kind.length + 1) * kind.length
        spent = _spent(rows, max(began, (resets_at - kind.length).timestamp()))
        return min(spent * per_dollar, _HIGHEST_ESTIMATE), resets_at
    spent = _spent(rows, began)
    before = values.number(state.get(f"rollover_cost_{kind.suffix}"))
    if before is not None:
        return min(max(0.0, spent - before) * per_dollar, _HIGHEST_ESTIMATE), resets_at
    baseline = values.percent(state.get(f"baseline_{kind.suffix}"))
    if baseline is None:
        return None, resets_at
    return min(baseline + spent * per_dollar, _HIGHEST_ESTIMATE), resets_at


def _spent(rows: Rows, since: float) -> float:
    """Return the dollars of the token costs since an epoch."""
    found = ((values.number(at), values.number(dollars)) for at, dollars in rows.costs)
    return sum(dollars for at, dollars in found if at is not None and dollars and at >= since)
