"""Measure reads of a large organization: ``python -m tests.benchmarks.organization``.

The Admin API is a process of its own. Each of its answers takes as long as one of the real API, and
its clock stands on the last day of a month. The daily costs are invented, because no recorded ones
are available; the text of each series says what it has in common with real ones.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from statistics import fmean
from urllib.request import urlopen

from pytest_httpserver import HTTPServer
from werkzeug import Response
from werkzeug.serving import WSGIRequestHandler

from claude_usage_monitor.monitor.accounts.organizations import organization_reader
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.settings import Settings
from claude_usage_monitor.usage.money.projection import MIN_COMPLETE_DAYS, project
from claude_usage_monitor.usage.money.spend import DailySpend
from claude_usage_monitor.usage.status import CONSOLE, AccountStatus
from tests.support.organization import ADMIN_KEY, AdminApi, Invented

NOW = datetime(2026, 12, 31, 12, 0, tzinfo=UTC)
LATENCY = 0.2
USERS, WORKSPACES = 500, 100
MAX_REQUESTS, MAX_REQUESTS_LATER, MAX_LATENCY = 60, 4, 1.5

HOURS = (9, 18)  # UTC hours at which the month's total is projected
SPENT_BY = {9: Decimal("0.12"), 18: Decimal("0.85")}  # share of the day's cost at that hour
SEEDS = range(60)
MONTHS = ((2026, 2), (2026, 7), (2026, 9), (2026, 10), (2026, 11))
WEEK = (1.0, 1.1, 1.15, 1.05, 0.85)  # cost relative to a usual day, Monday first


# --- a large organization ----------------------------------------------------------------------


def serve() -> None:
    """Serve the Admin API of a large organization; ``/stats`` counts the requests."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WSGIRequestHandler.date_time_string = lambda *_: format_datetime(NOW, usegmt=True)  # type: ignore[method-assign]  # the server's clock
    invented = Invented.of_size(NOW, users=USERS, workspaces=WORKSPACES)
    with HTTPServer(threaded=True) as server:
        api = AdminApi(server, invented)
        api.latency = LATENCY

        def stats(_: object) -> Response:
            figures = {
                "requests": len(api.calls),
                "busy": api.total_seconds_served,
                "at once": api.max_concurrent,
                "cents": str(invented.cents()),
                "claude code cents": str(invented.claude_code_cents()),
            }
            return Response(json.dumps(figures))

        server.expect_request("/stats").respond_with_handler(stats)
        print(api.url, flush=True)
        time.sleep(600)


def large_organization() -> None:
    """Print requests and seconds of a first read of the organization, and of later ones."""
    command = [sys.executable, "-m", "tests.benchmarks.organization", "serve"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as home,
    ):
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        os.environ |= {
            "CLAUDE_USAGE_MONITOR_API_URL": url,
            "CLAUDE_USAGE_MONITOR_HOME": home,
            "ANTHROPIC_ADMIN_API_KEY": ADMIN_KEY,
        }
        now, first = NOW, AccountStatus(CONSOLE)

        def clock() -> datetime:
            return now

        try:
            began = time.perf_counter()
            status = organization_reader(Services(os.environ, Settings(), clock)).read(first)
            took = time.perf_counter() - began
            stats = stats_of(url)
            print(f"first read: {stats['requests']} requests of {MAX_REQUESTS}")
            server_time = float(str(stats["busy"])) / 2
            print(
                f"  {took:.2f} s; the server needs {server_time:.2f} s for two at a time: "
                f"{took / server_time:.2f} of {MAX_LATENCY}; {stats['at once']} at once"
            )
            spend = status.spend
            assert spend is not None
            assert spend.month_to_date is not None
            assert spend.claude_code is not None
            assert spend.claude_code.month_to_date is not None
            off = spend.month_to_date * 100 - Decimal(str(stats["cents"]))
            print(f"  month to date off by {off:.6f} cents")
            off = spend.claude_code.month_to_date * 100 - Decimal(str(stats["claude code cents"]))
            print(f"  Claude Code off by {off:.6f} cents")
            for later in (timedelta(minutes=5), timedelta(hours=2), timedelta(hours=9)):
                now += later
                before = int(str(stats_of(url)["requests"]))
                began = time.perf_counter()
                organization_reader(Services(os.environ, Settings(), clock)).read(first)
                took = time.perf_counter() - began
                again = int(str(stats_of(url)["requests"])) - before
                print(f"read {later} later: {again} requests of {MAX_REQUESTS_LATER}, {took:.2f} s")
            began = time.perf_counter()
            organization_reader(Services(os.environ, Settings(), clock)).cached_status(first)
            print(f"stored figures: {(time.perf_counter() - began) * 1000:.0f} ms")
        finally:
            server.terminate()


