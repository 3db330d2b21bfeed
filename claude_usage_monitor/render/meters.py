"""Every row of figures as one kind of thing: a window, extra usage, a credit pool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

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

_TOO_EARLY = 1.0  # percent of a window's time: an average over less foresees nothing
_PACE_WORDS = {"over": "over pace", "under": "under pace"}


@dataclass(frozen=True, slots=True)
class Meter:
    """One row in words, richest first: faces take the first of each that has room.

    ``brief`` stands beside the percent (a countdown, an amount), ``detail`` on a line of its own,
    ``forecast`` on another. ``utilization`` is ``None`` where no percent may be claimed. ``key`` is
    a window's, ``target`` Claude Pace Maker's for it, in percent.
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
    unlimited: bool = False  # there is nothing that a percentage could be of

    @property
    def percent(self) -> str:
        """The percentage, whole, as ``78``, ``<1`` or ``>99``; ``—`` when unknown."""
        if self.utilization is None:
            return "" if self.unlimited else "—"
        return percent_text(self.utilization)


def meters(usage: Usage, now: datetime, options: RenderOptions) -> tuple[Meter, ...]:
    """Return the rows of a reading, in the order they are shown."""
    rows = [_window(window, now, options) for window in usage.at(now).windows]
    if usage.extra_usage is not None:
        extra = _extra(usage.extra_usage, options)
        rows += [extra] if extra else []
    return (*rows, *(_pool(pool, now, options) for pool in usage.credit_pools))


def _window(window: UsageWindow, now: datetime, options: RenderOptions) -> Meter:
    left = window.time_until_reset(now)
    brief, detail = _reset_words(window, left, now, options)
    utilization = window.utilization
    if window.resets_at is None and not utilization:
        utilization = None
    return Meter(
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


def _reset_words(
    window: UsageWindow, left: timedelta | None, now: datetime, options: RenderOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if left is None or window.resets_at is None:
        if window.utilization is None:
            return ("no figure", "?"), ("no figure",)
        return ("not started", "idle"), ("not started",)
    if window.state(now) == "reset":
        return ("reset",), (options.text("reset · waiting for figures"), "reset")
    resets = f"resets in {countdown(left)}"
    at = f"{resets}, {clock_time(window.resets_at, now, options.clock)}"
    dot = f" {options.glyphs.dot} "
    details = [at, resets]
    if window.utilization is None:
        details = [f"{at}{dot}no figure", f"{resets}{dot}no figure", "no figure"]
    pace = _pace_words(window, now)
    if pace:
        short = pace.removesuffix(" pace") if pace != "on pace" else pace
        details = [f"{when}{dot}{words}" for when in (at, resets) for words in (pace, short)]
        details.append(resets)
    return (countdown(left), countdown(left, compact=True)), tuple(details)


def _pace_words(window: UsageWindow, now: datetime) -> str:
    if window.utilization is not None and window.utilization >= FULL:
        return "used up"
    delta, pace = window.pace_delta(now), window.pace(now)
    if delta is None or pace is None:
        return ""
    if pace == "on":
        return "on pace"
    points = max(1, round(abs(delta)))
    return f"{points} pt{'' if points == 1 else 's'} {_PACE_WORDS[pace]}"


def _forecast(window: UsageWindow, now: datetime) -> tuple[str, ...]:
    full_at, elapsed = window.full_at(now), window.time_elapsed_percent(now)
    if full_at is None or window.resets_at is None or elapsed is None:
        return ()
    if window.pace(now) != "over" or elapsed < _TOO_EARLY:
        return ()
    short = f"full in {countdown(full_at - now)}"
    return f"{short}, {countdown(window.resets_at - full_at)} before the reset", short


def _extra(extra: ExtraUsage, options: RenderOptions) -> Meter | None:
    """Return the row of extra usage; none when it is off and there is nothing to say of it."""
    if extra.enabled is False and not extra.used and extra.disabled_reason is None:
        return None
    if extra.used is None and extra.utilization is None and extra.disabled_reason is None:
        return None
    off = extra.enabled is False or extra.disabled_reason is not None
    why = ""
    if off:
        reason = (extra.disabled_reason or "").replace("_", " ")
        why = options.text(f"off: {reason}" if reason else "off")
    brief, detail = _amounts(extra.used, extra.limit, extra.currency, options)
    if extra.limit is None and extra.enabled and detail:
        detail = (f"{detail[0]}, no limit", *detail)
    if why:
        detail = (*(f"{words} {options.glyphs.dot} {why}" for words in detail), why)
        brief = brief or (why, "off")
    return Meter("Extra", "Extra", extra.utilization, None, brief, detail)


def _pool(pool: CreditPool, now: datetime, options: RenderOptions) -> Meter:
    brief, detail = _amounts(pool.used, pool.limit, pool.currency, options)
    if pool.expires_at is not None:
        verb = "expires" if pool.expires_at > now else "expired"
        until = f"{verb} {clock_time(pool.expires_at, now, options.clock)}"
        dotted = tuple(f"{words} {options.glyphs.dot} {until}" for words in detail)
        detail = (*dotted, *detail, until)
    label = options.text(pool.label)
    return Meter(label, label, pool.utilization, None, brief, detail)


def spend_meters(spend: Spend, now: datetime, options: RenderOptions) -> tuple[Meter, ...]:
    """Return an organisation's month as a row: against its budget, where it has one."""
    used = spend.month_to_date
    brief, detail = _amounts(used, spend.budget, spend.currency, options)
    if used is not None:
        whole = money(used.quantize(1), spend.currency, ascii_only=options.glyphs is ASCII)
        thousands = money(used / 1000, spend.currency, ascii_only=options.glyphs is ASCII)
        brief = (*brief, whole.removesuffix(".00"), f"{thousands[:-1]}k", f"{thousands[:-3]}k")
    percent = spend.budget_percent
    tick = spend.elapsed_percent(now) if percent is not None else None
    words = brief or ("no figure", "?")
    unlimited = used is not None and percent is None
    return (Meter("Month", "Month", percent, tick, words, detail, unlimited=unlimited),)


def _amounts(
    used: Decimal | None, limit: Decimal | None, currency: str | None, options: RenderOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    def shown(amount: Decimal) -> str:
        return money(amount, currency, ascii_only=options.glyphs is ASCII)

    if used is None:
        return (), ((f"of {shown(limit)}",) if limit is not None else ())
    if limit is None:
        return (shown(used),), (f"{shown(used)} used",)
    ratio = f"{shown(used)}/{shown(limit)}"
    return (ratio, shown(used)), (f"{shown(used)} of {shown(limit)}", ratio)
