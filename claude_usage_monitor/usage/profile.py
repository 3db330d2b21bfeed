"""The profile of an account and the label of its plan."""

from typing import NamedTuple

_TYPES = {
    "claude_max": "Max",
    "claude_pro": "Pro",
    "claude_team": "Team",
    "claude_enterprise": "Enterprise",
    "claude_free": "Free",
}
_ORGANIZATION_PLANS = ("Team", "Enterprise")
_SEATS = {"team_standard": "Team Standard", "team_tier_1": "Team Premium"}


class Profile(NamedTuple):
    """The person, organization and plan of an account; each field is ``None`` if unknown.

    ``plan`` is a label such as ``Max 5x``.
    """

    display_name: str | None = None
    email: str | None = None
    organization: str | None = None
    plan: str | None = None
    rate_limit_tier: str | None = None
    account_uuid: str | None = None
    organization_uuid: str | None = None

    @property
    def identity(self) -> str | None:
        """The key of the account's limits: a person has separate limits in each organization."""
        if self.account_uuid is None or self.organization_uuid is None:
            return self.account_uuid
        return f"{self.account_uuid}/{self.organization_uuid}"


def plan_label(
    plan_type: str | None,
    rate_limit_tier: str | None = None,
    seat_tier: str | None = None,
) -> str | None:
    """Return the plan's label: ``Max 5x``, ``Team Premium``, ``Pro``.

    ``plan_type`` is ``claude_max`` or, as Claude Code stores it, ``max``. It decides, not the
    tier: an Enterprise plan may have a Max tier. An unknown type is returned as it is. ``Ultra`` is
    used only where the API says ``ultra``.
    """
    name = _TYPES.get(f"claude_{(plan_type or '').removeprefix('claude_')}")
    names_ultra = "ultra" in f"{plan_type} {rate_limit_tier}".casefold()
    if names_ultra and name not in _ORGANIZATION_PLANS:
        return "Ultra"
    if not plan_type:
        return None
    if name is None:
        return plan_type
    _, _, multiplier = (rate_limit_tier or "").partition("max_")  # as in default_claude_max_20x
    if name == "Max" and multiplier.endswith("x") and multiplier[:-1].isdecimal():
        return f"Max {multiplier}"
    if name == "Team" and seat_tier:
        return _SEATS.get(seat_tier, f"Team {seat_tier}")
    return name
