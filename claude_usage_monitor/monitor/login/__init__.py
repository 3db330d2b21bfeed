"""Logins: finding, storing and refreshing credentials."""
