"""Measure the history and the forecasts: accuracy, and speed with ten million readings."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from claude_usage_monitor.monitor.subscription.history import AccountHistory
from claude_usage_monitor.store.state.readings import record_usage
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import merge
from claude_usage_monitor.store.state.windows.use_history import use_histories
from claude_usage_monitor.usage.forecast.estimate import Forecaster
from claude_usage_monitor.usage.limits.history_view import Range
from claude_usage_monitor.usage.limits.resets import Reading
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow
from tests.benchmarks.forecast import parse_life
from tests.support.lives import PROFILES, life
from tests.usage.limits.test_resets import Judged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

READINGS = 10_000_000
ACCOUNTS, KEYS = 4, ("five_hour", "seven_day", "seven_day:fable")
YEAR = timedelta(days=365)
RUNS = 9
LIMITS = {Range.DAY: 5.0, Range.YEAR: 20.0}  # ms


def accuracy() -> None:
    """Print how many granted resets and limits hit the rules find."""
    faults = [Judged(life("faults", seed)) for seed in range(1, 7)]
    granted = sum(len(each.granted) for each in faults)
    found = sum(each.resets_found() for each in faults)
    false = sum(len(each.early) for each in faults) - found
    phantoms = sum(each.phantoms for each in faults)
    print(
        f"granted resets: {found} of {granted} (9 of 12), {false} false of {phantoms} phantoms (2)"
    )
    lives = faults + [Judged(life(name)) for name in PROFILES if name != "faults"]
    hits = sum(len(each.true_hits) for each in lives)
    hits_found = sum(each.hits_found() for each in lives)
    counted = sum(window.full_at is not None for each in lives for window in each.windows)
    print(
        f"limits hit: {hits_found} of {hits}, {hits_found / hits:.1%} (98 %);"
        f" {(counted - hits_found) / hits:.1%} false (0.5 %)"
    )


def speed(readings: int) -> None:
    """Print how long a chart and a write take beside many readings."""
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as folder:
        state = StateStore(Path(folder) / "state.db")
        state.run(merge.import_readings, "account 0", list(_past_year(now)))
        state.run(_fill, readings, now)
        account = AccountHistory(state, "account 0", "account 0")
        for shown in Range:
            _print(f"chart: {shown.value}", partial(account.view, shown, now), LIMITS.get(shown))
        moments = iter(range(1, 1000))
        _print("write", lambda: state.run(_write, now + timedelta(seconds=30 * next(moments))), 5)


def forecasts() -> None:
    """Print what the forecasts of a user with eight weeks of history cost."""
    readings, _ = parse_life([json.dumps(row).encode() for row in life("agents", 1, 8)])
    now = readings[-1].read_at
    windows = [
        UsageWindow(key, key, 60.0, now + timedelta(hours=hours), "api", now)
        for key, hours in (("five_hour", 3), ("seven_day", 100))
    ]
    with tempfile.TemporaryDirectory() as folder:
        state = StateStore(Path(folder) / "state.db")
        state.run(merge.import_readings, "account", [(row.key, row.reading) for row in readings])

        def first() -> Forecaster:
            forecaster = Forecaster(state.run(use_histories, "account", now), UTC)
            forecaster.forecasts(windows, {}, now)
            return forecaster

        _print("first forecasts", first, 40)
        tracemalloc.start()
        forecaster = first()
        size = tracemalloc.get_traced_memory()[0] / (1 << 20)
        tracemalloc.stop()
        print(f"{'their memory':24} {size:7.2f} of 1 MiB")
        for window in windows:
            moments = (now + timedelta(minutes=5 * number) for number in count())

            def again(window: UsageWindow = window, moments: Iterator[datetime] = moments) -> None:
                moment = next(moments)
                forecaster.forecasts([window._replace(as_of=moment)], {}, moment)

            _print(f"forecast: {window.key}", again, 1.5)


def _fill(connection: sqlite3.Connection, readings: int, now: datetime) -> None:
    each = readings // (ACCOUNTS * len(KEYS))
    step = YEAR / each
    start = (now - YEAR).timestamp() * 1000
    connection.execute("BEGIN")
    for number in range(ACCOUNTS):
        for key in KEYS:
            connection.execute(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                " INSERT OR IGNORE INTO reading SELECT ?, ?, ? + i * ?, i % 400 / 4.0,"
                " ? + (i / 400 + 1) * 400 * ?, 'api' FROM n",
                (each - 1, f"account {number}", key, int(start), int(step.total_seconds() * 1000),
                 int(start), int(step.total_seconds() * 1000)),
            )  # fmt: skip
    connection.execute("COMMIT")


def _past_year(now: datetime) -> Iterator[tuple[str, Reading]]:
    """Yield readings that leave a year of windows and hours."""
    for key in KEYS:
        count = 15 if key == "five_hour" else 504  # readings in a window
        for number in range(365 * 72):
            reset = now - YEAR + (number // count + 1) * count * timedelta(minutes=20)
            at = now - YEAR + number * timedelta(minutes=20)
            yield key, Reading(at, number % count * 100.0 / count, reset)


def _write(connection: sqlite3.Connection, moment: datetime) -> None:
    windows = tuple(
        UsageWindow(key, key, 50.0, moment + timedelta(hours=3), "api", moment) for key in KEYS
    )
    record_usage(connection, "account 0", Usage(windows, "api", moment))


def _print(name: str, action: Callable[[], object], limit: float | None) -> None:
    """Print the processor time of an action: other processes do not disturb it."""
    times = []
    for _ in range(RUNS):
        began = time.process_time()
        action()
        times.append((time.process_time() - began) * 1000)
    wanted = f" of {limit:g} ms" if limit else " ms"
    print(f"{name:24} {min(times):7.1f}{wanted}; the first took {times[0]:.1f} ms")


def main() -> None:
    """Print every figure beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=READINGS)
    options = parser.parse_args()
    accuracy()
    forecasts()
    speed(options.readings)


if __name__ == "__main__":
    main()
