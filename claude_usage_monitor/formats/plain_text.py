"""Linear text for screen readers and logs: one fact a line, without frames, bars and signs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple, TypeAlias
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.attribution.report import short_names, whole_points
from claude_usage_monitor.usage.attribution.shown import WindowUse
from claude_usage_monitor.usage.durations import (
    calendar_day,
    clock_phrase,
    countdown_phrase,
    month_names,
)
from claude_usage_monitor.usage.forecast.outlook import outlook, outlook_phrase
from claude_usage_monitor.usage.limits.extra_usage import off_text
from claude_usage_monitor.usage.limits.history import sessions_text
from claude_usage_monitor.usage.limits.history_view import HistoryView, busiest_text, heat_map
from claude_usage_monitor.usage.limits.reading_sources import source_label
from claude_usage_monitor.usage.limits.saved_resets import SavedResets, cleared_limits
from claude_usage_monitor.usage.limits.windows import (
    CreditPool,
    ExtraUsage,
    Usage,
    UsageWindow,
    label_for,
    percent_text,
    whole_percent,
)
from claude_usage_monitor.usage.money.money import compact, money
from claude_usage_monitor.usage.status import AccountStatus, with_service_once

if TYPE_CHECKING:
    from claude_usage_monitor.usage.money.money import Amount
    from claude_usage_monitor.usage.money.spend import (
        ClaudeCodeSpend,
        NamedAmount,
        Spend,
        UserSpend,
    )
    from claude_usage_monitor.usage.service import ServiceStatus
    from claude_usage_monitor.usage.throttling import Throttling

_NOW_SECONDS = 30  # figures that are younger were read "now"
_MAX_PROJECTS = 5  # named for each limit
_LAST_DAY = timedelta(hours=24)
_FRESHNESS = ("age", "next", "problem")  # names of facts
_HEADING = "heading"

Values: TypeAlias = dict[str, object]
"""The value of each fact of an account by the fact's name, and its heading."""


class Fact(NamedTuple):
    """A line. It is worth a new line in a log when ``value`` changes; ``None`` never does."""

    name: str
    text: str
    value: object = None


def render(statuses: Sequence[AccountStatus], now: datetime, options: FormatOptions) -> str:
    """Return the lines of all accounts, each account below its name."""
    accounts = (
        "\n".join([heading(status), *(fact.text for fact in facts(status, now, options))])
        for status in with_service_once(statuses)
    )
    return ascii_text("\n\n".join(accounts), options)


def changes(
    before: Sequence[Values], after: Sequence[AccountStatus], now: datetime, options: FormatOptions
) -> list[str]:
    """Return a line for every fact of an account that its `values` before did not have."""
    lines = []
    for known, status in zip(before, after, strict=True):
        name = f"{status.account.name}: " if len(after) > 1 else ""
        found = list(facts(status, now, options))
        lines += [heading(status)] if known[_HEADING] != heading(status) else []
        lines += [
            name + fact.text
            for fact in found
            if fact.value is not None and fact.value != known.get(fact.name)
        ]
        if "problem" in known and status.problem is None:
            lines.append(f"{name}The problem is solved.")
        service, names = status.service, [fact.name for fact in found]
        if "service" in known and "service" not in names and service and not service.stale(now):
            lines.append(f"{name}The service is operational again.")
    return [ascii_text(line, options) for line in lines]


def answers(statuses: Sequence[AccountStatus], now: datetime, options: FormatOptions) -> list[str]:
    """Return how fresh the figures of each account are, as an answer to a key."""
    lines = []
    for status in statuses:
        name = f"{status.account.name}: " if len(statuses) > 1 else ""
        shown = [fact.text for fact in facts(status, now, options) if fact.name in _FRESHNESS]
        lines.append(ascii_text(name + ". ".join(shown or ["No figures yet"]), options))
    return lines


def values(status: AccountStatus, now: datetime, options: FormatOptions) -> Values:
    """Return what `changes` compares a later status with."""
    known: Values = {fact.name: fact.value for fact in facts(status, now, options)}
    return {_HEADING: heading(status), **known}


