"""The panels about the account itself: the person, its plan, its problem, and notices."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from claude_usage_monitor.render.layout import fitting_text, wrap
from claude_usage_monitor.render.panels.panel import PanelContext
from claude_usage_monitor.render.theme import RenderOptions, styled_text
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import calendar_day, countdown
from claude_usage_monitor.usage.limits.saved_resets import SavedResets, cleared_limits
from claude_usage_monitor.usage.status import AccountStatus

NO_FIVE_HOUR_LIMIT = "no 5-hour limit"


def draw_person(context: PanelContext, level: int) -> list[Text]:
    """Draw the name of the person and of the organization."""
    profile, options = context.status.profile, context.options
    if (
        not level
        or not context.framed
        or profile is None
        or context.status.account.kind == "console"
    ):
        return []
    organization = profile.organization
    if organization and profile.email and profile.email in organization:
        organization = None  # a personal organization has its only member's address as its name
    person = options.text(" · ".join(filter(None, (profile.display_name, organization))))
    if not person:
        return []
    indent = 2 if context.detailed else 1
    line = Text(" " * indent).append(options.fit(person, context.width - indent))
    return context.dimmed_if_stale([line])


def draw_plan(context: PanelContext, level: int) -> list[Text]:
    """Draw that the plan has no 5-hour limit, and the saved resets, a line for each."""
    usage = context.status.usage
    if usage is None or level == 0:
        return []
    candidates: list[tuple[str, ...]] = []
    if usage.lacks_five_hour_limit:
        candidates.append((NO_FIVE_HOUR_LIMIT,))
    if usage.saved_resets is not None:
        candidates.append(_saved_resets(usage.saved_resets, context))
    indent = "  " if context.detailed else ""
    texts = [fitting_text(each, context.width - len(indent)) for each in candidates]
    lines = [context.options.text(indent + text) for text in texts if text]
    return context.dimmed_if_stale(map(Text, lines))


def _saved_resets(saved: SavedResets, context: PanelContext) -> tuple[str, ...]:
    """Return the number of saved resets, their expiry and what they clear; nothing without any."""
    now = context.status.api_time(context.now)
    count, use_by = saved.count(now), saved.use_by(now)
    if not count:
        return ()
    resets = "1 saved reset" if count == 1 else f"{count} saved resets"
    expiry = ""
    if use_by is not None:
        local_day = use_by.astimezone(context.options.clock.zone).date()
        expiry = f" · use by {calendar_day(local_day)}"
    limits = cleared_limits(saved.clears(now))
    effect = f" · {'clears' if count == 1 else 'clear'} {limits}" if limits else ""
    return (resets + expiry + effect, resets + expiry, resets)


def draw_problem(context: PanelContext, level: int) -> list[Text]:
    """Draw why there are no new figures. Level 2: with a hint; 1: a sentence; 0: a few words."""
    status, now, options = context.status, context.now, context.options
    problem, width, style = status.problem, context.width, options.theme.problem
    if problem is None:
        return []
    if level == 0:
        return [styled_text(options.fit(problem_text.short(problem, now), width), style)]
    message = problem_text.message(problem, now, options.clock)
    if level == 1 or not context.framed:
        return wrap(message, width, options, style)
    hint = problem_text.hint(status, now, options.clock, live=options.live)
    lines = [*wrap(message, width - 2, options, style), *wrap(hint, width - 2, options, "")]
    return [styled_text("  " if at else "! ", style) + line for at, line in enumerate(lines)]


def draw_notices(context: PanelContext, level: int) -> list[Text]:
    """Draw information that is not a problem. Level 2: all of it; 1: the service's trouble."""
    status = context.status
    if not level or not context.framed:
        return []
    if level == 1:
        return service_line(status, context.now, context.width, context.options)
    trouble = status.service.trouble(context.now) if status.service else None
    notices = [notice for notice in (trouble, status.notice) if notice]
    if status.clock_skew:
        notices.append(problem_text.wrong_clock(status.clock_skew, countdown))
    return [line for n in notices for line in wrap(n, context.width, context.options, "")]


def service_line(
    status: AccountStatus, now: datetime, width: int, options: RenderOptions
) -> list[Text]:
    """Draw the service's trouble, if it has any, in one line."""
    trouble = status.service.trouble(now) if status.service else None
    return [Text(options.fit(trouble, width))] if trouble else []
