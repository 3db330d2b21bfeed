"""Make forecasts of an account's windows from its stored history, and store them."""

from __future__ import annotations

import threading
from datetime import datetime
from zoneinfo import ZoneInfo

from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.store.state.windows.forecasts import store_forecasts
from claude_usage_monitor.store.state.windows.use_history import use_histories
from claude_usage_monitor.usage.forecast.estimate import Forecaster
from claude_usage_monitor.usage.limits.resets import ROUNDING
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow

# Accounts are read in parallel, and each history needs 200 KiB. Python computes forecasts no faster
# in parallel.
_one_at_a_time = threading.Lock()


def with_new_forecasts(
    state: StateStore, identity: str, usage: Usage, now: datetime, timezone: str
) -> Usage:
    """Return the usage with forecasts from its figures; they are stored for other processes.

    ``now`` is the API's time, ``timezone`` a setting: ``local`` or a name. A figure that has fallen
    has no forecast before a second reading confirms it.
    """
    instances = state.run(history.current_windows, identity)

    def has_fallen(window: UsageWindow) -> bool:
        instance = instances.get(window.key)
        utilization = window.utilization or 0.0
        return instance is not None and utilization < instance.utilization - ROUNDING

    windows = [window for window in usage.windows if not has_fallen(window)]
    starts = {key: instance.started_at for key, instance in instances.items()}
    zone = None if timezone == "local" else ZoneInfo(timezone)
    with _one_at_a_time:
        forecaster = Forecaster(state.run(use_histories, identity, now), zone)
        forecasts = forecaster.forecasts(windows, starts, now)
        del forecaster  # before another read loads a history
    state.run(store_forecasts, identity, forecasts)
    return usage.with_forecasts(forecasts, now)
