"""The block of saved resets in a usage reply: ``cedar_ember``, filled only on request.

The API answers ``ineligible_reason: "surface"`` to other programs than Claude Code: then the resets
are unknown, not none. A block that we cannot read is unknown too; it never affects the rest.
"""

from __future__ import annotations

from datetime import datetime

from claude_usage_monitor.sources.values import JsonObject, instant, json_object, number, text
from claude_usage_monitor.usage.limits.saved_resets import ResetGrant, SavedResets

QUERY = (("cedar_ember", "1"),)  # of the request; one flag a request, as Claude Code sends it

_MAX_GRANTS = 100
_MAX_LEFT = 1000
_MAX_NAME = 60  # characters


def saved_resets_from(document: JsonObject, as_of: datetime) -> SavedResets | None:
    """Return the saved resets in a reply; ``None`` if they are unknown or not offered."""
    block = json_object(document.get("cedar_ember"))
    if block is None or block.get("eligible") is not True:
        return None
    grants = block.get("grants")
    if not isinstance(grants, list) or len(grants) > _MAX_GRANTS:
        return None
    by_id: dict[str, ResetGrant] = {}
    for value in grants:
        fields = json_object(value) or {}
        identifier, left = text(fields.get("id"), _MAX_NAME), number(fields.get("resets_left"))
        if identifier is None or left is None or left != int(left) or left > _MAX_LEFT:
            return None
        by_id.setdefault(
            identifier, ResetGrant(int(left), instant(fields.get("ends_at")), _clears(fields))
        )
    return SavedResets(tuple(by_id.values()), as_of)


def _clears(fields: JsonObject) -> tuple[str, ...]:
    names = fields.get("clears")
    found = (text(name, _MAX_NAME) for name in names[:10]) if isinstance(names, list) else ()
    return tuple(name for name in found if name is not None)
