"""Alerts: which are due, and the channels that show them."""
