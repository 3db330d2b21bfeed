"""How much a message weighs in a window, by two opinions, and its price in the API's list.

No formula is published, so neither opinion turns tokens into percent: they only divide a measured
utilization. Credits fit public measurements best; list prices are the second opinion, and the
difference of both is a part of the error that is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.attribution.messages import Meter, Tokens, Use

Weighting = Callable[[Use], float]

_OUTPUT_RATE = 5.0  # of input's
_CACHE_READ_RATE = 0.003  # of input's; cache reads are nine of ten tokens, and weigh almost nothing
_CREDITS = {"fable": 20.0, "mythos": 20.0, "opus": 10.0, "sonnet": 5.0, "haiku": 2.0}
_OTHER_CREDITS = 5.0

_MILLION = 1_000_000
_SEARCH_PRICE = 0.01  # USD
_WRITE_5M, _WRITE_1H = 1.25, 2.0  # of input's price
_OCTOBER_7 = 1_791_331_200  # 2026-10-07, in seconds since the epoch


class _Price(NamedTuple):
    """USD per million tokens. ``fast`` multiplies them in fast mode."""

    input: float
    output: float
    cache_read: float
    fast: float = 1.0


# Model prefix: prices, each with the second from which it applies. The longest prefix counts.
_PRICES: dict[str, tuple[tuple[int, _Price], ...]] = {
    "claude-fable-5-1": ((0, _Price(10, 50, 0.25)),),
    "claude-mythos-5-1": ((0, _Price(10, 50, 0.25)),),
    "claude-fable-5": ((0, _Price(10, 50, 1)),),
    "claude-mythos-5": ((0, _Price(10, 50, 1)),),
    "claude-opus-5-5": ((0, _Price(4, 20, 0.2)),),
    "claude-opus-5": ((0, _Price(5, 25, 0.5, fast=2)),),
    "claude-opus-4-8": ((0, _Price(5, 25, 0.5, fast=2)),),
    "claude-opus-4-7": ((0, _Price(5, 25, 0.5, fast=6)),),
    "claude-opus-4-6": ((0, _Price(5, 25, 0.5, fast=6)),),
    "claude-opus-4-5": ((0, _Price(5, 25, 0.5)),),
    "claude-opus-4-1": ((0, _Price(15, 75, 1.5)),),
    "claude-opus-4": ((0, _Price(15, 75, 1.5)),),
    "claude-sonnet-5-5": ((0, _Price(2, 10, 0.2)), (_OCTOBER_7, _Price(2, 10, 0.1))),
    "claude-sonnet-5": ((0, _Price(2, 10, 0.2)),),
    "claude-sonnet-4": ((0, _Price(3, 15, 0.3)),),
    "claude-haiku-5-5": ((0, _Price(0.1, 0.5, 0.01)),),
    "claude-haiku-4-5": ((0, _Price(1, 5, 0.1)),),
    "claude-3-5-haiku": ((0, _Price(0.8, 4, 0.08)),),
}
_DATE = re.compile(r"-20\d{6}.*")
_PREFIXES = sorted(_PRICES, key=len, reverse=True)


def credit_units(use: Use) -> float:
    """Return the weight by credits: output five times input, cache reads almost free."""
    if use.meter != Meter.LIMITS:
        return 0.0
    tokens = use.tokens
    fresh = tokens.input + tokens.cache_write_5m + tokens.cache_write_1h
    weight = fresh + _OUTPUT_RATE * tokens.output + _CACHE_READ_RATE * tokens.cache_read
    return _credit_rate(use.model) * weight


def price_units(use: Use) -> float:
    """Return the weight by list price; a model without one weighs as much as Sonnet's."""
    if use.meter != Meter.LIMITS:
        return 0.0
    return usd(use) or usd(use._replace(model="claude-sonnet-5")) or 0.0


def usd(use: Use) -> float | None:
    """Return the price in the API's list, in USD; ``None`` for a model that is not in it."""
    price = _price(use.model, use.at)
    if price is None:
        return None
    tokens: Tokens = use.tokens
    writes = _WRITE_5M * tokens.cache_write_5m + _WRITE_1H * tokens.cache_write_1h
    amount = (
        price.input * (tokens.input + writes)
        + price.output * tokens.output
        + price.cache_read * tokens.cache_read
    ) / _MILLION
    fast = price.fast if use.meter == Meter.FAST else 1.0
    return fast * amount + _SEARCH_PRICE * tokens.searches


def model_family(window_key: str) -> str | None:
    """Return the family of models that a window counts: empty for all, ``None`` if unknown.

    ``seven_day:fable`` and ``seven_day_opus`` count one family. A window of a surface, such as
    ``seven_day_cowork``, counts use that transcripts do not name.
    """
    if window_key in {"five_hour", "seven_day"}:
        return ""
    scope = re.split(r"[:_ ]", window_key.removeprefix("seven_day"))[1:2]
    return scope[0] if scope and scope[0] in _CREDITS else None


@lru_cache(maxsize=256)
def _credit_rate(model: str) -> float:
    return next((rate for name, rate in _CREDITS.items() if name in model), _OTHER_CREDITS)


def _price(model: str, at: int) -> _Price | None:
    """Return the prices of a model at a time."""
    return next((price for since, price in reversed(_prices(model)) if at >= since), None)


@lru_cache(maxsize=256)
def _prices(model: str) -> tuple[tuple[int, _Price], ...]:
    """Return the prices of a model with or without provider, date and options, oldest first."""
    begin = model.find("claude-")
    name = _DATE.sub("", model[begin:].partition("@")[0].partition("[")[0]) if begin >= 0 else ""
    prefix = next((p for p in _PREFIXES if name == p or name.startswith(f"{p}-")), None)
    return () if prefix is None else _PRICES[prefix]
