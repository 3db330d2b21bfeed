"""Texts about an account: its name and title, the age and source of its figures, its problem."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.cells import cell_len

from claude_usage_monitor.light_typing import TYPE_CHECKING, NamedTuple
from claude_usage_monitor.render.layout import fitting_text
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import age, clock_time, due_in, month_names
from claude_usage_monitor.usage.limits.reading_sources import source_label
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from claude_usage_monitor.usage.money.spend import Spend

READING = "Reading…"
READING_NOW = "reading…"  # in a footer
NO_LIMITS = "no limits"
ADMIN_API = "Admin API"
DEMO = "demo"  # shown at every width: these figures are simulated

_NAMES = {"claude-code": "Claude", "console": "Organization", "demo": "Demo"}
_MIN_NAMED_WIDTH = 34  # cells of a title that names Claude Code's login beside its plan
_MIN_NAME = 12  # cells of a long name before the plan is dropped


class Note(NamedTuple):
    """A short text, as candidates from the richest to the poorest, and its style."""

    candidates: tuple[str, ...]
    style: str


def name(status: AccountStatus, options: RenderOptions) -> str:
    """Return the account's name; of the account ``console``, its organization's."""
    profile = status.profile
    if status.account.name == "console" and profile is not None and profile.organization:
        return options.text(profile.organization)
    return options.text(_NAMES.get(status.account.name, status.account.name))


def title(
    status: AccountStatus,
    width: int,
    options: RenderOptions,
    *,
    several: bool = False,
    active: bool = False,
) -> str:
    """Return a frame's title in ``width`` cells: name, plan and, among several, which is active.

    A long name is cut; the plan is dropped before the name is cut to a few cells. An organization
    has the month instead of a plan.
    """
    if status.spend is not None:
        profile = status.profile
        organization = profile.organization if profile is not None else None
        is_saved = organization is not None and status.account.name != "console"
        return _month_title(
            status.spend,
            options.text(organization or "") if is_saved else name(status, options),
            width,
            options,
            saved_as=name(status, options) if is_saved else "",
        )
    plan = options.text(status.profile.plan or "") if status.profile else ""
    account = name(status, options)
    if plan and not several and width < _MIN_NAMED_WIDTH and status.account.name == "claude-code":
        return options.fit(plan, width)
    mark = "active" if active else ""
    for parts in ((plan, mark), (mark,)):
        tail = options.text("".join(f" · {part}" for part in parts if part))
        if width - cell_len(tail) >= min(cell_len(account), _MIN_NAME):
            return options.fit(account, width - cell_len(tail)) + tail
    return options.fit(account, width)


def _month_title(
    spend: Spend, organization: str, width: int, options: RenderOptions, saved_as: str = ""
) -> str:
    months = month_names(spend.period_start)
    names = [organization]
    if saved_as and saved_as != organization:
        names = [f"{saved_as} · {organization}", saved_as]
    candidates = [options.text(f"{each} · {month}") for each in names for month in months]
    return fitting_text(candidates, width) or options.fit(names[-1], width)


def subtitle(status: AccountStatus, options: RenderOptions) -> str:
    """Return the text at the right of a title: the e-mail address, or the organization's API."""
    if status.account.kind == "console":
        return ADMIN_API
    address = status.profile.email if status.profile else None
    return options.text(address or status.account.email or "")


def freshness(status: AccountStatus, now: datetime, options: RenderOptions) -> tuple[str, ...]:
    """Return candidates for a frame's footer: source, age and when the next read is due."""
    figures_age = status.age(now)
    stale = status.stale(now)
    if options.answers:
        return _joined(_answer(figures_age, _next_request(status, now, options)), options)
    old = "no figures yet" if figures_age is None else age(figures_age)
    if stale and old != "now":
        old = f"{old} old"
    elif status.spend is not None and old != "now":
        old = f"{old} ago"
    blocked = _blocked_until(status, now, options)
    next_read = blocked or _next_read(status, now, options)
    richest = [_sources(status), old, next_read]
    if stale:
        richest = [old, next_read, "" if blocked else _sources(status)]
    demo = DEMO if _is_demo(status) else ""
    return _joined([richest, [demo, old, next_read], [demo, old]], options)


