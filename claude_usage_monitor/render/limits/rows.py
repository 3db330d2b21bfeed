"""The text of a limit's row: a window, extra usage, a credit pool, or a month's budget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.render.theme import ASCII, RenderOptions
from claude_usage_monitor.usage.durations import clock_time, countdown
from claude_usage_monitor.usage.forecast.outlook import outlook, outlook_texts, pace_texts
from claude_usage_monitor.usage.limits.extra_usage import off_text
from claude_usage_monitor.usage.limits.pace import worked_percent
from claude_usage_monitor.usage.limits.windows import CreditPool, ExtraUsage, Usage, UsageWindow
from claude_usage_monitor.usage.money.money import money

if TYPE_CHECKING:
    from claude_usage_monitor.usage.money.money import Amount
    from claude_usage_monitor.usage.money.spend import Spend


class LimitRow(NamedTuple):
    """A row's texts, each as candidates from the richest to the poorest; ``money`` is several.

    ``brief`` is shown beside the percent (a countdown, an amount), unless a line of its own says
    it: ``reset`` for a window, ``money`` for an amount. ``ending`` is the kind of the outlook that
    ``run_out`` words. A ``running`` window has a time of its reset. ``utilization`` is ``None``
    where no percent may be shown. ``tick`` is where an even pace would be now, ``target`` Claude
    Pace Maker's target, both in percent. ``key`` is a window's key, ``extra_usage`` or ``budget``.
    ``unlimited`` spend has no percent. ``expected`` is the forecast for the reset, in percent.
    ``alert`` is whether an alert about this limit is not over.
    """

    label: str
    short_label: str
    utilization: float | None
    tick: float | None
    brief: tuple[str, ...]
    reset: tuple[str, ...] = ()
    run_out: tuple[str, ...] = ()
    pace: tuple[str, ...] = ()
    money: tuple[tuple[str, ...], ...] = ()
    ending: str = ""
    running: bool = False
    binding: bool = False
    key: str | None = None
    target: float | None = None
    unlimited: bool = False
    expected: float | None = None
    alert: bool = False


def limit_rows(usage: Usage, now: datetime, options: RenderOptions) -> tuple[LimitRow, ...]:
    """Return the rows of a reading, in the order they are shown."""
    rows = [_window(window, now, options) for window in usage.at(now).windows]
    if usage.extra_usage is not None:
        rows += _extra_usage(usage.extra_usage, options)
    return (*rows, *(_credit_pool(pool, now, options) for pool in usage.credit_pools))


def _window(window: UsageWindow, now: datetime, options: RenderOptions) -> LimitRow:
    brief, reset = _reset(window, now, options)
    utilization = window.utilization
    if window.resets_at is None and not utilization:
        utilization = None
    ending = outlook(window, now)
    if ending is not None and ending.kind != "reached" and not options.forecast:
        ending = None
    running = window.state(now) == "running"
    even_pace = _even_pace(window, now, options)
    run_out: tuple[str, ...] = ()
    if ending is not None:
        if ending.expected is not None:  # as the percentage beside it: what is used, or left
            ending = ending._replace(expected=options.shown(ending.expected))
        run_out = tuple(map(options.text, outlook_texts(ending, now, options.clock)))
    if running and window.utilization is None:
        run_out = ("no figure",)
    return LimitRow(
        label=options.text(window.label),
        short_label=options.text(window.short_label),
        utilization=utilization,
        tick=even_pace if utilization is not None else None,
        brief=brief,
        reset=reset,
        run_out=run_out,
        pace=pace_texts(window, even_pace, now),
        money=(_amounts(*window.amounts, options)[1],) if window.amounts else (),
        ending=ending.kind if ending is not None else "",
        running=running,
        binding=window.binding,
        key=window.key,
        expected=window.forecast.expected_at_reset if window.forecast else None,
    )


def _even_pace(window: UsageWindow, now: datetime, options: RenderOptions) -> float | None:
    """Return what an even pace would have used by now, of the user's working time if set."""
    work, length = options.work, window.length
    if work is None or length is None or window.resets_at is None:
        return window.time_elapsed_percent(now)
    return worked_percent(window.resets_at, length, now, work, options.clock.zone)


