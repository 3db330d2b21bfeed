"""Saved resets: what the API grants to clear limits before their reset. We never use one."""

from __future__ import annotations

from datetime import datetime

from claude_usage_monitor.light_typing import NamedTuple

_CLEARED = {
    "five_hour": "5-hour",
    "seven_day": "week",
    "seven_day_overage_included": "model limits",
}


class ResetGrant(NamedTuple):
    """A grant: how many resets are left, when they expire, and which limits each one clears."""

    left: int
    ends_at: datetime | None
    clears: tuple[str, ...]


class SavedResets(NamedTuple):
    """The grants of an account, as the API reported them at ``as_of``."""

    grants: tuple[ResetGrant, ...]
    as_of: datetime

    def held(self, now: datetime) -> tuple[ResetGrant, ...]:
        """Return the grants that have resets left and have not expired."""
        return tuple(
            grant
            for grant in self.grants
            if grant.left > 0 and (grant.ends_at is None or grant.ends_at > now)
        )

    def count(self, now: datetime) -> int:
        """Return how many resets are left."""
        return sum(grant.left for grant in self.held(now))

    def use_by(self, now: datetime) -> datetime | None:
        """Return when the first of them expires; ``None`` if that is unknown, or none is left."""
        ends = [grant.ends_at for grant in self.held(now) if grant.ends_at is not None]
        return min(ends, default=None)

    def clears(self, now: datetime) -> tuple[str, ...]:
        """Return the limits that they clear, by the API's names."""
        return tuple(dict.fromkeys(name for grant in self.held(now) for name in grant.clears))


def cleared_limits(names: tuple[str, ...]) -> str:
    """Return the names of the limits in words: ``5-hour and week``."""
    words = [_CLEARED.get(name, name.replace("_", " ")) for name in names]
    *others, last = words or [""]
    return f"{', '.join(others)} and {last}" if others else last
