"""The table of output formats: statuses and the time in, text out.

A new format is one module here with a function ``render``, and one row in the table. The table
imports no format: `load_format` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:  # --help needs the table only, not the 5 ms of datetime
    from datetime import datetime

    from claude_usage_monitor.errors import UsageMonitorError
    from claude_usage_monitor.formats.options import FormatOptions
    from claude_usage_monitor.usage.status import AccountStatus


class Format(NamedTuple):
    """A row of the table: its module defines ``render``."""

    name: str
    module: str
    help: str


FORMATS = (
    Format("json", f"{__name__}.json_document", "one JSON document"),
    Format("statusline", f"{__name__}.statusline", "one line for each account"),
)


class Render(Protocol):
    """The signature of a format's ``render``."""

    def __call__(
        self,
        statuses: Sequence[AccountStatus],
        now: datetime,
        options: FormatOptions,
        error: UsageMonitorError | None = None,
    ) -> str:
        """Return the text for all statuses, or for the error that prevented reading any."""


def load_format(name: str) -> Render:
    """Import a format of the table and return its ``render``."""
    module = next(row.module for row in FORMATS if row.name == name)
    return cast("Render", import_module(module).render)
