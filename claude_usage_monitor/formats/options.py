"""The options that every output format understands."""

from __future__ import annotations

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.durations import ClockStyle


class FormatOptions(NamedTuple):
    """How to write: the width in cells, color, ASCII only, the clock style, and the place.

    ``target`` is a name in `targets.TARGETS`. ``left`` is whether percentages are what is left
    instead of what is used; ``forecast`` whether to say how windows will end; ``live`` whether this
    program goes on to read.
    """

    width: int = 80
    color: bool = True
    ascii: bool = False
    clock: ClockStyle = ClockStyle()
    target: str = "ansi"
    left: bool = False
    forecast: bool = True
    live: bool = False
