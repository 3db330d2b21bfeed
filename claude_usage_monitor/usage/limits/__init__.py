"""Limit windows: utilization, pace and reset times."""
