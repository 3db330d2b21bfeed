"""The whole dashboard: statuses and the time in, lines of text out, for a pane of any size.

If there are too few rows, decoration is dropped before figures: see the table of panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import chain

from rich.text import Text

from claude_usage_monitor.render.account_frame import AccountFrame, account_frames
from claude_usage_monitor.render.layout import first_fitting
from claude_usage_monitor.render.panels.accounts import (
    account_lines,
    most_urgent_accounts,
    shared_frame,
)
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.usage.status import AccountStatus

MAX_WIDTH = 100


def dashboard(
    statuses: Sequence[AccountStatus],
    now: datetime,
    width: int,
    height: int | None,
    options: RenderOptions,
) -> list[Text]:
    """Return the lines to show: none wider than ``width``, no more than ``height`` of them.

    A ``height`` of ``None`` means no limit.
    """
    width = max(1, min(width, MAX_WIDTH))
    shown: Sequence[AccountStatus] = statuses
    if height is not None and len(statuses) > height:
        shown = most_urgent_accounts(statuses, now, max(1, height - 1))
    logins = [status.account.active for status in statuses if status.account.kind == "code"]
    mark_active = len(logins) > 1 and not all(logins)
    frames = account_frames(shown, now, width, options, mark_active=mark_active)
    if height is None or len(statuses) == 1:
        return list(chain.from_iterable(frame.fit(height) for frame in frames))
    if len(shown) < len(statuses):
        return account_lines(frames, height, hidden=len(statuses) - len(shown))[:height]
    lines = _stacked(frames, height) or shared_frame(frames, height)
    return (lines or account_lines(frames, height))[:height]


def _stacked(frames: Sequence[AccountFrame], height: int) -> list[Text] | None:
    """Draw all frames, one below the other, at the first step at which they fit.

    Of the spare rows, the first frame uses one more step; panels that grow use the rest.
    """
    if sum(frame.min_height for frame in frames) > height:
        return None
    cutoffs = frames[0].cutoffs
    cutoff = first_fitting(cutoffs, height, lambda cutoff: _total_height(frames, cutoff, height))
    if cutoff is None:
        return None
    drawn = [frame.draw(cutoff) for frame in frames]
    spare = height - sum(map(len, drawn))
    step_before = max(c for c in cutoffs if c < cutoff or c == 0)
    if frames[0].height(step_before) <= len(drawn[0]) + spare:
        spare -= frames[0].height(step_before) - len(drawn[0])
        drawn[0] = frames[0].draw(step_before)
    for at, frame in enumerate(frames):
        if frame.grows:
            lines = frame.fit(len(drawn[at]) + spare)
            spare -= len(lines) - len(drawn[at])
            drawn[at] = lines
    return list(chain.from_iterable(drawn))


def _total_height(frames: Sequence[AccountFrame], cutoff: int, limit: int) -> int:
    """Return the height of all frames, or a number above the limit as soon as it is exceeded."""
    total = 0
    for frame in frames:
        total += frame.height(cutoff)
        if total > limit:
            break
    return total
