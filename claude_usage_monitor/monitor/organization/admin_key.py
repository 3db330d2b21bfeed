"""Where an Admin API key is found without being saved: the environment, Claude Code's own file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.sources.anthropic.admin_api import MAKE_ONE, checked_admin_key
from claude_usage_monitor.sources.claude_code import credentials_file
from claude_usage_monitor.sources.claude_code.credentials_file import ADMIN_KEY_VARIABLES
from claude_usage_monitor.usage.secret import Secret

FILE = "Claude Code credentials file"


class AdminKey(NamedTuple):
    """A key and the words for where it was found."""

    secret: Secret
    origin: str


def find_admin_key(environ: Mapping[str, str]) -> AdminKey | None:
    """Return the key to use, ``None`` if there is none anywhere.

    Raises NoCredentials when one is set but unusable: the next place is not tried then, it may be
    another organisation's.
    """
    for name in ADMIN_KEY_VARIABLES:
        raw = environ.get(name, "")
        if raw.strip():
            return _checked(raw, f"{name} variable")
    raw_stored = credentials_file.stored_admin_key(environ)
    return None if raw_stored is None else _checked(raw_stored, FILE)


def require_admin_key(environ: Mapping[str, str]) -> AdminKey:
    """Return the key to use. Raises NoCredentials, also when there is none anywhere."""
    found = find_admin_key(environ)
    if found is None:
        hint = (
            f"Set {ADMIN_KEY_VARIABLES[0]}, or add an organisation: "
            f"`claude-usage-monitor accounts add NAME --admin-key`. {MAKE_ONE}"
        )
        raise NoCredentials("There is no Admin API key.", hint)
    return found


def _checked(raw: str, origin: str) -> AdminKey:
    try:
        return AdminKey(checked_admin_key(raw), origin)
    except NoCredentials as error:
        raise NoCredentials(f"{origin}: {error.message}", error.hint) from None