def heading(status: AccountStatus) -> str:
    """Return the account's name, plan, address and organization."""
    profile = status.profile
    parts = [status.account.name]
    if profile is not None:
        parts += [part for part in (profile.plan, profile.email, profile.organization) if part]
    return ", ".join(parts)


def facts(status: AccountStatus, now: datetime, options: FormatOptions) -> Iterator[Fact]:
    """Yield what there is to say about an account."""
    if status.usage is not None:
        yield from _usage(status.usage, status.use, status.api_time(now), options)
    if status.spend is not None:
        yield from _spend(status.spend, options)
    if status.throttling is not None:
        yield _throttling(status.throttling, now)
    if status.service is not None:
        yield from _service(status.service, now)
    yield from _freshness(status, now)
    if status.clock_skew:
        text = problem_text.wrong_clock(status.clock_skew, countdown_phrase)
        yield Fact("clock", text, status.clock_skew > timedelta())
    if status.problem is not None:
        message = problem_text.message(status.problem, now, options.clock)
        hint = problem_text.hint(status, now, options.clock, live=options.live)
        yield Fact("problem", f"Problem: {message} {hint}".strip(), status.problem.code)
    if status.notice:
        yield Fact("notice", f"Note: {status.notice}", status.notice)


def ascii_text(text: str, options: FormatOptions) -> str:
    """Return the text, in ASCII if the options say so."""
    return text.encode("ascii", "replace").decode("ascii") if options.ascii else text


def _usage(
    usage: Usage, uses: Sequence[WindowUse], now: datetime, options: FormatOptions
) -> Iterator[Fact]:
    usage = usage.at(now)
    for window in usage.windows:
        yield _window(window, now, options)
        yield from (_use(use, window.label) for use in uses if use.key == window.key)
    if usage.extra_usage is not None:
        yield _extra_usage(usage.extra_usage, options)
    for pool in usage.credit_pools:
        yield _credit_pool(pool, now, options)
    if not usage.windows:
        yield Fact("no limits", "This account reports no limits.", value=True)
    if usage.lacks_five_hour_limit:
        yield Fact("no 5-hour limit", "This plan has no 5-hour limit.", value=True)
    if usage.saved_resets is not None:
        yield from _saved_resets(usage.saved_resets, now, options)


def _window(window: UsageWindow, now: datetime, options: FormatOptions) -> Fact:
    state, percent = window.state(now), window.utilization
    parts = [_percent(percent, options)]
    if state == "reset":
        parts = ["reset, waiting for figures"]
    elif window.resets_at is None:
        parts = ["not started"] if not percent else [*parts, "reset time unknown"]
    else:
        left = countdown_phrase(window.resets_at - now)
        parts += [f"resets {clock_phrase(window.resets_at, now, options.clock)}", f"in {left}"]
        ending = outlook(window, now)
        if ending is not None and (options.forecast or ending.kind == "reached"):
            parts.append(outlook_phrase(ending, now, options.clock, left=options.left))
    if window.binding:
        parts.append("the first to stop you")
    value = (state, None if percent is None else whole_percent(percent))
    return Fact(window.key, f"{window.label} limit: {', '.join(parts)}", value)


def _use(use: WindowUse, label: str) -> Fact:
    rows = use.largest_rows(_MAX_PROJECTS)
    names = short_names(row.project for row in rows)
    points = {names[row.project]: row.points for row in rows}
    if use.elsewhere is not None:
        points["elsewhere"] = use.elsewhere
    whole = whole_points(points.values(), use.utilization)
    used_by = [
        f"{name} {'less than 1' if exact and not shown else shown} "
        f"{'point' if shown <= 1 and exact else 'points'}"
        for (name, exact), shown in zip(points.items(), whole, strict=True)
    ]
    assumption = [] if use.elsewhere is not None else [use.basis]
    return Fact(f"use {use.key}", f"{label} limit, used by: {', '.join(used_by + assumption)}")


