"""What ``doctor`` found: a thing, whether it is well, and what to do about it if not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingState = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``hint`` is what to do, empty where there is nothing."""

    area: str
    name: str
    state: FindingState
    detail: str
    hint: str = ""
