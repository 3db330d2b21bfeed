"""The panel's frame: who this is above, how fresh the figures are below, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Span, Text

from claude_usage_monitor.render.theme import ASCII, FAINT, PROBLEM, STRONG, Look, styled
from claude_usage_monitor.usage import wording
from claude_usage_monitor.usage.durations import age, clock_time, coming, countdown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from claude_usage_monitor.usage.status import AccountStatus

_SOURCES = {
    "api": "API",
    "statusline": "status line",
    "claude-json": "Claude Code",
    "pace-maker": "Pace Maker",
    "demo": "demo",
}
_NAMES = {"claude-code": "Claude", "console": "Organisation", "demo": "Demo"}
READING = "Reading…"
NO_LIMITS = "no limits"
_WIDE = 40  # panels from here on name more than the plan
_LEAST_NAME = 12  # cells a name keeps before the plan yields
_TITLE_MARGIN = 6  # corners, dashes and blanks around a title
FRAME_FROM = 24  # panel widths: a frame is worth its cells
DETAILED_FROM = 46  # bar, percent and a sentence beneath fit


def name(status: AccountStatus, look: Look) -> str:
    """Return what the account is called: a saved one by its own name."""
    profile = status.profile
    if status.account.name == "console" and profile is not None and profile.organization:
        return look.text(profile.organization)
    return look.text(_NAMES.get(status.account.name, status.account.name))


def title(
    status: AccountStatus, width: int, look: Look, *, several: bool = False, active: bool = False
) -> str:
    """Return a panel's title: the account, its plan and, among several, which one is active.

    A long name is cut; the plan yields before the name is down to a few cells.
    """
    room = width - _TITLE_MARGIN
    plan = look.text(status.profile.plan or "") if status.profile else ""
    called = name(status, look)
    if plan and not several and width < _WIDE and status.account.name == "claude-code":
        return look.fit(plan, room)
    mark = "active" if active else ""
    for words in ((plan, mark), (mark,)):
        tail = look.text("".join(f" · {word}" for word in words if word))
        if room - cell_len(tail) >= min(cell_len(called), _LEAST_NAME):
            return look.fit(called, room - cell_len(tail)) + tail
    return look.fit(called, room)


def person(status: AccountStatus, look: Look) -> str:
    """Return the account's name and organisation, as far as they are known and say anything."""
    profile = status.profile
    if profile is None:
        return ""
    organization = profile.organization
    if organization and profile.email and profile.email in organization:
        organization = None  # a personal one is named after its only member
    return look.text(" · ".join(filter(None, (profile.display_name, organization))))


def email(status: AccountStatus, look: Look) -> str:
    """Return the account's e-mail address, if it is known."""
    known = status.profile.email if status.profile else None
    return look.text(known or status.account.email or "")


def freshness(status: AccountStatus, now: datetime, look: Look) -> tuple[str, ...]:
    """Return the footer's words, richest first: source, age, and when the next read is."""
    figures_age = status.age(now)
    old = "no figures yet" if figures_age is None else age(figures_age)
    if status.stale(now) and old != "now":
        old = f"{old} old"
    elif status.spend is not None and old != "now":
        old = f"{old} ago"
    coming = _coming(status, now, look)
    source = _sources(status)
    reading = status.usage or status.spend
    invented = reading is not None and reading.source == "demo"
    always = "demo" if invented else ""  # what is invented says so at any width
    parts = [source, old, coming]
    if status.stale(now):
        parts = [old, coming, "" if "API" in coming else source]
    variants = [parts, [always, old, coming], [always, old]]
    return tuple(look.text(" · ".join(filter(None, variant))) for variant in variants)


def aside(
    status: AccountStatus, now: datetime, look: Look, *, figures: bool
) -> tuple[tuple[str, ...], str]:
    """Return what an account's only line says of it beside its figures, and in which style.

    Richest first: its problem and age, that there is nothing to show, or its age alone.
    """
    old = freshness(status, now, look)[-1]
    if status.problem is not None:
        words = wording.short(status.problem, now)
        both = (f"{words} · {old}", words) if status.usage is not None else (words,)
        return tuple(map(look.text, both)), PROBLEM
    if figures:
        return (old,), FAINT
    return (look.text(READING) if status.usage is None else NO_LIMITS,), FAINT