def _percent(percent: float | None, options: FormatOptions) -> str:
    if percent is None:
        return "unknown"
    shown = max(0.0, 100.0 - percent) if options.left else percent
    number = percent_text(shown).replace("<", "less than ").replace(">", "more than ")
    return f"{number} percent {'left' if options.left else 'used'}"


def _extra_usage(extra: ExtraUsage, options: FormatOptions) -> Fact:
    parts = [_percent(extra.utilization, options)] if extra.utilization is not None else []
    parts += _amounts(extra.used, extra.limit, extra.currency, options)
    if extra.enabled is False or extra.disabled_reason is not None:
        parts.append(off_text(extra.disabled_reason))
    percent = None if extra.utilization is None else whole_percent(extra.utilization)
    text = f"Extra usage: {', '.join(parts) or 'no figures'}"
    return Fact("extra usage", text, (percent, extra.enabled, extra.disabled_reason))


def _credit_pool(pool: CreditPool, now: datetime, options: FormatOptions) -> Fact:
    parts = [_percent(pool.utilization, options)] if pool.utilization is not None else []
    parts += _amounts(pool.used, pool.limit, pool.currency, options)
    if pool.expires_at is not None:
        verb = "expires" if pool.expires_at > now else "expired"
        parts.append(f"{verb} {clock_phrase(pool.expires_at, now, options.clock)}")
    percent = None if pool.utilization is None else whole_percent(pool.utilization)
    return Fact(f"pool {pool.key}", f"{pool.label}: {', '.join(parts) or 'no figures'}", (percent,))


def _saved_resets(saved: SavedResets, now: datetime, options: FormatOptions) -> Iterator[Fact]:
    count, use_by = saved.count(now), saved.use_by(now)
    if not count:
        return
    parts = [str(count)]
    if use_by is not None:
        parts.append(f"use by {calendar_day(use_by.astimezone(options.clock.zone).date())}")
    limits = cleared_limits(saved.clears(now))
    if limits:
        parts.append(f"{'clears' if count == 1 else 'clear'} {limits}")
    yield Fact("saved resets", f"Saved resets: {', '.join(parts)}", (count, use_by))


def _throttling(throttling: Throttling, now: datetime) -> Fact:
    throttles, delay = throttling.throttling(now), throttling.delay_seconds
    if throttling.enabled is False:
        text = "switched off"
    elif throttles and delay is not None:
        text = f"throttling, {delay:g} seconds a tool use"
    elif throttles is None:
        text = "at rest"
    else:
        text = "throttling" if throttles else "not throttling"
    return Fact("throttling", f"Claude Pace Maker: {text}", text)


def _service(service: ServiceStatus, now: datetime) -> Iterator[Fact]:
    trouble = service.trouble(now)
    if trouble is not None:
        text = trouble.replace(" · ", ", ")
        yield Fact("service", f"Service: {text}", (service.components, service.incidents))


def _amounts(
    used: Amount | None, limit: Amount | None, currency: str | None, options: FormatOptions
) -> list[str]:
    shown_limit = None if limit is None else _money(limit, currency, options)
    if used is None:
        return [] if shown_limit is None else [f"limit {shown_limit}"]
    amount = _money(used, currency, options)
    return [f"{amount} used" if shown_limit is None else f"{amount} of {shown_limit} used"]


