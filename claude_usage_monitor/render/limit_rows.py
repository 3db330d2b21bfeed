"""The text of a limit's row: a window, extra usage, a credit pool, or a month's budget."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from claude_usage_monitor.render.theme import ASCII, RenderOptions
from claude_usage_monitor.usage.durations import clock_time, countdown
from claude_usage_monitor.usage.limits.pace import FULL
from claude_usage_monitor.usage.limits.windows import (
    CreditPool,
    ExtraUsage,
    Usage,
    UsageWindow,
    percent_text,
)
from claude_usage_monitor.usage.money.money import money

if TYPE_CHECKING:
    from decimal import Decimal

    from claude_usage_monitor.usage.money.spend import Spend

_MIN_ELAPSED_PERCENT = 1.0  # of a window's time: before that an average rate predicts nothing


class LimitRow(NamedTuple):
    """A row's texts, each as candidates from the richest to the poorest.

    ``brief`` is shown beside the percent (a countdown, an amount), ``detail`` and ``forecast`` on
    separate lines. ``utilization`` is ``None`` where no percent may be shown. ``tick`` is where
    an even pace would be now, ``target`` Claude Pace Maker's target, both in percent. ``key`` is
    a window's key. ``unlimited`` spend has no percent.
    """

    label: str
    short_label: str
    utilization: float | None
    tick: float | None
    brief: tuple[str, ...]
    detail: tuple[str, ...]
    forecast: tuple[str, ...] = ()
    binding: bool = False
    key: str | None = None
    target: float | None = None
    unlimited: bool = False

    @property
    def percent(self) -> str:
        """The whole percentage, as ``78``, ``<1`` or ``>99``; ``—`` when unknown."""
        if self.utilization is None:
            return "" if self.unlimited else "—"
        return percent_text(self.utilization)


def limit_rows(usage: Usage, now: datetime, options: RenderOptions) -> tuple[LimitRow, ...]:
    """Return the rows of a reading, in the order they are shown."""
    rows = [_window(window, now, options) for window in usage.at(now).windows]
    if usage.extra_usage is not None:
        rows += _extra_usage(usage.extra_usage, options)
    return (*rows, *(_credit_pool(pool, now, options) for pool in usage.credit_pools))


def _window(window: UsageWindow, now: datetime, options: RenderOptions) -> LimitRow:
    left = window.time_until_reset(now)
    brief, detail = _reset(window, left, now, options)
    utilization = window.utilization
    if window.resets_at is None and not utilization:
        utilization = None
    return LimitRow(
        label=options.text(window.label),
        short_label=options.text(window.short_label),
        utilization=utilization,
        tick=window.time_elapsed_percent(now) if utilization is not None else None,
        brief=brief,
        detail=detail,
        forecast=_forecast(window, now),
        binding=window.binding,
        key=window.key,
    )


def _reset(
    window: UsageWindow, left: timedelta | None, now: datetime, options: RenderOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ``brief`` and ``detail``: when the window resets, and how its pace compares."""
    if left is None or window.resets_at is None:
        if window.utilization is None:
            return ("no figure", "?"), ("no figure",)
        return ("not started", "idle"), ("not started",)
    if window.state(now) == "reset":
        return ("reset",), (options.text("reset · waiting for figures"), "reset")
    resets = f"resets in {countdown(left)}"
    resets_at = f"{resets}, {clock_time(window.resets_at, now, options.clock)}"
    dot = f" {options.glyphs.dot} "
    if window.utilization is None:
        detail = [f"{resets_at}{dot}no figure", f"{resets}{dot}no figure", "no figure"]
    else:
        pace = _pace(window, now) or ("",)
        detail = [f"{when}{dot}{p}" if p else when for when in (resets_at, resets) for p in pace]
        detail.append(resets)
    return (countdown(left), countdown(left, compact=True)), tuple(detail)


