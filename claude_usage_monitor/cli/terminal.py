"""The terminal's size, the user's clock format, and how to write lines for other programs."""

from __future__ import annotations

import _locale  # `locale` would take 1 ms
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.output import DEFAULT_WIDTH
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.clock import time_zone
from claude_usage_monitor.usage.durations import ClockStyle

DEFAULT_HEIGHT = 24  # rows

_DEFAULTS = Settings()

_POSIX_ZONE = r":?(?:<[^>]+>|[A-Za-z]{3,})[-+]?\d.*"
_UTC_NAMES = frozenset(("UTC", "GMT", "UCT", "Zulu", "Universal", "Etc/UTC", "Etc/GMT"))


def output_width(environ: Mapping[str, str]) -> int:
    """Return the width of standard output in columns: the terminal's, else ``COLUMNS``, else 80."""
    size = terminal_size()
    return output.columns(environ) if size is None else size[0]


def terminal_size() -> tuple[int, int] | None:
    """Return the columns and rows of standard output, ``None`` if it is not a terminal."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):  # stdout is None if it was closed
        return None
    return (size.columns or DEFAULT_WIDTH, size.lines or DEFAULT_HEIGHT)


def clock_style(
    environ: Mapping[str, str], now: datetime, settings: Settings = _DEFAULTS
) -> ClockStyle:
    """Return the clock format and the time zone of the settings, else those of the user's locale.

    The zone is UTC if ``TZ`` is not usable.
    """
    twelve_hour = settings.clock == "12h" or (settings.clock == "auto" and _locale_has_12h())
    if settings.timezone != "local":
        return ClockStyle(time_zone(settings.timezone), twelve_hour)
    if _is_usable_zone(environ.get("TZ", ""), now):
        return ClockStyle(None, twelve_hour)
    return ClockStyle(UTC, twelve_hour, "UTC")


def line_options(
    environ: Mapping[str, str], now: datetime, settings: Settings, *, to_file: bool = False
) -> FormatOptions:
    """Return how to write the text of ``--format`` and of the status line."""
    no_color = settings.color == "never" or (settings.color == "auto" and environ.get("NO_COLOR"))
    return FormatOptions(
        width=output.columns(environ),
        color=not no_color,
        ascii=settings.ascii or not (to_file or output.can_encode("▸·—")),
        clock=clock_style(environ, now, settings),
        left=settings.show == "left",
    )


def _locale_has_12h() -> bool:
    try:
        _locale.setlocale(_locale.LC_TIME, "")
        time_format = _locale.nl_langinfo(_locale.T_FMT)
    except (_locale.Error, AttributeError):  # type: ignore[attr-defined] # Windows: no nl_langinfo
        return False
    return any(code in time_format for code in ("%r", "%I", "%p"))


def _is_usable_zone(zone: str, now: datetime) -> bool:
    """Return whether ``TZ`` names a zone: for any other name, the C library silently uses UTC."""
    try:
        now.astimezone()
    except (ValueError, OverflowError):  # an offset of a day or more, as in <+99>-99
        return False
    if not zone or zone in _UTC_NAMES or re.fullmatch(_POSIX_ZONE, zone):
        return True
    try:
        time_zone(zone.removeprefix(":"))
    except (ValueError, OSError, LookupError):
        return False
    return True
