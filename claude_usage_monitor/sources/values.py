"""Foreign JSON read field by field, so that one bad field costs no other.

Every reader returns ``None`` for what is absent, null, of another type or out of all reason:
unknown, never a default. Parsing is the standard library's: a strict parser would refuse a whole
reply for one ``NaN`` in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import TypeAlias

from claude_usage_monitor.sources.text import MAX_LENGTH, clean

JsonObject: TypeAlias = dict[str, object]

_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 1e11  # as seconds that is the year 5138
_HIGHEST_PERCENT = 1000.0
_LONGEST_INTEGER = 18  # digits; more is no figure of ours, and int() refuses thousands of them


def parse_json(body: bytes, *, exact: bool = False) -> object:
    """Return the parsed body; a byte order mark and UTF-16 are understood.

    ``exact`` makes its fractions Decimals. Raises ValueError when it is not JSON or nested beyond
    reason.
    """
    encoding = json.detect_encoding(body)
    fraction = _exact() if exact else None
    try:
        return json.loads(
            body.decode(encoding, errors="replace"), parse_int=_integer, parse_float=fraction
        )
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def _exact() -> Callable[[str], object]:
    from decimal import Decimal  # 5 ms that only figures of money need

    return Decimal


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float("nan")


def json_object(value: object) -> JsonObject | None:
    """Return a JSON object, else ``None``."""
    return value if isinstance(value, dict) else None


def boolean(value: object) -> bool | None:
    """Return a JSON boolean, else ``None``."""
    return value if isinstance(value, bool) else None


def number(value: object) -> float | None:
    """Return a finite, non-negative JSON number, else ``None``: no figure here is below zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None


def percent(value: object) -> float | None:
    """Return a percentage up to 1000, else ``None``: an epoch has been seen in its place."""
    figure = number(value)
    return figure if figure is not None and figure <= _HIGHEST_PERCENT else None


def text(value: object, limit: int = MAX_LENGTH) -> str | None:
    """Return a cleaned, non-empty string, else ``None``."""
    return (clean(value, limit) or None) if isinstance(value, str) else None


def instant(value: object) -> datetime | None:
    """Return an aware UTC instant between 2020 and 2100, else ``None``.

    From ISO 8601 (``Z``, an offset, or none, then UTC; any length of fraction) or from an epoch
    in seconds or milliseconds, as a number or in digits.
    """
    moment: datetime | None = None
    if isinstance(value, str):
        try:
            return instant(float(value)) if _is_digits(value) else _plausible(_from_iso(value))
        except (ValueError, OverflowError):
            return None
    epoch = number(value)
    if epoch is not None:
        seconds = epoch / 1000 if epoch >= _MILLISECONDS_FROM else epoch
        if seconds < _LATEST.timestamp():
            moment = datetime.fromtimestamp(seconds, UTC)
    return _plausible(moment)


def _is_digits(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= _LONGEST_INTEGER


def _from_iso(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _plausible(moment: datetime | None) -> datetime | None:
    return moment if moment is not None and _EARLIEST <= moment < _LATEST else None