def _reset(
    window: UsageWindow, now: datetime, options: RenderOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ``brief`` and ``reset``: when the window resets."""
    left = window.time_until_reset(now)
    if left is None or window.resets_at is None:
        if window.utilization is None:
            return ("no figure", "?"), ("no figure",)
        return ("not started", "idle"), ("not started",)
    if window.state(now) == "reset":
        return ("reset",), (options.text("reset · waiting for figures"), "reset, waiting", "reset")
    span, at = countdown(left), clock_time(window.resets_at, now, options.clock)
    reset = (f"resets in {span}, {at}", f"resets {at} ({span})", f"{at} ({span})", f"in {span}")
    return (f"{span}, {at}", span, countdown(left, compact=True)), reset


def _extra_usage(extra: ExtraUsage, options: RenderOptions) -> list[LimitRow]:
    """Return the row of extra usage; none if it is off and was never used."""
    if extra.enabled is False and not extra.used and extra.disabled_reason is None:
        return []
    if extra.used is None and extra.utilization is None and extra.disabled_reason is None:
        return []
    brief, amounts = _amounts(extra.used, extra.limit, extra.currency, options)
    if extra.limit is None and extra.enabled and amounts:
        amounts = (f"{amounts[0]}, no limit", *amounts)
    money = [amounts] if amounts else []
    if extra.enabled is False or extra.disabled_reason is not None:
        off = options.text(off_text(extra.disabled_reason))
        money.append((off,))
        brief = brief or (off, "off")
    return [
        LimitRow(
            "Extra", "Extra", extra.utilization, None, brief, money=tuple(money), key="extra_usage"
        )
    ]


def _credit_pool(pool: CreditPool, now: datetime, options: RenderOptions) -> LimitRow:
    brief, amounts = _amounts(pool.used, pool.limit, pool.currency, options)
    money = [amounts] if amounts else []
    if pool.expires_at is not None:
        verb = "expires" if pool.expires_at > now else "expired"
        money.append((f"{verb} {clock_time(pool.expires_at, now, options.clock)}",))
    label = options.text(pool.label)
    return LimitRow(label, label, pool.utilization, None, brief, money=tuple(money))


def month_row(spend: Spend, now: datetime, options: RenderOptions) -> LimitRow:
    """Return an organization's month as a row, against its budget if it has one."""
    spent = spend.month_to_date
    brief, amounts = _amounts(spent, spend.budget, spend.currency, options)
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
        money=(amounts,) if amounts else (),
        key="budget",
        unlimited=spent is not None and spend.budget is None,
    )


def with_alerts(rows: Sequence[LimitRow], alerts: frozenset[str]) -> tuple[LimitRow, ...]:
    """Mark the limits with an alert that is not over; after a reset it is over."""
    return tuple(
        row._replace(alert=row.key in alerts and row.utilization is not None) for row in rows
    )


def _amounts(
    used: Amount | None, limit: Amount | None, currency: str | None, options: RenderOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return an amount used and its limit, for a heading and for a line of its own."""
    shown_limit = None if limit is None else _money(limit, currency, options)
    if used is None:
        return (), (() if shown_limit is None else (f"of {shown_limit}",))
    amount = _money(used, currency, options)
    if shown_limit is None:
        return (amount,), (f"{amount} used",)
    ratio = f"{amount}/{shown_limit}"
    used_of_limit = f"{amount} of {shown_limit}"
    if options.left:  # the percentage beside it is what is left
        return (ratio, amount), (f"{used_of_limit} used", used_of_limit, ratio)
    return (ratio, amount), (used_of_limit, ratio)


def _money(amount: Amount, currency: str | None, options: RenderOptions) -> str:
    return money(amount, currency, ascii_only=options.glyphs is ASCII)
