"""Forecasts: when a limit runs out, learned from the past use, and how to say it."""
