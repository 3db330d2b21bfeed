"""Read JSON from outside field by field, so that one bad field does not affect the others.

Each reader returns ``None`` for a value that is absent, null, of another type or out of range:
unknown, never a default. We use the standard library, because a strict parser would
reject a whole reply for one ``NaN``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isfinite

from claude_usage_monitor.light_typing import TypeAlias
from claude_usage_monitor.sources.text import MAX_LENGTH, clean

JsonObject: TypeAlias = dict[str, object]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_MIN_MILLISECONDS = 1e11  # smaller epochs are in seconds; in seconds, this is the year 5138
_MAX_PERCENT = 1000.0
_MAX_DIGITS = 18  # of an integer; int() rejects thousands of digits


def parse_json(body: bytes, parse_float: Callable[[str], object] | None = None) -> object:
    """Return the parsed body, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    ``parse_float`` gets the text of a fraction; without it, fractions are floats. Raises ValueError
    when the body is not JSON, or nested too deeply.
    """
    encoding = json.detect_encoding(body)
    try:
        return json.loads(
            body.decode(encoding, errors="replace"), parse_int=_integer, parse_float=parse_float
        )
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def parse_json_object(
    body: bytes, parse_float: Callable[[str], object] | None = None
) -> JsonObject | None:
    """Return the JSON object in a body, parsed as `parse_json` does; ``None`` if it is not one."""
    try:
        return json_object(parse_json(body, parse_float))
    except ValueError:
        return None


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float("nan")


def json_object(value: object) -> JsonObject | None:
    """Return a JSON object, else ``None``."""
    return value if isinstance(value, dict) else None


def boolean(value: object) -> bool | None:
    """Return a JSON boolean, else ``None``."""
    return value if isinstance(value, bool) else None


def number(value: object) -> float | None:
    """Return a finite, non-negative JSON number, else ``None``: no figure here is negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None


def percent(value: object) -> float | None:
    """Return a percentage up to 1000, else ``None``: the field once contained an epoch."""
    figure = number(value)
    return figure if figure is not None and figure <= _MAX_PERCENT else None


def text(value: object, limit: int = MAX_LENGTH) -> str | None:
    """Return a cleaned, non-empty string, else ``None``."""
    return (clean(value, limit) or None) if isinstance(value, str) else None


def instant(value: object) -> datetime | None:
    """Return an aware UTC instant between 2020 and 2100, else ``None``.

    Accepts ISO 8601 (``Z``, an offset, or none, then UTC; any length of fraction) and an epoch in
    seconds or milliseconds, as a number or in digits.
    """
    moment: datetime | None = None
    if isinstance(value, str):
        try:
            return instant(float(value)) if _is_epoch(value) else _in_range(_from_iso(value))
        except (ValueError, OverflowError):
            return None
    epoch = number(value)
    if epoch is not None:
        seconds = epoch / 1000 if epoch >= _MIN_MILLISECONDS else epoch
        if seconds < _LATEST.timestamp():
            moment = datetime.fromtimestamp(seconds, UTC)
    return _in_range(moment)


def expiry(value: object) -> datetime | None:
    """Return when a token expires; ``None`` if that is unknown or after 2100.

    Unlike `instant`, this accepts any time in the past: a token that expired in 1970 has expired.
    An epoch that is after 2100 in seconds is in milliseconds.
    """
    if isinstance(value, str):
        try:
            return expiry(float(value)) if _is_epoch(value) else _before_latest(_from_iso(value))
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    seconds = value if value < _LATEST.timestamp() else value / 1000
    return _before_latest(_EPOCH + timedelta(seconds=min(max(seconds, 0), _LATEST.timestamp())))


def _is_epoch(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS


def _from_iso(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _before_latest(moment: datetime) -> datetime | None:
    return moment if moment < _LATEST else None


def _in_range(moment: datetime | None) -> datetime | None:
    return moment if moment is not None and _EARLIEST <= moment < _LATEST else None