def stats_of(url: str) -> dict[str, object]:
    """Return the server's counters."""
    with urlopen(f"{url}/stats") as response:  # noqa: S310 - our own server
        return dict(json.load(response))


# --- the projection ----------------------------------------------------------------------------

Shape = Callable[[random.Random, int], float]
SHAPES: dict[str, tuple[str, Shape]] = {
    "weekly": ("quiet weekends, steady", lambda _rng, _day: 1.0),
    "growing": ("the same, growing by up to 2 % a day", lambda _rng, _day: 1.0),
    "bursts": (
        "the same, one day in twelve costs four times as much",
        lambda rng, _day: 4.0 if rng.random() < 1 / 12 else 1.0,
    ),
    "step": ("the same, 70 % more from the 13th on", lambda _rng, day: 1.7 if day > 12 else 1.0),
    "even": ("no weekly pattern: batch jobs", lambda _rng, _day: 1.0),
}


def series(kind: str, seed: int) -> tuple[date, list[Decimal]]:
    """Return the first day of an invented month, and the cost of each day."""
    rng = random.Random(f"{kind} {seed}")  # noqa: S311 - figures, not secrets
    year, month = MONTHS[seed % len(MONTHS)]
    first = date(year, month, 1)
    usual = 200 * math.exp(rng.gauss(0, 0.7))
    weekend = rng.uniform(0.05, 0.4)
    growth = rng.uniform(0, 0.02) if kind == "growing" else 0.0
    found = []
    for number in range(1, monthrange(year, month)[1] + 1):
        weekday = first.replace(day=number).weekday()
        weight = 1.0 if kind == "even" else WEEK[weekday] if weekday < 5 else weekend
        noise = math.exp(rng.gauss(0, 0.25)) * SHAPES[kind][1](rng, number)
        found.append(Decimal(repr(round(usual * weight * noise * (1 + growth) ** number, 6))))
    return first, found


def back_test(kind: str) -> Iterator[tuple[int, float, float, bool]]:
    """Yield the day, two relative errors, and whether the interval included the month's total.

    The first error is that of the projection, the second that of straight-line extrapolation.
    """
    for seed in SEEDS:
        first, amounts = series(kind, seed)
        whole = sum(amounts, Decimal(0))
        for day in range(MIN_COMPLETE_DAYS + 1, len(amounts)):
            for hour in HOURS:
                today = amounts[day - 1] * SPENT_BY[hour]
                spent = [*amounts[: day - 1], today]
                daily = [DailySpend(first.replace(day=n), a) for n, a in enumerate(spent, 1)]
                now = datetime(first.year, first.month, day, hour, tzinfo=UTC)
                found = project(daily, now)
                assert found.amount is not None
                assert found.low is not None
                assert found.high is not None
                passed = day - 1 + Decimal(hour) / 24
                straight = sum(spent, Decimal(0)) / passed * len(amounts)
                yield (
                    day,
                    float(abs(found.amount - whole) / whole),
                    float(abs(straight - whole) / whole),
                    found.low <= whole <= found.high,
                )


def projection() -> None:
    """Print the mean error of the projection beside that of straight-line extrapolation."""
    print(
        f"projection, {len(SEEDS)} invented months of each kind; mean error, "
        "mean error of straight-line extrapolation"
    )
    for kind, (description, _) in SHAPES.items():
        found = list(back_test(kind))
        late = [row for row in found if row[0] > 14]
        ours, straight = fmean(row[1] for row in found), fmean(row[2] for row in found)
        print(
            f"  {kind:8} {ours:6.2%} {straight:6.2%}  from the 15th "
            f"{fmean(row[1] for row in late):6.2%} {fmean(row[2] for row in late):6.2%}  "
            f"in the interval {fmean(row[3] for row in found):4.0%}  ({description})"
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        projection()
        large_organization()
