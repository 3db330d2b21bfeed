from __future__ import annotations

from datetime import datetime

import pytest

from claude_usage_monitor.usage.attribution.messages import Meter, Tokens, Use
from claude_usage_monitor.usage.attribution.weights import (
    credit_units,
    model_family,
    price_units,
    usd,
)

MILLION = 1_000_000
NOVEMBER = int(datetime.fromisoformat("2026-11-21T00:00:00Z").timestamp())


def use(model: str, *, at: int = NOVEMBER, meter: Meter = Meter.LIMITS, **tokens: int) -> Use:
    return of(model, Tokens(**tokens), at, meter)


def of(model: str, tokens: Tokens, at: int = NOVEMBER, meter: Meter = Meter.LIMITS) -> Use:
    return Use(at, "s", "/p", 0, "", None, "/r", model, meter, tokens)


@pytest.mark.parametrize(
    ("model", "input_price"),
    [
        ("claude-opus-5-5", 4),
        ("claude-opus-5", 5),
        ("claude-opus-4-20250514", 15),
        ("claude-opus-4-1-20250805", 15),
        ("claude-opus-4-5-20251101", 5),
        ("claude-sonnet-5-5", 2),
        ("claude-sonnet-4-5-20250929", 3),
        ("claude-haiku-4-5-20251001", 1),
        ("claude-haiku-5-5", 0.1),
        ("claude-fable-5-1", 10),
        ("us.anthropic.claude-opus-5-5-20260901-v1:0", 4),
        ("anthropic/claude-sonnet-4.6", None),
        ("claude-opus-5-5[1m]", 4),
        ("claude-opus-4-5@20251101", 5),
        ("claude-opus-55", None),
        ("claude-unheard-of-9", None),
        ("gpt-5", None),
        ("", None),
    ],
)
def test_list_prices(model: str, input_price: float | None) -> None:
    assert input_price == usd(use(model, input=MILLION))


def test_every_kind_of_token_has_its_price() -> None:
    model = "claude-opus-5-5"
    assert 20 == usd(use(model, output=MILLION))
    assert 0.2 == usd(use(model, cache_read=MILLION))
    assert 5 == usd(use(model, cache_write_5m=MILLION))
    assert 8 == usd(use(model, cache_write_1h=MILLION))
    assert 10 == usd(use(model, searches=1000))


def test_prices_have_dates() -> None:
    before = int(datetime.fromisoformat("2026-10-06T23:59:59Z").timestamp())
    assert 0.2 == usd(use("claude-sonnet-5-5", at=before, cache_read=MILLION))
    assert 0.1 == usd(use("claude-sonnet-5-5", at=before + 1, cache_read=MILLION))


def test_fast_mode_costs_more_and_weighs_nothing() -> None:
    fast = use("claude-opus-5", meter=Meter.FAST, input=MILLION)
    assert 10 == usd(fast)
    assert 0 == credit_units(fast) == price_units(fast)
    assert 0 == credit_units(use("claude-opus-5", meter=Meter.OTHER_PROVIDER, input=5))


def test_credits() -> None:
    tokens = Tokens(input=10, cache_write_5m=20, cache_write_1h=30, output=4)
    assert 800 == credit_units(of("claude-opus-5-5", tokens))
    assert 1600 == credit_units(of("claude-fable-5-1", tokens))
    assert 400 == credit_units(of("claude-sonnet-5", tokens))
    assert 160 == credit_units(of("claude-haiku-4-5", tokens))
    assert 400 == credit_units(of("claude-unheard-of-9", tokens))
    assert 30 == credit_units(use("claude-opus-5", cache_read=1000))


def test_an_unknown_model_weighs_something_by_price_too() -> None:
    assert price_units(use("gpt-5", input=MILLION)) > 0


@pytest.mark.parametrize(
    ("key", "family"),
    [
        ("five_hour", ""),
        ("seven_day", ""),
        ("seven_day:fable", "fable"),
        ("seven_day:fable 5.1", "fable"),
        ("seven_day_opus", "opus"),
        ("seven_day_sonnet", "sonnet"),
        ("seven_day_cowork", None),
        ("seven_day_oauth_apps", None),
        ("something_else", None),
    ],
)
def test_the_models_that_a_window_counts(key: str, family: str | None) -> None:
    assert family == model_family(key)
