"""Opens the reader of an organization, and finds its key and the user's e-mail address."""

from __future__ import annotations

from claude_usage_monitor.errors import UnknownAccount
from claude_usage_monitor.monitor.organization.admin_key import AdminKey, find_admin_key
from claude_usage_monitor.monitor.organization.reader import OrganizationReader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.sources.anthropic.admin_key import checked_admin_key
from claude_usage_monitor.sources.claude_code.global_config import GlobalConfig
from claude_usage_monitor.store.accounts.saved_account import SavedAccount


def organization_reader(
    services: Services, saved: SavedAccount | None = None
) -> OrganizationReader:
    """Return a reader of an organization; without ``saved`` its key comes from the environment."""
    config = GlobalConfig(services.environ)

    def find_key() -> AdminKey:
        return saved_admin_key(services, saved) if saved else find_admin_key(services.environ)

    return OrganizationReader(find_key, services, lambda: own_email(services, config))


def saved_admin_key(services: Services, saved: SavedAccount) -> AdminKey:
    """Return the key of a saved organization. Raises CredentialError, UnknownAccount."""
    current = services.accounts.get(saved.id)
    if current is None:
        message = f"The account {saved.name} was removed."
        raise UnknownAccount(message, "Press Tab for the others.")
    stored = services.secrets.read(current.id, location=current.location)
    key = checked_admin_key(str(stored.content.get("admin_key", "")))
    return AdminKey(key, f"the saved account {current.name}")


def own_email(services: Services, config: GlobalConfig) -> str | None:
    """Return the user's own e-mail address, None if it is not known.

    It is the setting, else the address in ``~/.claude.json``. What earlier commands have stored
    does not count, so that the answer is the same whichever command ran first. It is never guessed:
    without it, no row of the organization is marked as the user's.
    """
    if services.settings.email:
        return services.settings.email
    profile = config.read().profile
    return profile.email if profile else None
