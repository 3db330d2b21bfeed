"""The form of an Admin API key, checked before it is stored or sent."""

from __future__ import annotations

import re

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.usage.secret import Secret

CREATE_KEY_HINT = (
    "An admin creates one at platform.claude.com/settings/admin-keys (sk-ant-admin01-…)."
)

# Not compiled when the module is imported: most users have no such key.
_ADMIN_KEY = r"sk-ant-(?:admin(?:\d\d)?|api01)-[\x21-\x7e]{1,500}"
_WORKSPACE_KEY = r"sk-ant-api(?!01)\d\d-"


def checked_admin_key(raw: object) -> Secret:
    """Return the key if it is a kind that can read an organization's figures.

    Console keys start with ``sk-ant-admin01-``, Claude Enterprise keys with ``sk-ant-api01-``.
    Raises NoCredentials, which explains the error without quoting the key.
    """
    key = raw.strip() if isinstance(raw, str) else ""
    if not key:
        raise NoCredentials("The Admin API key is empty.", CREATE_KEY_HINT)
    if re.fullmatch(_ADMIN_KEY, key):
        return Secret(key)
    if re.match(_WORKSPACE_KEY, key):
        raise NoCredentials(
            "This is a workspace's API key: it cannot read the organization's figures.",
            CREATE_KEY_HINT,
        )
    if key.startswith("sk-ant-oat"):
        raise NoCredentials("This is a login's token, not an Admin API key.", CREATE_KEY_HINT)
    raise NoCredentials(
        "This is not an Admin API key: it is incomplete or of another kind.",
        f"Copy the whole key. {CREATE_KEY_HINT}",
    )
