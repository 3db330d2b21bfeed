"""Organization accounts: spend from the Admin API."""
