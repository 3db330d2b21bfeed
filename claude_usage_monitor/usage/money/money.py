"""Amounts of money and large counts as text."""

from __future__ import annotations

from claude_usage_monitor.light_typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # importing it takes 1 ms
    from decimal import Decimal

Amount: TypeAlias = "Decimal | float"
"""An organization's, which is a sum of many, or a subscription's, which is only shown."""

_UNITS = ("", "k", "M", "G", "T")
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def money(amount: Amount, currency: str | None, *, ascii_only: bool = False) -> str:
    """Return the amount with its currency's sign, else its code, two decimals: ``$1,047.52``.

    Without a known currency (``None``) the number stands alone: a dollar sign would be a guess.
    """
    figure = f"{abs(amount):,.2f}"
    minus = "-" if amount < 0 else ""
    if currency is None:
        return minus + figure
    sign = _SIGNS.get(currency)
    if sign is None or (ascii_only and not sign.isascii()):
        return f"{minus}{currency} {figure}"
    return f"{minus}{sign}{figure}"


def compact(count: int) -> str:
    """Return a count in a few characters: ``950``, ``12.3k``, ``1.2M``, ``45.0G``."""
    figure, power = float(count), 0
    while figure >= 999.5 and power < len(_UNITS) - 1:
        figure, power = figure / 1000, power + 1
    if not power:
        return str(count)
    return f"{figure:.{0 if figure >= 99.95 else 1}f}{_UNITS[power]}"
