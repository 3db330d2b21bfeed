"""Why extra usage is off, in words."""

from __future__ import annotations

_REASONS = {  # the API's reasons
    "org_level_disabled": "off: your organization does not allow it",
    "org_level_disabled_until": "off: your organization has paused it",
    "org_spend_cap_reached": "off: your organization has reached its spend cap",
    "out_of_credits": "off: out of credits",
    "seat_tier_level_disabled": "off: your tier does not include it",
}


def off_text(reason: str | None) -> str:
    """Return a phrase for a reason of the API; an unknown one is quoted."""
    if not reason:
        return "off"
    return _REASONS.get(reason) or f"off (reason: {reason.replace('_', ' ')})"
