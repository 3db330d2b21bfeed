"""Money as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}


def money(amount: Decimal, currency: str | None, *, ascii_only: bool = False) -> str:
    """Return the amount with its currency's sign, else its code, two decimals: ``$1,047.52``.

    An unknown currency (``None``) gets neither: a dollar sign would be a guess.
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
    """Return a count in at most five characters: ``950``, ``12.3k``, ``1.2M``, ``45.0G``."""
    figure, unit = float(count), ""
    for unit in ("", "k", "M", "G", "T"):  # noqa: B007 - the one that fits is used
        if figure < 999.5:
            break
        figure /= 1000
    return (
        str(count)
        if not unit
        else f"{figure:.0f}{unit}"
        if figure >= 99.95
        else f"{figure:.1f}{unit}"
    )