def note(status: AccountStatus, now: datetime, options: RenderOptions, *, figures: bool) -> Note:
    """Return the note beside an account that has one line: its problem, or its age.

    ``figures`` says whether the line has figures.
    """
    old = freshness(status, now, options)[-1]
    if status.problem is not None:
        short = options.text(problem_text.short(status.problem, now))
        both = options.text(f"{short} · {old}")
        return Note((both, short) if status.usage is not None else (short,), options.theme.problem)
    if figures:
        return Note((old,), "")
    return Note((options.text(READING) if status.usage is None else NO_LIMITS,), "")


def common_freshness(
    statuses: Sequence[AccountStatus], now: datetime, options: RenderOptions, *, ages: bool
) -> tuple[str, ...]:
    """Return candidates for the footer that several accounts share.

    With ``ages``, it includes the highest age of fresh figures; accounts with old figures show
    their age themselves.
    """
    sources = " + ".join(dict.fromkeys(filter(None, map(_sources, statuses))))
    fresh = [span for s in statuses if (span := s.age(now)) is not None and not s.stale(now)]
    old = age(max(fresh)) if fresh and ages else ""
    if old not in {"", "now"}:
        old = f"up to {old} old"
    reads = [s.next_read_at for s in statuses if s.next_read_at is not None]
    soonest = _due(min(reads) - now) if options.live and reads else ""
    if options.live and any(status.reading for status in statuses):
        soonest = READING_NOW
    if options.answers:
        ages_known = [span for s in statuses if (span := s.age(now)) is not None]
        return _joined(_answer(max(ages_known, default=None), soonest), options)
    return _joined([(sources, old, soonest), (old, soonest), (soonest or old,)], options)


def _answer(figures_age: timedelta | None, next_request: str) -> list[list[str]]:
    """Return candidates for the answer to the key that asks for new figures."""
    if figures_age is None:
        return [["no figures yet", next_request], [next_request or "no figures yet"]]
    old = age(figures_age)
    read = "just read" if old == "now" else f"read {old} ago"
    return [[read, next_request], [next_request or read]]


def _next_request(status: AccountStatus, now: datetime, options: RenderOptions) -> str:
    """Return when the next request is due, also while a problem delays it."""
    problem = status.problem
    if problem is not None and problem.retry_at is not None and not status.reading:
        return f"next {clock_time(problem.retry_at, now, options.clock)}"
    return _next_read(status, now, options)


def _joined(candidates: Sequence[Sequence[str]], options: RenderOptions) -> tuple[str, ...]:
    return tuple(options.text(" · ".join(filter(None, parts))) for parts in candidates)


def _due(span: timedelta) -> str:
    """Return when the next read is due: ``next in 5m``, ``next soon`` under 30 s."""
    text = due_in(span)
    return "next soon" if text == "now" else f"next {text}"


def _is_demo(status: AccountStatus) -> bool:
    reading = status.usage or status.spend
    return reading is not None and reading.source == "demo"


def _sources(status: AccountStatus) -> str:
    """Return the sources of the figures; merged readings may have several."""
    usage = status.usage
    if usage is not None:
        sources = dict.fromkeys([usage.source, *(window.source for window in usage.windows)])
        return " + ".join(map(source_label, sources))
    if _is_demo(status):
        return DEMO
    return ADMIN_API if status.account.kind == "console" else ""


def _blocked_until(status: AccountStatus, now: datetime, options: RenderOptions) -> str:
    """Return when the next request may be sent, if the API refused one of ours or Pace Maker's."""
    problem = status.problem
    until = None
    if problem is not None and problem.retry_at is not None:
        until = problem.retry_at if problem.code == "rate_limited" else None
    elif options.live and not _is_demo(status):
        until = status.paused_until(now)
    return "" if until is None else f"next request {clock_time(until, now, options.clock)}"


def _next_read(status: AccountStatus, now: datetime, options: RenderOptions) -> str:
    problem = status.problem
    if not options.live or _is_demo(status):
        return ""
    if status.reading:
        return READING_NOW
    if problem is not None and problem.retry_at is not None:
        return ""  # the problem's text includes the time
    if status.next_read_at is not None:
        return _due(status.next_read_at - now)
    if problem is None:
        return READING_NOW
    return f"waiting for {'an Admin key' if status.account.kind == 'console' else 'a login'}"
