"""Subscription accounts: the limits of a Claude plan."""