def common_freshness(
    statuses: Sequence[AccountStatus], now: datetime, look: Look, *, ages: bool
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
    soonest = f"next {coming(min(reads) - now)}" if look.live and reads else ""
    variants = [(sources, old, soonest), (old, soonest), (soonest or old,)]
    return tuple(look.text(" · ".join(filter(None, variant))) for variant in variants)


def _sources(status: AccountStatus) -> str:
    """Return where the figures came from: of merged ones, every source."""
    usage = status.usage
    if usage is None:
        invented = status.spend is not None and status.spend.source == "demo"
        return "demo" if invented else "Admin API" if status.account.kind == "console" else ""
    found = dict.fromkeys([usage.source, *(window.source for window in usage.windows)])
    return " + ".join(_SOURCES[source] for source in found)


def _coming(status: AccountStatus, now: datetime, look: Look) -> str:
    problem = status.problem
    if problem is not None and problem.code == "rate_limited" and problem.retry_at is not None:
        return f"API blocked until {clock_time(problem.retry_at, now, look.clock)}"
    reading = status.usage or status.spend
    if not look.live or (reading is not None and reading.source == "demo"):
        return ""
    if problem is not None and problem.retry_at is not None:
        return ""  # the problem's own line tells when
    held_until = status.held_until(now)
    if held_until is not None:
        return f"API blocked until {clock_time(held_until, now, look.clock)}"
    if status.next_read_at is not None:
        return f"next {coming(status.next_read_at - now)}"
    missing = "an Admin key" if status.account.kind == "console" else "a login"
    return f"waiting for {missing}" if problem is not None else "reading"


def notices(status: AccountStatus) -> tuple[str, ...]:
    """Return what is not a problem but should be known."""
    found = [status.notice] if status.notice else []
    ahead = status.clock_ahead.total_seconds()
    if ahead:
        how_far = countdown(abs(status.clock_ahead))
        side = "ahead of" if ahead > 0 else "behind"
        found.append(f"This clock is {how_far} {side} the API's: times here follow the API.")
    return tuple(found)


def problem_lines(
    status: AccountStatus, now: datetime, width: int, look: Look, *, detail: int
) -> list[Text]:
    """Return the problem: ``detail`` 2 with its hint, 1 its message, 0 in two words."""
    problem = status.problem
    if problem is None:
        return []
    if detail == 0:
        return [styled(look.fit(wording.short(problem, now), width), PROBLEM)]
    message = wording.message(problem, now, look.clock)
    if detail == 1:
        return wrapped(message, width, look, PROBLEM)
    hint = wording.hint(status, now, look.clock, live=look.live)
    lines = [*wrapped(message, width - 2, look, PROBLEM), *wrapped(hint, width - 2, look, "")]
    signs = ["! "] + ["  "] * len(lines)
    return [styled(sign, PROBLEM) + line for sign, line in zip(signs, lines, strict=False)]


def wrapped(words: str, width: int, look: Look, style: str) -> list[Text]:
    """Return words broken into lines of at most ``width`` cells, between words where possible."""
    lines: list[str] = []
    for word in look.text(words).split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(look.fit(word, width))
    return [styled(line, style) for line in lines]


def framed(body: Sequence[Text], edges: tuple[Text, Text], width: int, look: Look) -> list[Text]:
    """Put a border around lines that are each ``width - 4`` cells wide."""
    return [edges[0], *sided(body, width, look), edges[1]]


def sided(body: Sequence[Text], width: int, look: Look) -> list[Text]:
    """Put the border's sides beside lines that are each ``width - 4`` cells wide."""
    side = look.glyphs.vertical
    middle = []
    for content in body:
        content.truncate(width - 4, overflow="crop", pad=True)
        size = len(content)
        spans = [Span(start + 2, end + 2, style) for start, end, style in content.spans]
        edges = Span(0, 2, FAINT), Span(size + 2, size + 4, FAINT)
        middle.append(Text(f"{side} {content.plain} {side}", spans=[edges[0], *spans, edges[1]]))
    return middle


def edge(left: str, right: str, width: int, look: Look, *, top: bool) -> Text:
    """Draw the top or the bottom border with words in it; ``right`` yields where room is short."""
    corners = look.glyphs.corners
    left = look.fit(left, width - _TITLE_MARGIN)
    if cell_len(left) + cell_len(right) + 10 > width:
        right = ""
    style = STRONG if top else ""
    return _ruled(corners[:2] if top else corners[2:], (left, style), (right, ""), width, look)


def heading(
    left: tuple[str, str], right: tuple[str, str], width: int, look: Look, *, first: bool
) -> Text:
    """Draw the border above an account that shares a frame, with words and their styles in it."""
    tees = ("+", "+") if look.glyphs is ASCII else ("├", "┤")
    ends = look.glyphs.corners[:2] if first else tees
    return _ruled(ends, left, right, width, look)


def _ruled(
    ends: Sequence[str], left: tuple[str, str], right: tuple[str, str], width: int, look: Look
) -> Text:
    """Draw a horizontal border from one end to the other, with styled words in it."""
    dash = look.glyphs.horizontal
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