def _pace(window: UsageWindow, now: datetime) -> tuple[str, ...]:
    if window.utilization is not None and window.utilization >= FULL:
        return ("used up",)
    delta, pace = window.pace_delta(now), window.pace(now)
    if delta is None or pace is None:
        return ()
    if pace == "on":
        return ("on pace",)
    points = max(1, round(abs(delta)))
    short = f"{points} pt{'' if points == 1 else 's'} {pace}"
    return (f"{short} pace", short)


def _forecast(window: UsageWindow, now: datetime) -> tuple[str, ...]:
    full_at, elapsed = window.full_at(now), window.time_elapsed_percent(now)
    if full_at is None or window.resets_at is None or elapsed is None:
        return ()
    if window.pace(now) != "over" or elapsed < _MIN_ELAPSED_PERCENT:
        return ()
    short = f"full in {countdown(full_at - now)}"
    return f"{short}, {countdown(window.resets_at - full_at)} before the reset", short


def _extra_usage(extra: ExtraUsage, options: RenderOptions) -> list[LimitRow]:
    """Return the row of extra usage; none if it is off and was never used."""
    if extra.enabled is False and not extra.used and extra.disabled_reason is None:
        return []
    if extra.used is None and extra.utilization is None and extra.disabled_reason is None:
        return []
    brief, detail = _amounts(extra.used, extra.limit, extra.currency, options)
    if extra.limit is None and extra.enabled and detail:
        detail = (f"{detail[0]}, no limit", *detail)
    if extra.enabled is False or extra.disabled_reason is not None:
        reason = (extra.disabled_reason or "").replace("_", " ")
        off = options.text(f"off: {reason}" if reason else "off")
        detail = (*(f"{text} {options.glyphs.dot} {off}" for text in detail), off)
        brief = brief or (off, "off")
    return [LimitRow("Extra", "Extra", extra.utilization, None, brief, detail)]


def _credit_pool(pool: CreditPool, now: datetime, options: RenderOptions) -> LimitRow:
    brief, detail = _amounts(pool.used, pool.limit, pool.currency, options)
    if pool.expires_at is not None:
        verb = "expires" if pool.expires_at > now else "expired"
        expiry = f"{verb} {clock_time(pool.expires_at, now, options.clock)}"
        with_expiry = tuple(f"{text} {options.glyphs.dot} {expiry}" for text in detail)
        detail = (*with_expiry, *detail, expiry)
    label = options.text(pool.label)
    return LimitRow(label, label, pool.utilization, None, brief, detail)


def month_row(spend: Spend, now: datetime, options: RenderOptions) -> LimitRow:
    """Return an organization's month as a row, against its budget if it has one."""
    spent = spend.month_to_date
    brief, detail = _amounts(spent, spend.budget, spend.currency, options)
    if spent is not None:
        whole = _money(spent.quantize(1), spend.currency, options)
        thousands = _money(spent / 1000, spend.currency, options)
        brief = (*brief, whole.removesuffix(".00"), f"{thousands[:-1]}k", f"{thousands[:-3]}k")
    return LimitRow(
        label="Month",
        short_label="Month",
        utilization=spend.budget_percent,
        tick=None if spend.budget_percent is None else spend.elapsed_percent(now),
        brief=brief or ("no figure", "?"),
        detail=detail,
        unlimited=spent is not None and spend.budget is None,
    )


def _amounts(
    used: Decimal | None, limit: Decimal | None, currency: str | None, options: RenderOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ``brief`` and ``detail`` of an amount used and its limit."""
    shown_limit = None if limit is None else _money(limit, currency, options)
    if used is None:
        return (), (() if shown_limit is None else (f"of {shown_limit}",))
    amount = _money(used, currency, options)
    if shown_limit is None:
        return (amount,), (f"{amount} used",)
    ratio = f"{amount}/{shown_limit}"
    return (ratio, amount), (f"{amount} of {shown_limit}", ratio)


def _money(amount: Decimal, currency: str | None, options: RenderOptions) -> str:
    return money(amount, currency, ascii_only=options.glyphs is ASCII)
