"""The panel's frame: who this is above, how fresh the figures are below, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Span, Text

from claude_usage_monitor.render.theme import ASCII, FAINT, PROBLEM, STRONG, RenderOptions, styled
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import age, clock_time, countdown, due_in
from claude_usage_monitor.usage.limits.reading_sources import source_label
from claude_usage_monitor.usage.status import AccountStatus

_NAMES = {"claude-code": "Claude", "console": "Organisation", "demo": "Demo"}
READING = "Reading…"
NO_LIMITS = "no limits"
_WIDE = 40  # panels from here on name more than the plan
_LEAST_NAME = 12  # cells a name keeps before the plan yields
_TITLE_MARGIN = 6  # corners, dashes and blanks around a title
FRAME_FROM = 24  # panel widths: a frame is worth its cells
DETAILED_FROM = 46  # bar, percent and a sentence beneath fit


def name(status: AccountStatus, options: RenderOptions) -> str:
    """Return what the account is called: a saved one by its own name."""
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
    """Return a panel's title: the account, its plan and, among several, which one is active.

    A long name is cut; the plan yields before the name is down to a few cells.
    """
    room = width - _TITLE_MARGIN
    plan = options.text(status.profile.plan or "") if status.profile else ""
    called = name(status, options)
    if plan and not several and width < _WIDE and status.account.name == "claude-code":
        return options.fit(plan, room)
    mark = "active" if active else ""
    for words in ((plan, mark), (mark,)):
        tail = options.text("".join(f" · {word}" for word in words if word))
        if room - cell_len(tail) >= min(cell_len(called), _LEAST_NAME):
            return options.fit(called, room - cell_len(tail)) + tail
    return options.fit(called, room)


def person(status: AccountStatus, options: RenderOptions) -> str:
    """Return the account's name and organisation, as far as they are known and say anything."""
    profile = status.profile
    if profile is None:
        return ""
    organization = profile.organization
    if organization and profile.email and profile.email in organization:
        organization = None  # a personal one is named after its only member
    return options.text(" · ".join(filter(None, (profile.display_name, organization))))


def email(status: AccountStatus, options: RenderOptions) -> str:
    """Return the account's e-mail address, if it is known."""
    known = status.profile.email if status.profile else None
    return options.text(known or status.account.email or "")


def freshness(status: AccountStatus, now: datetime, options: RenderOptions) -> tuple[str, ...]:
    """Return the footer's words, richest first: source, age, and when the next read is."""
    figures_age = status.age(now)
    old = "no figures yet" if figures_age is None else age(figures_age)
    if status.stale(now) and old != "now":
        old = f"{old} old"
    elif status.spend is not None and old != "now":
        old = f"{old} ago"
    due_in = _coming(status, now, options)
    source = _sources(status)
    reading = status.usage or status.spend
    invented = reading is not None and reading.source == "demo"
    always = "demo" if invented else ""  # what is invented says so at any width
    parts = [source, old, due_in]
    if status.stale(now):
        parts = [old, due_in, "" if "API" in due_in else source]
    variants = [parts, [always, old, due_in], [always, old]]
    return tuple(options.text(" · ".join(filter(None, variant))) for variant in variants)


def aside(
    status: AccountStatus, now: datetime, options: RenderOptions, *, figures: bool
) -> tuple[tuple[str, ...], str]:
    """Return what an account's only line says of it beside its figures, and in which style.

    Richest first: its problem and age, that there is nothing to show, or its age alone.
    """
    old = freshness(status, now, options)[-1]
    if status.problem is not None:
        words = problem_text.short(status.problem, now)
        both = (f"{words} · {old}", words) if status.usage is not None else (words,)
        return tuple(map(options.text, both)), PROBLEM
    if figures:
        return (old,), FAINT
    return (options.text(READING) if status.usage is None else NO_LIMITS,), FAINT


def common_freshness(
    statuses: Sequence[AccountStatus], now: datetime, options: RenderOptions, *, ages: bool
) -> tuple[str, ...]:
    """Return the footer that several accounts share, richest first.

    ``ages``: with how old the fresh figures are at most; those held over tell it themselves.
    """
    sources = " + ".join(dict.fromkeys(filter(None, map(_sources, statuses))))
    fresh = [found for s in statuses if (found := s.age(now)) is not None and not s.stale(now)]
    old = age(max(fresh)) if fresh and ages else ""
    if old not in {"", "now"}:
        old = f"up to {old} old"
    reads = [s.next_read_at for s in statuses if s.next_read_at is not None]
    soonest = f"next {due_in(min(reads) - now)}" if options.live and reads else ""
    variants = [(sources, old, soonest), (old, soonest), (soonest or old,)]
    return tuple(options.text(" · ".join(filter(None, variant))) for variant in variants)


def _sources(status: AccountStatus) -> str:
    """Return where the figures came from: of merged ones, every source."""
    usage = status.usage
    if usage is None:
        invented = status.spend is not None and status.spend.source == "demo"
        return "demo" if invented else "Admin API" if status.account.kind == "console" else ""
    found = dict.fromkeys([usage.source, *(window.source for window in usage.windows)])
    return " + ".join(source_label(source) for source in found)


