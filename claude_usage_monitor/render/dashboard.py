"""The whole dashboard: statuses and the time in, lines of text out, for a pane of any size.

If there are too few rows, decoration is dropped before figures: see the table of panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import chain, zip_longest

from rich.text import Text

from claude_usage_monitor.render.account_frame import AccountFrame, account_frames
from claude_usage_monitor.render.layout import first_low_enough, set_width
from claude_usage_monitor.render.panels.accounts import (
    account_lines,
    most_urgent_accounts,
    shared_frame,
)
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.usage.status import AccountStatus

MAX_WIDTH = 100  # of an account: longer bars and lines are harder to read
MIN_TWO_COLUMNS = 160  # cells for two accounts side by side
_GAP = 2  # cells between two columns


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
    width = max(1, width)
    logins = [status.account.active for status in statuses if status.account.kind == "code"]
    mark_active = len(logins) > 1 and not all(logins)
    rows = None if height is None else 2 * height
    if width >= MIN_TWO_COLUMNS and len(statuses) > 1 and (rows is None or len(statuses) <= rows):
        half = min(MAX_WIDTH, (width - _GAP) // 2)
        frames = account_frames(statuses, now, half, options, mark_active=mark_active)
        middle = (len(statuses) + 1) // 2
        left, right = (_column(part, height) for part in (frames[:middle], frames[middle:]))
        lines = _side_by_side(left, right, half)
    else:
        shown: Sequence[AccountStatus] = statuses
        if height is not None and len(statuses) > height:
            shown = most_urgent_accounts(statuses, now, max(1, height - 1))
        width = min(width, MAX_WIDTH)
        frames = account_frames(shown, now, width, options, mark_active=mark_active)
        lines = _column(frames, height, hidden=len(statuses) - len(shown))
    for line in lines:
        line.style = options.theme.text
    return lines


def _column(frames: Sequence[AccountFrame], height: int | None, *, hidden: int = 0) -> list[Text]:
    """Draw accounts one below the other; ``hidden`` is how many others there are."""
    if height is None or (len(frames) == 1 and not hidden):
        return list(chain.from_iterable(frame.fit(height) for frame in frames))
    if hidden:
        return account_lines(frames, height, hidden=hidden)[:height]
    lines = _stacked(frames, height) or shared_frame(frames, height)
    return (lines or account_lines(frames, height))[:height]


def _side_by_side(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    """Put two columns beside each other."""
    pairs = zip_longest((set_width(line, width) for line in left), right)
    blank = Text(" " * width)
    return [(first or blank) + Text(" " * _GAP) + (second or Text()) for first, second in pairs]


def _stacked(frames: Sequence[AccountFrame], height: int) -> list[Text] | None:
    """Draw all frames, one below the other, at the first step at which they fit.

    Of the spare rows, the first frame uses one more step; panels that grow use the rest.
    """
    if sum(frame.min_height for frame in frames) > height:
        return None
    cutoffs = frames[0].cutoffs
    cutoff = first_low_enough(cutoffs, height, lambda cutoff: _total_height(frames, cutoff, height))
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
