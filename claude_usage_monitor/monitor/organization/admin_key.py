"""Finds an Admin API key that was not saved: in the environment or in Claude Code's file."""

from __future__ import annotations

from collections.abc import Mapping

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.sources.anthropic.admin_key import CREATE_KEY_HINT, checked_admin_key
from claude_usage_monitor.sources.claude_code import credentials_file
from claude_usage_monitor.sources.claude_code.credentials_file import ADMIN_KEY_VARIABLES
from claude_usage_monitor.usage.secret import Secret

FILE = "Claude Code credentials file"


class AdminKey(NamedTuple):
    """An Admin API key and the name of its source."""

    secret: Secret
    origin: str


def find_admin_key(environ: Mapping[str, str]) -> AdminKey:
    """Return the key to use. Raises NoCredentials if there is none.

    The first key that is set is used, and raises NoCredentials if it cannot be an Admin API key:
    the next source may have another organization's key.
    """
    for name in ADMIN_KEY_VARIABLES:
        raw = environ.get(name, "")
        if raw.strip():
            return _checked(raw, f"{name} variable")
    stored = credentials_file.stored_admin_key(environ)
    if stored is not None:
        return _checked(stored, FILE)
    raise NoCredentials(
        "There is no Admin API key.",
        f"Set {ADMIN_KEY_VARIABLES[0]}, or add an organization: "
        f"`claude-usage-monitor accounts add NAME --admin-key`. {CREATE_KEY_HINT}",
    )


def _checked(raw: str, origin: str) -> AdminKey:
    try:
        return AdminKey(checked_admin_key(raw), origin)
    except NoCredentials as error:
        raise NoCredentials(f"{origin}: {error.message}", error.hint) from None