def _spend(spend: Spend, options: FormatOptions) -> Iterator[Fact]:
    currency, month = spend.currency, month_names(spend.period_start)[0]
    amounts = ", ".join(_amounts(spend.month_to_date, spend.budget, currency, options)) or "unknown"
    whole = None if spend.month_to_date is None else int(spend.month_to_date)
    yield Fact("month", f"{month} so far: {amounts}", (month, whole))
    if spend.projected is not None:
        end = calendar_day(spend.period_end)
        text = f"Expected by {end}: {_money(spend.projected, currency, options)}"
        if spend.projected_low is not None and spend.projected_high is not None:
            low = _money(spend.projected_low, currency, options)
            text += f", between {low} and {_money(spend.projected_high, currency, options)}"
        yield Fact("projection", text)
    if spend.budget_reached_on is not None:
        day = calendar_day(spend.budget_reached_on)
        yield Fact("budget", f"The budget is reached on {day}", day)
    if spend.daily and spend.daily[-1].amount is not None:
        yield Fact("today", f"Today: {_money(spend.daily[-1].amount, currency, options)}")
    if spend.rate_per_hour is not None:
        average = _money(spend.rate_per_hour * 24, currency, options)
        yield Fact("average", f"On average: {average} a day")
    yield from _named("Workspace", spend.by_workspace or (), currency, options)
    yield from _named("Model", spend.by_model or (), currency, options)
    for key in spend.by_api_key or ():
        counts = [count for count in key[1:] if count is not None]
        tokens = f"{compact(sum(counts))} tokens" if len(counts) == len(key[1:]) else "unknown"
        yield Fact(f"API key {key.name}", f"API key {key.name or 'unknown'}: {tokens}")
    if spend.claude_code is not None:
        yield from _claude_code(spend.claude_code, currency, options)


def _claude_code(
    report: ClaudeCodeSpend, currency: str | None, options: FormatOptions
) -> Iterator[Fact]:
    amount = _amount(report.month_to_date, currency, options)
    yield Fact("claude code", f"Claude Code: {amount}, an estimate of API-billed use")
    if report.you is not None and report.you.amount is not None:
        yield Fact("you", f"Your Claude Code use: {_amount(report.you.amount, currency, options)}")
    yield from _named("Claude Code user", report.by_user, currency, options)
    yield from _named("Claude Code model", report.by_model or (), currency, options)


def _named(
    kind: str,
    rows: Sequence[NamedAmount | UserSpend],
    currency: str | None,
    options: FormatOptions,
) -> Iterator[Fact]:
    for row in rows:
        amount = _amount(row.amount, currency, options)
        yield Fact(f"{kind} {row.name}", f"{kind} {row.name or 'unknown'}: {amount}")


def _money(amount: Amount, currency: str | None, options: FormatOptions) -> str:
    return money(amount, currency, ascii_only=options.ascii)


def _amount(amount: Amount | None, currency: str | None, options: FormatOptions) -> str:
    return "unknown" if amount is None else _money(amount, currency, options)


def _freshness(status: AccountStatus, now: datetime) -> Iterator[Fact]:
    age = status.age(now)
    if age is not None:
        source = source_label(status.usage.source) if status.usage else "Admin API"
        old = "now" if age.total_seconds() < _NOW_SECONDS else f"{countdown_phrase(age)} ago"
        yield Fact("age", f"Figures: {source}, read {old}")
    next_read_at = status.next_read_at
    if next_read_at is not None and next_read_at > now and status.problem is None:
        yield Fact("next", f"Next reading: in {countdown_phrase(next_read_at - now)}")


def history_lines(view: HistoryView, now: datetime, options: FormatOptions) -> list[str]:
    """Return what was used of each limit lately, the busiest hour of the week, sessions left.

    ``view`` is that of the hours of the week.
    """
    lines = []
    for key, hours in view.use.items():
        used = [row.used for row in hours if now - row.hour <= _LAST_DAY]
        figure = percent_text(sum(used)).replace("<1", "less than 1")
        points = "point" if figure.endswith(" 1") or figure == "1" else "points"
        text = f"{label_for(key)} limit: {figure} {points} used in the last 24 hours"
        highest = max(used, default=0.0)
        if highest >= 1:
            text += f", at most {percent_text(highest)} in an hour"
        lines.append(text)
    busiest = busiest_text(heat_map(view.hours, options.clock.zone))
    if busiest is not None:
        lines.append(busiest[0].upper() + busiest[1:])
    if view.sessions_left is not None:
        lines.append(sessions_text(view.sessions_left).replace("–", " to ").capitalize())
    return lines