def _coming(status: AccountStatus, now: datetime, options: RenderOptions) -> str:
    problem = status.problem
    if problem is not None and problem.code == "rate_limited" and problem.retry_at is not None:
        return f"API blocked until {clock_time(problem.retry_at, now, options.clock)}"
    reading = status.usage or status.spend
    if not options.live or (reading is not None and reading.source == "demo"):
        return ""
    if problem is not None and problem.retry_at is not None:
        return ""  # the problem's own line tells when
    paused_until = status.paused_until(now)
    if paused_until is not None:
        return f"API blocked until {clock_time(paused_until, now, options.clock)}"
    if status.next_read_at is not None:
        return f"next {due_in(status.next_read_at - now)}"
    missing = "an Admin key" if status.account.kind == "console" else "a login"
    return f"waiting for {missing}" if problem is not None else "reading"


def notices(status: AccountStatus) -> tuple[str, ...]:
    """Return what is not a problem but should be known."""
    found = [status.notice] if status.notice else []
    ahead = status.clock_skew.total_seconds()
    if ahead:
        how_far = countdown(abs(status.clock_skew))
        side = "ahead of" if ahead > 0 else "behind"
        found.append(f"This clock is {how_far} {side} the API's: times here follow the API.")
    return tuple(found)


def problem_lines(
    status: AccountStatus, now: datetime, width: int, options: RenderOptions, *, detail: int
) -> list[Text]:
    """Return the problem: ``detail`` 2 with its hint, 1 its message, 0 in two words."""
    problem = status.problem
    if problem is None:
        return []
    if detail == 0:
        return [styled(options.fit(problem_text.short(problem, now), width), PROBLEM)]
    message = problem_text.message(problem, now, options.clock)
    if detail == 1:
        return wrapped(message, width, options, PROBLEM)
    hint = problem_text.hint(status, now, options.clock, live=options.live)
    lines = [*wrapped(message, width - 2, options, PROBLEM), *wrapped(hint, width - 2, options, "")]
    signs = ["! "] + ["  "] * len(lines)
    return [styled(sign, PROBLEM) + line for sign, line in zip(signs, lines, strict=False)]


def wrapped(words: str, width: int, options: RenderOptions, style: str) -> list[Text]:
    """Return words broken into lines of at most ``width`` cells, between words where possible."""
    lines: list[str] = []
    for word in options.text(words).split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(options.fit(word, width))
    return [styled(line, style) for line in lines]


def framed(
    body: Sequence[Text], edges: tuple[Text, Text], width: int, options: RenderOptions
) -> list[Text]:
    """Put a border around lines that are each ``width - 4`` cells wide."""
    return [edges[0], *sided(body, width, options), edges[1]]


def sided(body: Sequence[Text], width: int, options: RenderOptions) -> list[Text]:
    """Put the border's sides beside lines that are each ``width - 4`` cells wide."""
    side = options.glyphs.vertical
    middle = []
    for content in body:
        content.truncate(width - 4, overflow="crop", pad=True)
        size = len(content)
        spans = [Span(start + 2, end + 2, style) for start, end, style in content.spans]
        edges = Span(0, 2, FAINT), Span(size + 2, size + 4, FAINT)
        middle.append(Text(f"{side} {content.plain} {side}", spans=[edges[0], *spans, edges[1]]))
    return middle


def edge(left: str, right: str, width: int, options: RenderOptions, *, top: bool) -> Text:
    """Draw the top or the bottom border with words in it; ``right`` yields where room is short."""
    corners = options.glyphs.corners
    left = options.fit(left, width - _TITLE_MARGIN)
    if cell_len(left) + cell_len(right) + 10 > width:
        right = ""
    style = STRONG if top else ""
    return _ruled(corners[:2] if top else corners[2:], (left, style), (right, ""), width, options)


def heading(
    left: tuple[str, str],
    right: tuple[str, str],
    width: int,
    options: RenderOptions,
    *,
    first: bool,
) -> Text:
    """Draw the border above an account that shares a frame, with words and their styles in it."""
    tees = ("+", "+") if options.glyphs is ASCII else ("├", "┤")
    ends = options.glyphs.corners[:2] if first else tees
    return _ruled(ends, left, right, width, options)


def _ruled(
    ends: Sequence[str],
    left: tuple[str, str],
    right: tuple[str, str],
    width: int,
    options: RenderOptions,
) -> Text:
    """Draw a horizontal border from one end to the other, with styled words in it."""
    dash = options.glyphs.horizontal
    first, last = (f" {words} " if words else "" for words, _ in (left, right))
    after = dash if last else ""
    line = styled(ends[0] + dash, FAINT)
    line.append(first, style=left[1])
    fill = width - 3 - cell_len(first) - cell_len(last) - len(after)
    line.append(dash * fill, style=FAINT)
    line.append(last, style=right[1])
    line.append(after, style=FAINT)
    line.append(ends[1], style=FAINT)
    return line
