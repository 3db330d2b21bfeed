"""Convert instants and amounts of money to and from the columns of our databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing it takes 1 ms
    from decimal import Decimal


def milliseconds(moment: datetime) -> int:
    """Return an instant as milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)


def optional_milliseconds(moment: datetime | None) -> int | None:
    """Return an instant, if there is one, as milliseconds since the epoch."""
    return None if moment is None else milliseconds(moment)


def instant(value: int) -> datetime:
    """Return the instant for a column's milliseconds since the epoch."""
    return datetime.fromtimestamp(value / 1000, UTC)


def optional_instant(value: int | None) -> datetime | None:
    """Return the instant in a column, ``None`` for NULL."""
    return None if value is None else instant(value)


def amount_text(amount: Decimal | None) -> str | None:
    """Return an amount as text, with all its digits."""
    return None if amount is None else str(amount)


def amount(text: object) -> Decimal | None:
    """Return the amount in a text, ``None`` for NULL."""
    if text is None:
        return None
    # Takes 1 ms; only needed by accounts with money.
    from decimal import Decimal

    return Decimal(str(text))
