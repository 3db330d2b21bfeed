"""Measure what reading Claude Pace Maker's folder costs: at rest, changed, and with 500 MB."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from claude_usage_monitor.sources.pace_maker.reader import PaceMaker
from tests.support.pace_maker import PaceMakerFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SIZE = 500_000_000
_TIMES = 101


def pace_maker() -> None:
    """Print every figure beside its limit."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = PaceMakerFolder(Path(temporary) / ".claude-pace-maker").install()
        now = datetime.now(UTC)
        folder.poll(now)
        folder.decide(now, 35)
        _grow(folder, now)
        _settle(folder, now)
        subject = PaceMaker(folder.path)
        subject.read(now)
        _print("unchanged", lambda: subject.read(now), 3)
        size = folder.database.stat().st_size / 1e6
        _print(f"anew, {size:.0f} MB", lambda: PaceMaker(folder.path).read(now), 15)
        with folder.being_written():
            _print("being written", lambda: PaceMaker(folder.path).read(now), 15)


def absent(environ: Mapping[str, str]) -> None:
    """Print what --json from stored figures costs with a folder there, and without it."""
    folder = PaceMakerFolder(Path(environ["HOME"]) / ".claude-pace-maker")
    program = str(Path(sys.executable).with_name("claude-usage-monitor"))

    def ask() -> None:
        subprocess.run([program, "--json"], env=dict(environ), capture_output=True, check=True)

    folder.install()
    folder.poll(datetime.now(UTC))
    away = folder.path.with_name("away")
    beside, without = [], []
    for _ in range(21):  # in turns: the machine has other things to do
        beside.append(_seconds(ask))
        folder.path.rename(away)
        without.append(_seconds(ask))
        away.rename(folder.path)
    spent = [statistics.median(spans) * 1000 for spans in (without, beside)]
    print(f"{'--json':15} {spent[0]:.0f} ms without Pace Maker, {spent[1]:.0f} ms beside it")


def _grow(folder: PaceMakerFolder, now: datetime) -> None:
    """Give every table that grows a long history."""
    for table in ("blockage_events", "pacing_decisions", "usage_snapshots"):
        stamp = f"CREATE INDEX {table}_by_time ON {table}(timestamp)"
        folder.execute(stamp)
    rows = 400_000
    while folder.database.stat().st_size < _SIZE:
        folder.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
            " INSERT INTO blockage_events (timestamp, category, reason, hook_type, session_id,"
            " details) SELECT ?2 - 86400 + i / 5, 'other', 'r', 'h', 's',"
            " hex(zeroblob(500)) FROM n",
            rows,
            int(now.timestamp()),
        )


def _settle(folder: PaceMakerFolder, now: datetime) -> None:
    for path in folder.path.iterdir():
        long_ago = (now - timedelta(minutes=1)).timestamp()
        os.utime(path, (long_ago, long_ago))


def _print(name: str, operation: Callable[[], object], limit: float) -> None:
    print(f"{'Pace Maker':15} {name}: {_median(operation, _TIMES):.2f} ms (of {limit})")


def _median(operation: Callable[[], object], times: int) -> float:
    return statistics.median(_seconds(operation) for _ in range(times)) * 1000


def _seconds(operation: Callable[[], object]) -> float:
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began
