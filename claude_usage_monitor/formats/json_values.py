"""Values in the JSON document; unknown stays ``None``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from claude_usage_monitor.usage.durations import iso_instant

if TYPE_CHECKING:
    from decimal import Decimal

Json: TypeAlias = dict[str, object]


def instant(moment: datetime | None) -> str | None:
    """Return an instant in UTC with a ``Z``."""
    return None if moment is None else iso_instant(moment)


def rounded(number: float | None, digits: int = 2) -> float | None:
    """Return a number rounded to ``digits`` decimals."""
    return None if number is None else round(number, digits)


def amount(value: Decimal | None) -> float | None:
    """Return an amount of money as a float."""
    return None if value is None else float(value)
