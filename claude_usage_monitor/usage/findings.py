"""The findings of ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass

from claude_usage_monitor.light_typing import Literal

FindingState = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    ``hint`` says what to do, empty if there is nothing to do; ``paste`` is a text to copy as it is.
    """

    area: str
    name: str
    state: FindingState
    detail: str
    hint: str = ""
    paste: str = ""
