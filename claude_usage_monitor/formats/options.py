"""The options that every output format understands."""

from __future__ import annotations

from typing import NamedTuple

from claude_usage_monitor.usage.durations import ClockStyle


class FormatOptions(NamedTuple):
    """How to write: the width in cells, color, ASCII only, and the clock style."""

    width: int = 80
    color: bool = True
    ascii: bool = False
    clock: ClockStyle = ClockStyle()
