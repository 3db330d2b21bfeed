"""Values as the JSON document has them; unknown stays unknown."""

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


def rounded(figure: float | None, digits: int = 2) -> float | None:
    """Return a figure with as many decimals as are worth having."""
    return None if figure is None else round(figure, digits)


def amount(exact: Decimal | None) -> float | None:
    """Return an amount of money as a number."""
    return None if exact is None else float(exact)
