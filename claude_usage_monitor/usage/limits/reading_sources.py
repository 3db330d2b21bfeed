"""Where readings come from: one row for each source."""

from __future__ import annotations

from enum import Enum, auto

from claude_usage_monitor.light_typing import Literal, NamedTuple

Source = Literal["api", "statusline", "claude-json", "pace-maker", "demo"]
"""The source's name in JSON and in state.db."""


class UpdatePolicy(Enum):
    """When a new reading replaces the stored one."""

    REPLACE = auto()
    """Always: the source has just answered."""
    IF_NEWER = auto()
    """If it was read later: another program stored it together with its time."""
    IF_INCREASED = auto()
    """If its utilization rose or its reset time is later: its age is unknown."""


class ReadingSource(NamedTuple):
    """A source of readings; ``complete`` if a reading lists every window of the account."""

    label: str
    policy: UpdatePolicy
    complete: bool = True


SOURCES: dict[Source, ReadingSource] = {
    "api": ReadingSource("API", UpdatePolicy.REPLACE),
    "statusline": ReadingSource("status line", UpdatePolicy.IF_INCREASED, complete=False),
    "claude-json": ReadingSource("Claude Code", UpdatePolicy.IF_NEWER),
    "pace-maker": ReadingSource("Pace Maker", UpdatePolicy.IF_NEWER),
    "demo": ReadingSource("demo", UpdatePolicy.REPLACE),
}


def source_label(source: Source) -> str:
    """Return a source's label; a later version may have stored a source that is unknown here."""
    return SOURCES[source].label if source in SOURCES else source
