"""The panel's frame: who this is above, how fresh the figures are below, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

from claude_usage_monitor.render.theme import FAINT, PROBLEM, STRONG, Look, styled
from claude_usage_monitor.usage import wording
from claude_usage_monitor.usage.durations import age, clock_time, coming, countdown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.text import Text

    from claude_usage_monitor.usage.status import AccountStatus

_SOURCES = {
    "api": "API",
    "statusline": "status line",
    "claude-json": "Claude Code",
    "pace-maker": "Pace Maker",
    "demo": "demo",
}
_WIDE = 40  # panels from here on name more than the plan


def title(status: AccountStatus, width: int, look: Look) -> str:
    """Return the panel's title: the account and its plan."""
    plan = status.profile.plan if status.profile else None
    names = {"claude-code": "Claude", "demo": "Demo", "console": "Organisation"}
    name = names.get(status.account.name, status.account.name)
    if plan is None:
        return look.text(name)
    only_plan = width < _WIDE and status.account.name == "claude-code"
    return look.text(plan if only_plan else f"{name} · {plan}")


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
    return look.text(status.profile.email or "") if status.profile else ""


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
    side = look.glyphs.vertical
    middle = []
    for content in body:
        line = styled(f"{side} ", FAINT)
        content.truncate(width - 4, overflow="crop", pad=True)
        line.append_text(content)
        line.append(f" {side}", style=FAINT)
        middle.append(line)
    return [edges[0], *middle, edges[1]]


def edge(left: str, right: str, width: int, look: Look, *, top: bool) -> Text:
    """Draw the top or the bottom border with words in it; ``right`` yields where room is short."""
    glyphs = look.glyphs
    start, end = glyphs.corners[:2] if top else glyphs.corners[2:]
    left = look.fit(left, width - 6)
    if cell_len(left) + cell_len(right) + 10 > width:
        right = ""
    line = styled(start + glyphs.horizontal, FAINT)
    used = 3  # the corners and the first dash
    if left:
        line.append(f" {left} ", style=STRONG if top else "")
        used += cell_len(left) + 2
    tail = f" {right} " if right else ""
    fill = width - used - cell_len(tail) - (1 if right else 0)
    line.append(glyphs.horizontal * fill, style=FAINT)
    if right:
        line.append(tail, style="")
        line.append(glyphs.horizontal, style=FAINT)
    line.append(end, style=FAINT)
    return line
